//! What Tracium's REST API gets, request by request. One export for all tests here; each finds its own trace by its agent.

#[allow(dead_code)]
#[path = "support/server.rs"]
mod server;

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use tracium::{Context, ExporterKind, TenantId, current_span, current_trace};

use self::server::{Request, Server, accept};

fn backend() -> &'static Server {
    static BACKEND: OnceLock<Server> = OnceLock::new();
    BACKEND.get_or_init(|| {
        let server = Server::start(accept);
        let guard = tracium::builder()
            .exporter(ExporterKind::Rest)
            .api_key("trc_test")
            .base_url(server.url())
            .workspace_id("ws-default")
            .mask(|field, text| {
                if field == "input" {
                    *text = text.replace("Jane Doe", "J. D.");
                }
            })
            .init()
            .unwrap();
        std::mem::forget(guard);
        server
    })
}

fn flush() {
    let report = tracium::flush(Duration::from_secs(20));
    assert!(report.complete, "{report:?}");
}

fn calls(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|request| request.path.rsplit('/').next().unwrap()).collect()
}

#[tracium::span(kind = "tool")]
fn step(_: usize) {}

#[test]
fn a_trace_of_100_short_spans_costs_three_requests() {
    let server = backend();
    #[tracium::trace(agent = "hundred")]
    fn run() {
        (0..100).for_each(step);
    }
    run();
    flush();
    let requests = server.trace("hundred");
    assert_eq!(calls(&requests), ["traces", "spans", "complete"]);
    let spans = requests[1].body["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 100);
    assert!(spans.iter().all(|span| span["depth_level"] == 0 && span.get("parent_span_id").is_none()));
}

#[test]
fn a_tenant_of_any_script_arrives_whole_in_the_body_and_percent_encoded_in_the_header() {
    let server = backend();
    #[tracium::trace(agent = "wide-tenant")]
    #[tracium::tenant_scope(from = tenant)]
    fn run(tenant: &str) {
        step(0);
    }
    run("Zürich-会社");
    flush();
    for request in server.trace("wide-tenant") {
        assert_eq!(request.header("x-tenant-id"), Some("Z%C3%BCrich-%E4%BC%9A%E7%A4%BE"));
    }
    assert_eq!(server.trace("wide-tenant")[0].body["tenant_id"], "Zürich-会社");
    assert_eq!(server.spans("wide-tenant")[0]["tenant_id"], "Zürich-会社");
}

#[test]
fn an_open_trace_is_created_and_a_long_span_announced_before_they_end() {
    let server = backend();
    let trace = tracium::start_trace("long").open();
    let span = trace.context().run(|| tracium::start_span("llm", "slow").open());
    let mut announced = Vec::new();
    for _ in 0..600 {
        announced = server.spans("long");
        if !announced.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(announced[0]["status"], "in_progress");
    assert_eq!(announced[0].get("completed_at"), None);
    span.end();
    trace.end();
    flush();
    let requests = server.trace("long");
    assert_eq!(calls(&requests), ["traces", "spans", "spans", "complete"]);
    assert_eq!(server.spans("long")[0]["status"], "completed");
    assert_eq!(server.spans("long").len(), 1, "the same id updates the span");
}

#[test]
fn late_spans_follow_the_end_of_their_trace() {
    let server = backend();
    let trace = tracium::start_trace("late").open();
    let late = trace.context().run(|| tracium::start_span("tool", "straggler").open());
    trace.end();
    flush();
    assert_eq!(calls(&server.trace("late")), ["traces", "complete"]);
    late.end();
    flush();
    assert_eq!(calls(&server.trace("late")), ["traces", "complete", "spans"]);
}

#[test]
fn a_root_span_is_sent_where_the_trace_carries_what_only_a_span_can() {
    let server = backend();
    #[tracium::trace(agent = "rooted", session = "s-1", metadata(plan = "gold", api_key = question), capture(question))]
    fn run(question: &str) {
        step(1);
        current_trace().set_summary("done").add_tags(["VIP", "vip"]);
    }
    run("who is Jane Doe?");
    flush();
    let requests = server.trace("rooted");
    assert_eq!(calls(&requests), ["traces", "spans", "complete"]);
    let spans = server.spans("rooted");
    let root = spans.iter().find(|span| span["span_type"] == "agent").unwrap();
    let child = spans.iter().find(|span| span["span_type"] == "tool").unwrap();
    assert_eq!(root["input"], json!({"question": "who is J. D.?"}), "masked before it leaves");
    assert_eq!(root["metadata"], json!({"plan": "gold", "api_key": "[redacted]", "session_id": "s-1"}));
    assert_eq!(root["depth_level"], 0);
    assert_eq!(child["depth_level"], 1);
    assert_eq!(child["parent_span_id"], root["id"]);
    assert_eq!(requests[2].body["summary"], "done");
    assert_eq!(requests[2].body["tags"], json!(["VIP", "@trace:run"]));
    assert_eq!(requests[0].body["workspace_id"], "ws-default");
}

#[test]
fn every_request_carries_spans_of_one_tenant() {
    let server = backend();
    let trace = tracium::start_trace("mixed").open();
    for tenant in ["a", "b", "a"] {
        let context = trace.context().clone().with_tenant(TenantId::try_from(tenant).unwrap());
        context.run(|| step(0));
    }
    trace.end();
    flush();
    let mut seen = 0;
    for request in server.trace("mixed") {
        for span in request.body["spans"].as_array().into_iter().flatten() {
            assert_eq!(span["tenant_id"].as_str(), request.header("x-tenant-id"));
            seen += 1;
        }
    }
    assert_eq!(seen, 3);
    assert_eq!(server.trace("mixed")[0].header("x-tenant-id"), None);
}

#[test]
fn values_are_cut_to_what_the_api_takes_and_secrets_never_leave() {
    let server = backend();
    tracium::start_trace("large").run(|| {
        tracium::start_span("llm", "x".repeat(600)).run(|| {
            current_span()
                .record_input(&json!({
                    "text": "é".repeat(90_000),
                    "password": "hunter2",
                    "list": ["b".repeat(60_000), "c".repeat(60_000)],
                    "image": format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(100)),
                }))
                .fail("postgres://root:hunter3@db/x is down; Bearer abcdefghijklmnop123");
        });
    });
    flush();
    let span = &server.spans("large")[0];
    let input = span["input"].to_string();
    assert!(input.len() <= 100_000, "{} bytes", input.len());
    assert_eq!(span["name"].as_str().unwrap().len(), 512);
    assert!(span["input"]["text"].as_str().unwrap().starts_with("éééé"));
    assert!(span["input"]["list"][1].as_str().unwrap().starts_with("cccc"), "the whole is never replaced");
    assert!(span["input"]["image"].as_str().unwrap().contains("image/png"));
    let all: String = server.trace("large").iter().map(|request| request.body.to_string()).collect();
    for secret in ["hunter2", "hunter3", "abcdefghijklmnop123", "iVBORw0KGgo"] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[test]
fn an_id_of_the_applications_own_names_the_trace() {
    let server = backend();
    tracium::start_trace("own-id").trace_id("order_42").run(|| step(0));
    flush();
    let requests = server.trace("own-id");
    assert_eq!(requests[0].body["trace_id"], "order_42");
    assert_eq!(requests[1].path, "/agents/traces/order_42/spans");
}

#[test]
fn a_context_read_from_a_payload_continues_its_trace_and_neither_creates_nor_ends_it() {
    let server = backend();
    let payload =
        tracium::start_trace("queued").tenant("acme").run(|| serde_json::to_string(&Context::current()).unwrap());
    let context: Context = serde_json::from_str(&payload).unwrap();
    context.run(|| step(0));
    drop(context);
    flush();
    let requests = server.trace("queued");
    let mut sorted = calls(&requests);
    sorted.sort_unstable();
    assert_eq!(sorted, ["complete", "spans", "traces"]);
    let spans = server.spans("queued");
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0]["tenant_id"], "acme");
    assert!(matches!(spans[0]["parent_span_id"], Value::String(_)));
}

#[test]
fn a_thousand_traces_at_once_are_all_accounted_for() {
    let server = backend();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                for _ in 0..250 {
                    tracium::start_trace("many").run(|| (0..10).for_each(step));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    flush();
    let requests = server.requests();
    let created = requests.iter().filter(|request| request.body["agent_name"] == "many").count();
    assert_eq!(created, 1_000);
}
