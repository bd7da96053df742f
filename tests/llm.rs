//! Calls of models as their clients' adapters see them: what both backends get of them, and what is counted. One export
//! for all tests here, to both; each finds its own trace by its agent.

#[allow(dead_code)]
#[path = "support/otlp.rs"]
mod otlp;
#[allow(dead_code)]
#[path = "support/server.rs"]
mod server;

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use tracium::llm::{Exchange, Request};
use tracium::testing::Recorder;
use tracium::{ExporterKind, TenantId, TenantUsage, TokenUsage, current_span};

use self::otlp::attributes;
use self::server::Server;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../tracium-runtime/src/llm/fixtures/", $name)).as_slice()
    };
}

const SSE: &str = "text/event-stream";
/// A key, which nobody may ever see.
const KEY: &str = "hazelnut";
/// A tenant whose content is not captured.
const DISCREET: &str = "discreet";

struct Backends {
    rest: Server,
    otlp: Server,
}

fn backends() -> &'static Backends {
    static BACKENDS: OnceLock<Backends> = OnceLock::new();
    BACKENDS.get_or_init(|| {
        let (rest, otlp) = (Server::start(server::accept), Server::start(otlp::accept));
        let guard = tracium::builder()
            .exporter(ExporterKind::Rest)
            .add_exporter(ExporterKind::Otlp)
            .api_key("trc_test")
            .base_url(rest.url())
            .otlp_endpoint(otlp.url())
            .capture_content_for(|tenant| tenant.is_none_or(|tenant| tenant.as_str() != DISCREET))
            .init()
            .unwrap();
        std::mem::forget(guard);
        Backends { rest, otlp }
    })
}

impl Backends {
    fn flush() {
        let report = tracium::flush(Duration::from_secs(20));
        assert!(report.complete, "{report:?}");
    }

    /// The span of `agent`'s trace that OTLP backends know by `name`.
    fn otlp_span(&self, agent: &str, name: &str) -> (Span, std::collections::BTreeMap<String, Value>) {
        let spans = otlp::spans(&self.otlp).into_iter().filter(|span| span.name == name);
        let mut found = spans.map(|span| (attributes(&span.attributes), span));
        let (attributes, span) = found.find(|(attributes, _)| attributes["gen_ai.agent.name"] == agent).unwrap();
        (span, attributes)
    }
}

fn streamed() {
    streamed_up_to(usize::MAX);
}

/// A call, of whose answer so many bytes come, one by one.
fn streamed_up_to(bytes: usize) {
    let path = format!("/v1/chat/completions?key={KEY}");
    let request = Request::new("POST", "api.openai.com", &path).body(fixture!("openai_chat.request.json"));
    let mut call = Exchange::begin(&request).unwrap();
    call.answered(200, Some(SSE), |name| (name == "x-request-id").then(|| "req-1".to_owned()));
    fixture!("openai_chat.sse").chunks(1).take(bytes).for_each(|byte| call.chunk(byte));
}

fn failed() {
    let request = Request::new("POST", "api.anthropic.com", "/v1/messages").body(fixture!("anthropic.request.json"));
    let mut call = Exchange::begin(&request).unwrap();
    call.answered(429, Some("application/json"), |_| None);
    call.chunk(br#"{"type":"error","error":{"type":"rate_limit_error","message":"less marzipan"}}"#);
}

#[tracium::tool]
fn client() {
    streamed();
}

/// Its own tokens are those of the call beneath it.
#[tracium::llm]
fn complete() {
    client();
    current_span().set_token_usage(TokenUsage::new(1_200, 80));
}

#[test]
fn the_attribute_and_the_module_of_one_name_live_side_by_side() {
    let recorder = Recorder::install();
    tracium::start_trace("bot").run(complete);
    let [call, client, function] = &recorder.spans()[..] else { panic!("three spans") };
    assert_eq!((call.kind.as_str(), call.name.as_str()), ("llm", "chat gpt-4o"));
    assert_eq!((call.parent_id, client.parent_id), (client.id, function.id));
    assert_eq!(call.usage, Some(TokenUsage::new(1_200, 80).cached_input(1_024).reasoning(64)));
    assert_eq!(function.usage, None, "the tokens count once");
}

#[test]
fn an_otlp_backend_gets_a_call_under_the_conventions_names() {
    let backends = backends();
    tracium::start_trace("otlp-call").tenant("acme").run(streamed);
    Backends::flush();
    let (span, mut all) = backends.otlp_span("otlp-call", "chat gpt-4o");
    assert_eq!(span.kind, SpanKind::Client as i32);
    assert!(all.remove("gen_ai.response.time_to_first_chunk").unwrap().as_f64().unwrap() > 0.0);
    let output: Value = serde_json::from_str(all.remove("gen_ai.output.messages").unwrap().as_str().unwrap()).unwrap();
    let parts = json!([{"type": "text", "content": "Earl Grey, with marzipan."}]);
    assert_eq!(output, json!([{"role": "assistant", "parts": parts, "finish_reason": "stop"}]));
    let input: Value = serde_json::from_str(all.remove("gen_ai.input.messages").unwrap().as_str().unwrap()).unwrap();
    assert_eq!(input[0], json!({"role": "system", "parts": [{"type": "text", "content": "You know marzipan."}]}));
    let tools: Value = serde_json::from_str(all.remove("gen_ai.tool.definitions").unwrap().as_str().unwrap()).unwrap();
    assert_eq!(tools[0]["name"], "stock");
    let expected = json!({
        "gen_ai.agent.name": "otlp-call",
        "tracium.user.id": "acme",
        "tenant.id": "acme",
        "openinference.span.kind": "LLM",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 1_200,
        "gen_ai.usage.output_tokens": 80,
        "gen_ai.usage.cache_read.input_tokens": 1_024,
        "gen_ai.usage.reasoning.output_tokens": 64,
        "http.response.status_code": 200,
        "request.id": "req-1",
    });
    assert_eq!(json!(all), expected);
}

#[test]
fn an_otlp_backend_gets_an_error_and_a_stream_that_was_left() {
    let backends = backends();
    tracium::start_trace("otlp-error").run(failed);
    tracium::start_trace("otlp-left").run(|| streamed_up_to(600));
    Backends::flush();
    let (span, all) = backends.otlp_span("otlp-error", "chat claude-sonnet-4-5");
    assert_eq!((&all["error.type"], &all["http.response.status_code"]), (&json!("rate_limit_error"), &json!(429)));
    assert_eq!(span.status.unwrap().message, "less marzipan");
    let (span, all) = backends.otlp_span("otlp-left", "chat gpt-4o");
    assert_eq!(all["stream.stopped"], true);
    assert!(span.status.is_none_or(|status| status.code == 0), "the model did not fail");
}

#[test]
fn a_response_that_was_handed_over_has_the_conventions_names_too() {
    let backends = backends();
    #[tracium::llm(model = "claude-sonnet-4-5")]
    fn ask() {
        current_span().record_response(&serde_json::from_slice::<Value>(fixture!("anthropic.json")).unwrap());
    }
    tracium::start_trace("handed-over").run(ask);
    Backends::flush();
    let (_, all) = backends.otlp_span("handed-over", "chat claude-sonnet-4-5");
    assert_eq!(all["gen_ai.request.model"], "claude-sonnet-4-5");
    assert_eq!(all["gen_ai.response.model"], "claude-sonnet-4-5-20250929");
    assert_eq!(all["gen_ai.response.finish_reasons"], json!(["tool_use"]));
    assert_eq!(all["gen_ai.usage.input_tokens"], 1_325, "with what a cache had and was given");
    assert_eq!(all["code.function.name"], "ask");
    let output: Value = serde_json::from_str(all["gen_ai.output.messages"].as_str().unwrap()).unwrap();
    let kinds: Vec<&Value> = output[0]["parts"].as_array().unwrap().iter().map(|part| &part["type"]).collect();
    assert_eq!(kinds, ["reasoning", "text", "tool_call"], "the call of the tool is there once");
    assert_eq!(output[0]["finish_reason"], "tool_call");
}

#[test]
fn a_rest_backend_gets_a_call_in_the_protocols_fields_and_the_rest_as_metadata() {
    let backends = backends();
    tracium::start_trace("rest-call").tenant("acme").run(|| {
        streamed();
        failed();
    });
    Backends::flush();
    let [mut call, failed] = <[Value; 2]>::try_from(backends.rest.spans("rest-call")).unwrap();
    assert_eq!(
        (&call["span_type"], &call["name"], &call["status"]),
        (&json!("llm"), &json!("chat gpt-4o"), &json!("completed"))
    );
    assert_eq!((&call["model_id"], &call["tenant_id"]), (&json!("gpt-4o-2024-08-06"), &json!("acme")));
    assert_eq!(call["input"][0], json!({"role": "system", "content": "You know marzipan."}));
    assert_eq!(call["output"], "Earl Grey, with marzipan.");
    assert_eq!(call["tools"][0]["name"], "stock");
    let tokens = ["input_tokens", "output_tokens", "cached_input_tokens"].map(|name| call[name].as_u64().unwrap());
    assert_eq!(tokens, [1_200, 80, 1_024]);
    let metadata = call["metadata"].as_object_mut().unwrap();
    assert!(metadata.remove("time_to_first_token_ms").unwrap().as_f64().unwrap() > 0.0);
    let expected = json!({
        "provider": "openai",
        "requested_model": "gpt-4o",
        "finish_reasons": ["stop"],
        "response_id": "chatcmpl-1",
        "request_id": "req-1",
        "http_status": 200,
        "reasoning_tokens": 64,
    });
    assert_eq!(json!(metadata), expected);
    assert_eq!((&failed["status"], &failed["error"]), (&json!("failed"), &json!("less marzipan")));
    let steps = backends.rest.trace("rest-call").last().unwrap().body["llm_steps"].clone();
    assert_eq!(steps[0]["system_prompt"], "You know marzipan.");
    assert_eq!(steps[1]["system_prompt"], "You know marzipan.");
}

/// What `tenant` used of the models that answered.
fn used(tenant: &str) -> Vec<TenantUsage> {
    let rows = tracium::usage().rows.into_iter();
    rows.filter(|row| row.tenant.as_ref().is_some_and(|known| known.as_str() == tenant)).collect()
}

#[test]
fn a_call_and_its_tokens_are_counted_once_however_many_spans_are_around_it() {
    let backends = backends();
    // Plain sync spans, async ones, and spans of a builder: each has its own way to what is around it.
    tracium::start_trace("counted").tenant("counted").run(|| {
        complete();
        tracium::start_span("llm", "around").run(|| {
            client();
            current_span().set_token_usage(TokenUsage::new(1_200, 80));
        });
        tracium::block_on(async {
            #[tracium::llm]
            async fn ask() {
                wait().await;
                current_span().set_token_usage(TokenUsage::new(1_200, 80));
            }
            #[tracium::tool]
            async fn wait() {
                let mut ready = false;
                std::future::poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    if std::mem::replace(&mut ready, true) {
                        std::task::Poll::Ready(())
                    } else {
                        std::task::Poll::Pending
                    }
                })
                .await;
                client();
            }
            ask().await;
        });
        failed();
    });
    // A call that nobody saw counts as before.
    tracium::start_trace("unseen").tenant("unseen").run(|| {
        tracium::start_span("llm", "ask").run(|| {
            current_span().set_model("gpt-4o").set_token_usage(TokenUsage::new(5, 6));
        });
    });
    Backends::flush();
    let [claude, gpt] = <[TenantUsage; 2]>::try_from(used("counted")).unwrap();
    assert_eq!((gpt.model.as_deref(), gpt.calls, gpt.errors), (Some("gpt-4o-2024-08-06"), 3, 0));
    assert_eq!((gpt.input_tokens, gpt.output_tokens, gpt.cached_input_tokens), (3_600, 240, 3_072));
    assert_eq!((claude.calls, claude.errors, claude.input_tokens), (1, 1, 0));
    let [unseen] = <[TenantUsage; 1]>::try_from(used("unseen")).unwrap();
    assert_eq!((unseen.calls, unseen.input_tokens, unseen.output_tokens), (1, 5, 6));

    let sent: u64 = backends.rest.spans("counted").iter().filter_map(|span| span["input_tokens"].as_u64()).sum();
    assert_eq!(sent, 3_600, "nor is it sent twice");
}

#[test]
fn without_content_no_word_of_it_and_never_a_key_is_in_any_byte_that_is_sent() {
    let backends = backends();
    let discreet = TenantId::try_from(DISCREET).unwrap();
    tracium::start_trace("discreet-bot").tenant(discreet).run(|| {
        complete();
        failed();
        streamed_up_to(600);
        tracium::start_span("llm", "handed-over").run(|| {
            current_span().record_response(&serde_json::from_slice::<Value>(fixture!("openai_tools.json")).unwrap());
        });
    });
    Backends::flush();
    let of_rest: Vec<_> = backends.rest.trace("discreet-bot");
    assert!(of_rest.iter().any(|request| request.body.to_string().contains("chatcmpl-2")), "all of it was sent");
    for request in &of_rest {
        assert!(!contains(&request.raw, "marzipan"), "{}", request.body);
    }
    for span in otlp::spans(&backends.otlp) {
        let shown = format!("{span:?}");
        if attributes(&span.attributes)["gen_ai.agent.name"] == "discreet-bot" {
            assert!(!shown.contains("marzipan"), "{shown}");
        }
        assert!(!shown.contains(KEY), "{shown}");
    }
    for request in backends.rest.requests() {
        assert!(!contains(&request.raw, KEY), "{}", request.body);
    }
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}
