//! The scenario that was recorded of the published Python client, written with our attributes: the bodies are equal,
//! apart from ids, times, error texts, and what `rest.md` says that we add.

#[allow(dead_code)]
#[path = "../support/server.rs"]
mod server;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tracium::{ExporterKind, TokenUsage, current_span};

use self::server::{Server, accept};

const RECORDING: &str = include_str!("python-sdk-1.5.10.json");

#[derive(Debug)]
struct Boom;

impl fmt::Display for Boom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("boom")
    }
}

impl std::error::Error for Boom {}

static BOOMS: AtomicUsize = AtomicUsize::new(0);

#[tracium::trace(agent = "support-bot", model = "gpt-4", tags = ["prod"])]
#[tracium::tenant_scope(from = tenant)]
async fn handle(tenant: &str) {
    retrieve();
    completion().await;
}

#[tracium::span(kind = "retrieval", output)]
fn retrieve() -> Vec<&'static str> {
    vec!["doc1"]
}

#[tracium::span(kind = "llm")]
async fn completion() {
    tokio::task::yield_now().await;
    current_span()
        .record_input(&json!([{"role": "system", "content": "be nice"}, {"role": "user", "content": "hi"}]))
        .record_output("ok")
        .set_model("gpt-4o")
        .set_token_usage(TokenUsage::new(10, 5).cached_input(2));
}

#[tracium::trace(agent = "failing-bot")]
#[tracium::tenant_scope(from = tenant)]
fn boom(tenant: &str) -> Result<(), Boom> {
    t()
}

#[tracium::span(kind = "tool")]
fn t() -> Result<(), Boom> {
    BOOMS.fetch_add(1, Ordering::Relaxed);
    Err(Boom)
}

/// Without what differs from run to run, and without what only we send.
fn comparable(body: &Value, ours: bool) -> Value {
    let mut body = body.clone();
    let object = body.as_object_mut().unwrap();
    if ours {
        assert!(object.remove("trace_id").is_none_or(|id| id.is_string()));
    }
    if let Some(error) = object.get_mut("error") {
        assert!(!error.as_str().unwrap().is_empty());
        *error = json!("<error>");
    }
    for span in object.get_mut("spans").and_then(Value::as_array_mut).into_iter().flatten() {
        let span = span.as_object_mut().unwrap();
        for varying in ["id", "started_at", "completed_at"] {
            assert!(span.remove(varying).unwrap().is_string(), "{varying}");
        }
        assert!(span.remove("latency_ms").unwrap().is_u64());
        if let Some(error) = span.get_mut("error") {
            *error = json!("<error>");
        }
        if ours {
            ["parent_span_id", "tags", "metadata"].iter().for_each(|extra| drop(span.remove(*extra)));
        }
    }
    body
}

/// Creates, final spans and ends of a tenant, in order; each span as a request of its own.
fn calls(requests: impl Iterator<Item = (String, Value, String)>, tenant: &str, ours: bool) -> Vec<(String, Value)> {
    let mut calls = Vec::new();
    for (path, body, of) in requests.filter(|(_, _, of)| of == tenant) {
        assert_eq!(of, tenant);
        let call = path.rsplit('/').next().unwrap().to_owned();
        match body["spans"].as_array() {
            None => calls.push((call, comparable(&body, ours))),
            Some(spans) => {
                for span in spans.iter().filter(|span| span["status"] != "in_progress") {
                    calls.push((call.clone(), comparable(&json!({ "spans": [span] }), ours)));
                }
            }
        }
    }
    calls
}

#[tokio::test]
async fn the_recorded_scenario_sends_equal_bodies() {
    let server = Server::start(accept);
    let _guard = tracium::builder()
        .exporter(ExporterKind::Rest)
        .api_key("sk_live_0123456789")
        .base_url(server.url())
        .init()
        .unwrap();

    handle("tenant-123").await;
    assert_eq!(boom("org_1:ws_2").unwrap_err().to_string(), "boom");
    assert_eq!(BOOMS.load(Ordering::Relaxed), 1, "the user's failing function runs once");
    let report = tracium::flush_async(Duration::from_secs(10)).await;
    assert!(report.complete, "{report:?}");

    let recording: Vec<Value> = serde_json::from_str(RECORDING).unwrap();
    let sent = server.requests();
    for tenant in ["tenant-123", "org_1:ws_2"] {
        let recorded = calls(
            recording.iter().map(|request| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                (text(&request["path"]), request["body"].clone(), text(&request["headers"]["x-tenant-id"]))
            }),
            tenant,
            false,
        );
        let ours = calls(
            sent.iter().map(|request| {
                (request.path.clone(), request.body.clone(), request.header("x-tenant-id").unwrap().to_owned())
            }),
            tenant,
            true,
        );
        assert!(!recorded.is_empty());
        assert_eq!(ours, recorded, "{tenant}");
    }

    for request in &sent {
        assert_eq!(request.header("x-api-key"), Some("sk_live_0123456789"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert!(request.header("user-agent").unwrap().starts_with("tracium-rust/"));
        assert!(request.header("x-tracium-sdk-version").is_some());
        assert_eq!(request.header("authorization"), None);
    }
    let stats = tracium::stats();
    assert_eq!((stats.emitted, stats.acknowledged, stats.dropped, stats.queued), (5, 5, 0, 0), "{stats:?}");
}
