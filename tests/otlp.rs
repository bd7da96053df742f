//! What an OTLP backend gets, field by field, read with the published types. One export for all tests here; each finds
//! its own trace by its agent.

#[allow(dead_code)]
#[path = "support/otlp.rs"]
mod otlp;
#[allow(dead_code)]
#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::{Value, json};
use tracium::{Context, ExporterKind, TenantId, TokenUsage, current_span, current_trace};

use self::otlp::{accept, attributes, decode};
use self::server::Server;

fn backend() -> &'static Server {
    static BACKEND: OnceLock<Server> = OnceLock::new();
    BACKEND.get_or_init(|| {
        let server = Server::start(accept);
        let guard = tracium::builder()
            .exporter(ExporterKind::Otlp)
            .api_key("trc_test")
            .otlp_endpoint(server.url())
            .otlp_header("x-extra", "1")
            .service_name("tests")
            .resource_attribute("deployment.environment.name", "ci")
            .mask(|_, text| *text = text.replace("Jane Doe", "J. D."))
            .init()
            .unwrap();
        std::mem::forget(guard);
        server
    })
}

/// The spans of the trace of `agent`, once all are there.
fn spans(agent: &str) -> Vec<Span> {
    let report = tracium::flush(Duration::from_secs(20));
    assert!(report.complete, "{report:?}");
    let all = otlp::spans(backend());
    let is_of = |span: &&Span| attributes(&span.attributes)["gen_ai.agent.name"] == agent;
    let Some(trace) = all.iter().find(is_of).map(|span| span.trace_id.clone()) else { return Vec::new() };
    all.into_iter().filter(|span| span.trace_id == trace).collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
    assert_eq!(found.len(), 1, "{name:?} in {names:?}");
    found[0]
}

fn attributes_of(spans: &[Span], name: &str) -> BTreeMap<String, Value> {
    attributes(&named(spans, name).attributes)
}

fn expected(value: Value) -> BTreeMap<String, Value> {
    serde_json::from_value(value).unwrap()
}

/// A text that is JSON, as what it is.
fn parsed(value: &Value) -> Value {
    serde_json::from_str(value.as_str().unwrap()).unwrap()
}

/// What the spans of the test below are called, their kinds, and what they have beside what all have.
fn kinds() -> [(&'static str, SpanKind, Value); 7] {
    [
        (
            "invoke_agent kinds",
            SpanKind::Internal,
            json!({
                "openinference.span.kind": "AGENT",
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.provider.name": "openai",
            }),
        ),
        (
            "chat gpt-4o",
            SpanKind::Client,
            json!({
                "openinference.span.kind": "LLM",
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.provider.name": "openai",
                "code.function.name": "complete",
            }),
        ),
        (
            "execute_tool look",
            SpanKind::Internal,
            json!({
                "openinference.span.kind": "TOOL",
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "look",
            }),
        ),
        (
            "search",
            SpanKind::Internal,
            json!({"openinference.span.kind": "RETRIEVER", "gen_ai.operation.name": "retrieval"}),
        ),
        (
            "embeddings text-embedding-3-small",
            SpanKind::Client,
            json!({
                "openinference.span.kind": "EMBEDDING",
                "gen_ai.operation.name": "embeddings",
                "gen_ai.request.model": "text-embedding-3-small",
                "gen_ai.provider.name": "openai",
                "code.function.name": "embed",
            }),
        ),
        ("plan", SpanKind::Internal, json!({"openinference.span.kind": "CHAIN", "span.type": "plan"})),
        (
            "invoke_agent helper",
            SpanKind::Internal,
            json!({
                "openinference.span.kind": "AGENT",
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "helper",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.provider.name": "openai",
            }),
        ),
    ]
}

#[test]
fn each_kind_has_its_name_its_kind_and_its_attributes_and_all_have_agent_and_tenant() {
    backend();
    #[tracium::trace(agent = "kinds", model = "gpt-4o", version = "1.2")]
    #[tracium::tenant_scope(from = "acme")]
    fn run() {
        complete();
        look();
        search();
        embed();
        plan();
        helper();
    }
    #[tracium::llm]
    fn complete() {}
    #[tracium::tool]
    fn look() {}
    #[tracium::retrieval]
    fn search() {}
    #[tracium::span(kind = "embedding", model = "text-embedding-3-small")]
    fn embed() {}
    #[tracium::span(kind = "plan")]
    fn plan() {}
    #[tracium::trace(agent = "helper")]
    fn helper() {}
    let before = SystemTime::now();
    run();
    let spans = spans("kinds");
    assert_eq!(spans.len(), 7);
    let shared = json!({
        "gen_ai.agent.name": "kinds",
        "gen_ai.agent.version": "1.2",
        "tracium.user.id": "acme",
        "tenant.id": "acme",
    });
    let root = named(&spans, "invoke_agent kinds");
    for (name, kind, own) in kinds() {
        let span = named(&spans, name);
        let mut all = expected(shared.clone());
        all.extend(expected(own));
        assert_eq!(attributes(&span.attributes), all, "{name}");
        assert_eq!(span.kind(), kind, "{name}");
        assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
        assert_eq!(span.parent_span_id.is_empty(), span.span_id == root.span_id, "{name}");
        if span.span_id != root.span_id {
            assert_eq!(span.parent_span_id, root.span_id, "{name}");
        }
        let since_epoch = u64::try_from(before.duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
        assert!(span.start_time_unix_nano.abs_diff(since_epoch) < 60_000_000_000);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        assert!(root.start_time_unix_nano <= span.start_time_unix_nano);
        assert!(span.end_time_unix_nano <= root.end_time_unix_nano);
        assert!(span.status.is_none() && span.events.is_empty(), "it went well");
    }
}

#[test]
fn requests_say_who_sends_under_which_conventions() {
    let server = backend();
    tracium::start_trace("sender").run(|| ());
    assert_eq!(spans("sender").len(), 1);
    let request = &server.requests()[0];
    assert_eq!(request.path, "/v1/traces");
    assert_eq!(request.header("authorization"), Some("Bearer trc_test"));
    assert_eq!(request.header("x-extra"), Some("1"));
    let message = decode(request);
    assert_eq!(message.resource_spans.len(), 1);
    let of = &message.resource_spans[0];
    assert_eq!(
        attributes(&of.resource.as_ref().unwrap().attributes),
        expected(json!({"service.name": "tests", "deployment.environment.name": "ci"}))
    );
    let scope = of.scope_spans[0].scope.as_ref().unwrap();
    assert_eq!((scope.name.as_str(), scope.version.as_str()), ("tracium", env!("CARGO_PKG_VERSION")));
    assert!(of.scope_spans[0].schema_url.starts_with("https://opentelemetry.io/schemas/1.4"));
}

#[test]
fn a_call_of_a_model_has_messages_tools_tokens_and_how_it_ended() {
    backend();
    tracium::start_trace("model").tenant("acme").run(|| {
        tracium::start_span("llm", "complete").model("claude-sonnet-4-5").run(|| {
            current_span()
                .record_input(&json!({
                    "system": "be nice to Jane Doe",
                    "messages": [{"role": "user", "content": "tea?"}],
                    "tools": [{"name": "kettle", "input_schema": {"type": "object"}}],
                }))
                .record_output(&json!({
                    "id": "msg_1",
                    "role": "assistant",
                    "model": "claude-sonnet-4-5-20250929",
                    "content": [
                        {"type": "text", "text": "yes"},
                        {"type": "tool_use", "id": "toolu_1", "name": "kettle", "input": {"cups": 2}},
                    ],
                    "stop_reason": "tool_use",
                }))
                .set_token_usage(TokenUsage::new(200, 80).cached_input(1_000).cache_creation_input(300));
        });
    });
    let spans = spans("model");
    let mut all = attributes_of(&spans, "chat claude-sonnet-4-5");
    let mut take = |key: &str| all.remove(key).unwrap_or_else(|| panic!("{key} is missing"));
    let text = |content: &str| json!({"type": "text", "content": content});
    assert_eq!(parsed(&take("gen_ai.system_instructions")), json!([text("be nice to J. D.")]));
    assert_eq!(parsed(&take("gen_ai.input.messages")), json!([{"role": "user", "parts": [text("tea?")]}]));
    let call = json!({"type": "tool_call", "id": "toolu_1", "name": "kettle", "arguments": {"cups": 2}});
    assert_eq!(
        parsed(&take("gen_ai.output.messages")),
        json!([{"role": "assistant", "parts": [text("yes"), call], "finish_reason": "tool_call"}])
    );
    let tool = json!({"type": "function", "name": "kettle", "parameters": {"type": "object"}});
    assert_eq!(parsed(&take("gen_ai.tool.definitions")), json!([tool]));
    assert_eq!(
        all,
        expected(json!({
            "gen_ai.agent.name": "model",
            "tracium.user.id": "acme",
            "tenant.id": "acme",
            "openinference.span.kind": "LLM",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude-sonnet-4-5",
            "gen_ai.response.model": "claude-sonnet-4-5-20250929",
            "gen_ai.response.id": "msg_1",
            "gen_ai.response.finish_reasons": ["tool_use"],
            "gen_ai.usage.input_tokens": 1_500,
            "gen_ai.usage.output_tokens": 80,
            "gen_ai.usage.cache_read.input_tokens": 1_000,
            "gen_ai.usage.cache_creation.input_tokens": 300,
            "code.function.name": "complete",
        }))
    );
    let root = attributes_of(&spans, "invoke_agent model");
    assert!(root.keys().all(|key| !key.starts_with("gen_ai.usage")), "never repeated on parents: {root:?}");
}

#[test]
fn a_stream_of_a_model_says_when_its_first_chunk_came() {
    backend();
    #[tracium::trace(agent = "streaming")]
    async fn run() {
        use futures::StreamExt;
        let chunks: Vec<u8> = complete().collect().await;
        assert_eq!(chunks, [1, 2]);
    }
    #[tracium::llm(model = "gpt-4o")]
    fn complete() -> impl futures::Stream<Item = u8> {
        futures::stream::iter([1, 2])
    }
    tracium::block_on(run());
    let all = attributes_of(&spans("streaming"), "chat gpt-4o");
    let seconds = all["gen_ai.response.time_to_first_chunk"].as_f64().unwrap();
    assert!((0.0..60.0).contains(&seconds), "{seconds}");
}

#[test]
fn what_a_body_says_apart_from_the_answer_becomes_one_message() {
    backend();
    tracium::start_trace("apart").run(|| {
        tracium::start_span("llm", "complete").model("gpt-4o").run(|| {
            current_span()
                .record_input("tea?")
                .record_output("let me see")
                .set_tools(&["kettle"])
                .set_tool_calls(&[
                    json!({"id": "call_1", "function": {"name": "kettle", "arguments": "{}"}, "type": "function"}),
                ])
                .set_model("gpt-4o-2024-08-06")
                .set_token_usage(TokenUsage::new(1_200, 80).cached_input(1_000));
        });
    });
    let all = attributes_of(&spans("apart"), "chat gpt-4o-2024-08-06");
    let parts = json!([
        {"type": "text", "content": "let me see"},
        {"type": "tool_call", "id": "call_1", "name": "kettle", "arguments": {}},
    ]);
    assert_eq!(parsed(&all["gen_ai.output.messages"])[0]["parts"], parts);
    assert_eq!(parsed(&all["gen_ai.tool.definitions"])[0]["name"], "kettle");
    assert_eq!(all["gen_ai.usage.input_tokens"], 1_200, "what OpenAI counts is inclusive already");
    assert_eq!(all["gen_ai.usage.cache_read.input_tokens"], 1_000);
    assert!(!all.contains_key("gen_ai.usage.cache_creation.input_tokens"));
}

#[test]
fn other_values_are_under_the_names_of_both_conventions() {
    backend();
    #[tracium::trace(agent = "values", capture(question), output)]
    fn run(question: &str) -> Value {
        look("call_7", question);
        json!({"answer": 42})
    }
    #[tracium::tool(capture(tool_call_id, what), output)]
    fn look(tool_call_id: &str, what: &str) -> String {
        format!("{what}!")
    }
    run("who is Jane Doe?");
    let spans = spans("values");
    let root = attributes_of(&spans, "invoke_agent values");
    for prefix in ["traceloop.entity.input", "input.value"] {
        assert_eq!(parsed(&root[prefix]), json!({"question": "who is J. D.?"}), "masked before it leaves");
    }
    assert_eq!(root["input.mime_type"], "application/json");
    for prefix in ["traceloop.entity.output", "output.value"] {
        assert_eq!(parsed(&root[prefix])["return"], json!({"answer": 42}));
    }
    let tool = attributes_of(&spans, "execute_tool look");
    assert_eq!(tool["gen_ai.tool.call.id"], "call_7");
    assert_eq!(parsed(&tool["input.value"])["what"], "who is J. D.?");
    assert!(!tool.contains_key("gen_ai.input.messages"));
}

#[test]
fn a_failure_is_a_status_an_event_and_a_type() {
    backend();
    #[tracium::trace(agent = "failing")]
    fn run() -> Result<(), std::io::Error> {
        Err(std::io::Error::other("Jane Doe is away; Bearer abcdefghijklmnop123"))
    }
    run().unwrap_err();
    let spans = spans("failing");
    let root = &spans[0];
    let status = root.status.as_ref().unwrap();
    assert_eq!(status.code(), StatusCode::Error);
    assert!(status.message.starts_with("J. D. is away") && !status.message.contains("abcdefgh"), "{}", status.message);
    let all = attributes(&root.attributes);
    assert_eq!(all["error.type"], "std::io::error::Error");
    let event = &root.events[0];
    assert_eq!(event.name, "exception");
    assert_eq!(event.time_unix_nano, root.end_time_unix_nano);
    let event = attributes(&event.attributes);
    assert_eq!(event["exception.type"], all["error.type"]);
    assert_eq!(event["exception.message"], status.message.as_str());
}

#[test]
fn a_tenant_of_any_length_arrives_whole_and_is_metered_as_itself() {
    backend();
    let one = format!("{}1", "a".repeat(254));
    let other = format!("{}2", "a".repeat(254));
    for (agent, tenant) in [("long-1", &one), ("long-2", &other)] {
        tracium::start_trace(agent).tenant(tenant.as_str()).run(|| ());
    }
    let (first, second) = (spans("long-1"), spans("long-2"));
    let (first, second) = (attributes(&first[0].attributes), attributes(&second[0].attributes));
    assert_eq!(first["tenant.id"], one.as_str());
    assert_eq!(second["tenant.id"], other.as_str());
    let metered = first["tracium.user.id"].as_str().unwrap();
    assert!(metered.len() == 128 && metered.starts_with(&format!("{}~", "a".repeat(95))), "{metered}");
    assert_ne!(first["tracium.user.id"], second["tracium.user.id"]);
}

#[test]
fn session_and_user_are_on_every_span_and_what_is_said_of_the_trace_on_its_root() {
    backend();
    #[tracium::trace(agent = "said", session = "s-1", user = "u-1", tags = ["prod"], metadata(plan = "gold"))]
    fn run() {
        tracium::start_span("tool", "step").tag("slow").metadata("rows", &7).run(|| {
            current_span()
                .add_metadata("ratio", &0.5)
                .add_metadata("cached", &true)
                .add_metadata("long", &"é".repeat(200))
                .add_metadata("list", &[1, 2])
                .add_metadata("tenant.id", &"globex")
                .add_metadata("gen_ai.tool.call.id", &"call_1");
        });
        current_trace().add_tags(["VIP", "vip"]).add_metadata("region", &"eu").set_summary("done for Jane Doe");
    }
    run();
    let spans = spans("said");
    let (root, step) = (attributes_of(&spans, "invoke_agent said"), attributes_of(&spans, "execute_tool step"));
    for span in [&root, &step] {
        assert_eq!((&span["session.id"], &span["gen_ai.conversation.id"]), (&json!("s-1"), &json!("s-1")));
        assert_eq!(span["user.id"], "u-1");
        assert!(!span.contains_key("tenant.id"), "it has none, whatever its metadata says");
    }
    assert_eq!(root["tags"], json!(["prod", "VIP"]));
    assert_eq!((&root["plan"], &root["region"]), (&json!("gold"), &json!("eu")));
    assert_eq!(root["summary"], "done for J. D.");
    assert_eq!(step["tags"], json!(["slow"]));
    assert_eq!((&step["rows"], &step["ratio"], &step["cached"]), (&json!(7), &json!(0.5), &json!(true)));
    assert_eq!(step["long"], "é".repeat(128), "256 bytes");
    assert_eq!(step["list"], "[1,2]");
    assert_eq!(step["metadata.tenant.id"], "globex");
    assert_eq!(step["gen_ai.tool.call.id"], "call_1");
}

#[test]
fn a_span_of_a_tenant_of_its_own_has_that_one() {
    backend();
    let trace = tracium::start_trace("mixed").open();
    for tenant in ["a", "b", "a"] {
        let context = trace.context().clone().with_tenant(TenantId::try_from(tenant).unwrap());
        context.run(|| tracium::start_span("tool", tenant).run(|| ()));
    }
    trace.end();
    let spans = spans("mixed");
    assert_eq!(spans.len(), 4);
    for span in &spans {
        let tenant = attributes(&span.attributes).get("tenant.id").cloned();
        assert_eq!(tenant.is_none(), span.parent_span_id.is_empty());
        assert!(tenant.is_none_or(|tenant| span.name == format!("execute_tool {}", tenant.as_str().unwrap())));
    }
}

#[test]
fn a_context_read_from_a_payload_continues_its_trace() {
    backend();
    let payload =
        tracium::start_trace("queued").tenant("acme").run(|| serde_json::to_string(&Context::current()).unwrap());
    let context: Context = serde_json::from_str(&payload).unwrap();
    context.run(|| tracium::start_span("tool", "later").run(|| ()));
    drop(context);
    let spans = spans("queued");
    let (root, later) = (named(&spans, "invoke_agent queued"), named(&spans, "execute_tool later"));
    assert_eq!(later.parent_span_id, root.span_id);
    assert_eq!(attributes(&later.attributes)["tenant.id"], "acme");
}

#[test]
fn a_call_that_is_refused_as_its_trace_opens_leaves_nothing() {
    backend();
    #[tracium::trace(agent = "refused")]
    #[tracium::tenant_scope(from = tenant, missing = reject)]
    fn run(tenant: Option<&str>) -> Result<(), tracium::TenantError> {
        Ok(())
    }
    run(None).unwrap_err();
    assert!(spans("refused").is_empty());
}
