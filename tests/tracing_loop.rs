//! The whole way to the backend, with the bridge installed for the process and asked for every span there is: nothing of
//! our own comes back to us, and what must not be sent is not.

#[allow(dead_code)]
#[path = "support/server.rs"]
mod server;

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use tracing_subscriber::prelude::*;
use tracium::{ExporterKind, TenantId};

use self::server::{Request, Response, Server, accept};

/// One export and one subscriber for all tests here.
fn backend() -> &'static Server {
    static BACKEND: OnceLock<Server> = OnceLock::new();
    BACKEND.get_or_init(|| {
        static FAILED: Mutex<bool> = Mutex::new(false);
        let server = Server::start(|request: &Request| {
            // One failure on the way makes the exporter log, too.
            if std::mem::replace(&mut *FAILED.lock().unwrap(), true) { accept(request) } else { Response::status(503) }
        });
        tracing_subscriber::registry().with(tracium::layer_with(|_| true)).init();
        let guard = tracium::builder()
            .exporter(ExporterKind::Rest)
            .api_key("trc_test")
            .base_url(server.url())
            .capture_content_for(|tenant| tenant.is_none_or(|tenant| tenant != &TenantId::try_from("quiet").unwrap()))
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

#[tracium::tool]
fn inner() {}

fn chat(text: &str) {
    let span = tracing::info_span!(
        "chat",
        gen_ai.operation.name = "chat",
        gen_ai.request.model = "gpt-4o",
        gen_ai.system_instructions = text,
        gen_ai.prompt = text,
        gen_ai.usage.input_tokens = 9,
        gen_ai.usage.output_tokens = 2,
    );
    span.in_scope(|| {
        tracing::info!(name: "gen_ai.user.message", content = text);
        tracing::info!(gen_ai.completion = text);
        tracing::error!(error = text, "{text}");
        inner();
        inner();
    });
    tracing::info_span!("asked for", argument = text, count = 3).in_scope(inner);
    tracing::info_span!(
        "execute_tool",
        gen_ai.tool.name = "t",
        gen_ai.tool.description = text,
        gen_ai.tool.call.arguments = text,
        gen_ai.tool.call.result = text
    );
}

#[test]
fn nothing_of_our_own_client_and_our_own_notices_comes_back_to_us() {
    let server = backend();
    tracium::start_trace("loop").tenant("acme").run(|| {
        inner();
        chat("tea?");
        // A notice of ours, inside a span of theirs.
        assert!(tracium::set_tenant("globex").is_err());
    });
    flush();
    // Whatever the first requests made spans of would be sent now.
    flush();
    flush();
    let names: Vec<String> =
        server.spans("loop").iter().map(|span| span["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), 7, "{names:?}");
    assert!(names.iter().all(|name| ["inner", "chat gpt-4o", "asked for", "t"].contains(&name.as_str())), "{names:?}");
    for request in server.requests() {
        let agent = request.body["agent_name"].as_str();
        assert!(agent.is_none_or(|agent| ["loop", "quiet", "tree", "again"].contains(&agent)), "{}", request.body);
        for span in request.body["spans"].as_array().into_iter().flatten() {
            assert!(["inner", "chat gpt-4o", "asked for", "t"].contains(&span["name"].as_str().unwrap()), "{span}");
        }
    }
}

#[test]
fn where_content_is_not_captured_none_of_it_is_in_what_is_sent() {
    const SECRET: &str = "the-prompt-that-nobody-asked-to-send";
    let server = backend();
    tracium::start_trace("quiet").tenant("quiet").run(|| chat(SECRET));
    flush();
    let requests = server.trace("quiet");
    assert!(!requests.is_empty());
    for request in &requests {
        assert!(!String::from_utf8_lossy(&request.raw).contains(SECRET), "{}", request.body);
    }
    let spans = server.spans("quiet");
    let call = spans.iter().find(|span| span["span_type"] == "llm").unwrap();
    assert_eq!(
        (call["input_tokens"].as_u64(), call["status"].as_str()),
        (Some(9), Some("failed")),
        "facts are no content"
    );
    let asked = spans.iter().find(|span| span["name"] == "asked for").unwrap();
    assert_eq!(asked["metadata"], serde_json::json!({"count": 3}));
}

/// With the collector, spans of a trace go the short way, which knows of nothing that is entered: not these.
#[test]
fn the_tree_is_the_same_by_way_of_the_buffers() {
    let server = backend();
    let collected = tracium::start_trace("tree").tenant("acme").open();
    collected.context().run(|| {
        inner();
        inner();
        chat("tea?");
        inner();
    });
    collected.end();
    flush();
    let spans = server.spans("tree");
    let id = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap()["id"].clone();
    let parents: Vec<_> =
        spans.iter().filter(|span| span["name"] == "inner").map(|span| span["parent_span_id"].clone()).collect();
    assert_eq!(parents.len(), 6);
    assert_eq!(parents.iter().filter(|parent| **parent == id("chat gpt-4o")).count(), 2);
    assert_eq!(parents.iter().filter(|parent| **parent == id("asked for")).count(), 1);
    assert_eq!(parents.iter().filter(|parent| parent.is_null()).count(), 3, "under the root, which is not sent");
    let call = spans.iter().find(|span| span["name"] == "chat gpt-4o").unwrap();
    assert_eq!(call["input"]["system"], "tea?");
    assert_eq!(call["output"], "tea?");
}

/// In bytes of the buffers, as the other tests here hold no more than some kilobytes.
#[test]
fn a_librarys_span_holds_what_it_keeps_and_not_what_was_replaced() {
    const TEXT: u64 = 1 << 20;
    backend();
    tracium::start_trace("again").tenant("acme").run(|| {
        let span = tracing::info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "gpt-4o",
            gen_ai.prompt = tracing::field::Empty
        );
        let text = "x".repeat(1 << 20);
        for _ in 0..20 {
            span.record("gen_ai.prompt", &text);
        }
        let held = tracium::stats().buffered_bytes;
        assert!((TEXT..2 * TEXT).contains(&held), "{held}");
        span.in_scope(|| (0..20).for_each(|_| tracing::info!(name: "gen_ai.user.message", content = text)));
        let held = tracium::stats().buffered_bytes;
        assert!((3 * TEXT..6 * TEXT).contains(&held), "{held}");
        drop(span);
        let held = tracium::stats().buffered_bytes;
        assert!(held < TEXT, "the input is cut: {held}");
    });
    flush();
}
