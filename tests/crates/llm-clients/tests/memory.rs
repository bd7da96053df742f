//! However much passes, what is kept of it is bounded: counted in live bytes, not in time.
#![allow(unsafe_code)] // An allocator that counts has no other way to be one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_openai::middleware::HttpRequestFactory;
use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{Body, Client, Response};
use tower::{Layer, Service, ServiceExt, service_fn};
use tracium::async_openai::LlmLayer;
use tracium::testing::Recorder;
use tracium_tests_llm_clients::{calls, traced};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is the system's, with what it was called with; counting touches no memory but two atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;
const CHUNK: usize = 64 << 10;

/// Reads an answer of `chunks` times `chunk`, after `first` and before `last`, through the adapter: the bytes that came,
/// and by how much the most that was alive at one time exceeds what was before.
async fn read(
    kind: &'static str,
    first: &'static str,
    chunk: Bytes,
    chunks: usize,
    last: &'static str,
) -> (usize, usize) {
    let answer = service_fn(move |factory: HttpRequestFactory| {
        let chunk = chunk.clone();
        async move {
            // The request is built, as a client does that sends it.
            factory.build().await?;
            let middle = stream::repeat(chunk).take(chunks);
            let body = stream::iter([Bytes::from_static(first.as_bytes())]).chain(middle);
            let body = body.chain(stream::iter([Bytes::from_static(last.as_bytes())])).map(Ok::<_, Infallible>);
            let response =
                http::Response::builder().header("content-type", kind).body(Body::wrap_stream(body)).unwrap();
            Ok::<_, async_openai::error::OpenAIError>(Response::from(response))
        }
    });
    let mut service = LlmLayer::new().layer(answer);
    let request = HttpRequestFactory::new(|| async {
        let request = Client::new().post("http://127.0.0.1/v1/chat/completions");
        let body = r#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"go on"}]}"#;
        Ok(request.header("content-type", "application/json").body(body).build()?)
    });
    let response = service.ready().await.unwrap().call(request).await.unwrap();
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let mut bytes = response.bytes_stream();
    let mut came = 0;
    while let Some(chunk) = bytes.next().await {
        came += chunk.unwrap().len();
    }
    (came, PEAK.load(Ordering::Relaxed) - before)
}

// One test: what is alive is the process's.
#[tokio::test]
async fn a_gigabyte_passes_and_a_few_megabytes_are_kept_of_it() {
    let recorder = Recorder::install();
    // A text in each event, so that there is something to keep.
    let text = "x".repeat(CHUNK - 200);
    let event = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
    );
    let last = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n";
    let chunks = 1024 * MIB / event.len() + 1;
    let expected = event.len() * chunks + last.len();
    let (came, kept) = traced("acme", read("text/event-stream", "", event.into(), chunks, last)).await;
    assert_eq!(came, expected);
    assert!(kept < 8 * MIB, "{kept} bytes more were alive");
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.call.finish_reasons, ["length"], "what comes after the bound is read, and not kept");
    recorder.clear();

    // A line without an end.
    let noise = Bytes::from("x".repeat(CHUNK));
    let (came, kept) = traced("acme", read("text/event-stream", "data: ", noise.clone(), 1024, "")).await;
    assert_eq!(came, 64 * MIB + 6);
    assert!(kept < 8 * MIB, "{kept} bytes more were alive");
    calls(&recorder, 1).await;
    recorder.clear();

    // A whole answer.
    let first = "{\"model\":\"gpt-4o\",\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"";
    let last = "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}";
    let (came, kept) = traced("acme", read("application/json", first, noise, 1024, last)).await;
    assert_eq!(came, 64 * MIB + first.len() + last.len());
    assert!(kept < 8 * MIB, "{kept} bytes more were alive");
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.usage.map(|usage| usage.output), Some(2));
}
