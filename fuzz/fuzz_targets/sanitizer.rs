//! What users hand us: whatever it is, it becomes valid JSON within its limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tracium_runtime::private::fuzz;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    // As a value where it is one, and as a text.
    let values = [serde_json::from_str::<Value>(&text).ok(), Some(Value::String(text.clone().into_owned()))];
    for value in values.into_iter().flatten() {
        let json = fuzz::to_json(&value);
        let read = serde_json::from_str::<Value>(&json);
        assert!(read.is_ok(), "{json:?}: {read:?}");
        fits(&json);
    }
    // What a mask leaves need not be JSON.
    fits(&text);
    let _ = fuzz::scrub_text(&text, 500);
});

fn fits(json: &str) {
    for most in [64, 100, 1_000, 10_000] {
        let fitted = fuzz::fit(json, most);
        assert!(fitted.len() <= most, "{} of {most}", fitted.len());
        let read = serde_json::from_str::<Value>(&fitted);
        assert!(read.is_ok() || serde_json::from_str::<Value>(json).is_err(), "{json:?} became {fitted:?}: {read:?}");
    }
}
