//! Headers of whoever calls: a context is made of anything, and what it says of itself is read again as it was.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tracium_runtime::Context;

// By its file, since the client that reads it brings all of TLS along.
#[path = "../../tracium-runtime/src/export/http/retry_after.rs"]
mod retry_after;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let names = ["traceparent", "tracestate", "baggage", "x-tenant-id"];
    let headers: Vec<(String, String)> =
        names.iter().map(|name| (*name).to_owned()).zip(text.split('\n').map(str::to_owned)).collect();
    let context = Context::extract(&headers);
    let mut carrier: Vec<(String, String)> = Vec::new();
    context.inject(&mut carrier);
    let again = Context::extract(&carrier);
    assert_eq!(context.tenant(), again.tenant(), "{headers:?} became {carrier:?}");
    text.split('\n').for_each(|value| {
        if let Some(wait) = retry_after::retry_after(value) {
            assert!(wait <= Duration::from_secs(u64::MAX), "{value:?}");
        }
    });
});
