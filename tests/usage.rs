//! `usage()`: what each tenant used of each model, counted once, and bounded.

use std::time::Duration;

use serde_json::json;
use tracium::llm::{Exchange, Request};
use tracium::{ExporterKind, TenantUsage, TokenUsage, Usage, start_span, start_trace};

/// The row of `tenant` and `model`.
fn row<'a>(usage: &'a Usage, tenant: &str, model: &str) -> &'a TenantUsage {
    let mut rows = usage.rows.iter();
    rows.find(|row| row.tenant.as_ref().is_some_and(|id| id == tenant) && row.model.as_deref() == Some(model)).unwrap()
}

fn call(model: &str, tokens: TokenUsage) {
    start_span("llm", "complete").model(model).run(|| {
        tracium::current_span().set_token_usage(tokens);
    });
}

fn fail(reason: &str) {
    tracium::current_span().fail(reason);
}

/// As an HTTP client's adapter sees it.
fn seen(status: u16, answer: &str) {
    let request =
        Request::new("POST", "api.openai.com", "/v1/chat/completions").body(br#"{"model":"gpt-4o","messages":[]}"#);
    let mut call = Exchange::begin(&request).unwrap();
    call.answered(status, Some("application/json"), |_| None);
    call.chunk(answer.as_bytes());
    call.end();
}

// One test: what is counted is the process's.
#[test]
fn calls_are_counted_once_for_their_tenant_and_a_flood_of_models_takes_no_other_tenants_rows() {
    let guard = tracium::builder().exporter(ExporterKind::Discard).init().unwrap();

    start_trace("noisy").tenant("noisy").run(|| {
        (0..150).for_each(|model| call(&format!("model-{model:03}"), TokenUsage::new(1, 1)));
        call("model-000", TokenUsage::new(1, 1));
    });
    start_trace("bot").tenant("acme").run(|| {
        call("o3", TokenUsage::new(100, 20).cached_input(64).cache_creation_input(8).reasoning(12));
        call("o3", TokenUsage::new(10, 2));
        start_span("llm", "complete").model("o3").run(|| fail("429"));
        start_span("embedding", "embed").model("e5").run(|| fail("503"));
        start_span("tool", "search").run(|| ());
        // A function that is annotated, around a client that is watched, and that says its tokens as well.
        start_span("llm", "complete").model("gpt-4o").run(|| {
            seen(200, r#"{"model":"gpt-4o","choices":[{"message":{"role":"assistant","content":"tea"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#);
            tracium::current_span().set_token_usage(TokenUsage::new(9, 2));
        });
        seen(500, "{}");
    });
    assert!(tracium::flush(Duration::from_secs(30)).complete);
    let usage = tracium::usage();

    let o3 = row(&usage, "acme", "o3");
    assert_eq!((o3.calls, o3.errors, o3.input_tokens, o3.output_tokens), (3, 1, 110, 22));
    assert_eq!((o3.cached_input_tokens, o3.cache_creation_input_tokens, o3.reasoning_tokens), (64, 8, 12));
    let e5 = row(&usage, "acme", "e5");
    assert_eq!((e5.calls, e5.errors), (1, 1));
    let both = row(&usage, "acme", "gpt-4o");
    assert_eq!((both.calls, both.errors, both.input_tokens, both.output_tokens), (2, 1, 9, 2));

    let noisy = usage.rows.iter().filter(|row| row.tenant.as_ref().is_some_and(|id| id == "noisy"));
    assert_eq!(noisy.clone().count(), 100);
    assert_eq!(noisy.map(|row| row.calls).sum::<u64>(), 101, "a row that is there goes on");
    assert_eq!((usage.others.calls, usage.others.input_tokens), (50, 50));

    let data = serde_json::to_value(&usage).unwrap();
    let o3 = data["rows"].as_array().unwrap().iter().find(|row| row["model"] == "o3").unwrap();
    let mut expected = json!({
        "tenant": "acme", "model": "o3", "calls": 3, "errors": 1, "input_tokens": 110, "output_tokens": 22,
        "cached_input_tokens": 64, "cache_creation_input_tokens": 8, "reasoning_tokens": 12,
    });
    expected["time_ms"] = o3["time_ms"].clone();
    assert!(o3["time_ms"].is_u64());
    assert_eq!(*o3, expected);
    drop(guard);
}
