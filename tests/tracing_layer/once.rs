//! A call that is seen by both ways, by its library's spans and by our adapter on its way, is one call.

use serde_json::json;
use tracing::{Instrument, info_span};
use tracium::llm::{Exchange, Request};
use tracium::testing::RecordedStatus;
use tracium::{TokenUsage, current_span};

use super::recorded;

/// What an adapter sees of a call.
fn exchange(status: u16, answer: &str) {
    let asked = br#"{"model":"gpt-4o","messages":[{"role":"user","content":"tea?"}]}"#;
    let request = Request::new("POST", "api.openai.com", "/v1/chat/completions").body(asked);
    let Some(mut call) = Exchange::begin(&request) else { return };
    call.answered(status, Some("application/json"), |_| None);
    call.chunk(answer.as_bytes());
    call.end();
}

const ANSWER: &str = r#"{"id":"c-1","model":"gpt-4o-2024-08-06","choices":[{"message":{"role":"assistant","content":"Earl Grey"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#;

fn chat() -> tracing::Span {
    info_span!(
        "chat",
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = "openai",
        gen_ai.request.model = "gpt-4o",
        gen_ai.conversation.id = "s-1",
        gen_ai.output.messages = tracing::field::Empty,
        gen_ai.usage.input_tokens = tracing::field::Empty,
        gen_ai.usage.output_tokens = tracing::field::Empty,
    )
}

fn record_usage(span: &tracing::Span) {
    span.record("gen_ai.usage.input_tokens", 9).record("gen_ai.usage.output_tokens", 2);
}

#[test]
fn what_the_adapter_sees_is_said_of_the_librarys_span_which_fills_in_the_rest() {
    let spans = recorded(|| {
        let span = chat();
        tracium::block_on(async { exchange(200, ANSWER) }.instrument(span.clone()));
        span.record("gen_ai.output.messages", "what the library made of it");
        record_usage(&span);
    });
    let [call] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((call.kind.as_str(), call.name.as_str(), call.depth), ("llm", "chat gpt-4o", 1));
    assert_eq!(call.input, Some(json!([{"role": "user", "content": "tea?"}])));
    assert_eq!(call.output, Some(json!("Earl Grey")), "as it was seen");
    assert_eq!(call.usage, Some(TokenUsage::new(9, 2)));
    assert_eq!(call.call.answered_model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!((call.call.http_status, call.call.finish_reasons.clone()), (Some(200), vec!["stop".to_owned()]));
    assert_eq!(super::metadata(call, "gen_ai.conversation.id"), "s-1");
}

#[test]
fn a_try_that_failed_and_one_that_did_not_are_one_call_that_did_not() {
    let spans = recorded(|| {
        chat().in_scope(|| {
            exchange(503, "{}");
            exchange(200, ANSWER);
        });
    });
    let [call] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((call.status, call.call.http_status), (RecordedStatus::Completed, Some(200)));
}

#[test]
fn beneath_an_agent_or_a_tool_a_call_is_a_span_of_its_own() {
    let spans = recorded(|| {
        chat().in_scope(|| tracium::start_span("tool", "search").run(|| exchange(200, ANSWER)));
        info_span!("agent", gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = "a")
            .in_scope(|| exchange(200, ANSWER));
    });
    let [in_tool, tool, call, in_agent, agent] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((in_tool.parent_id, tool.parent_id), (tool.id, call.id));
    assert_eq!(in_agent.parent_id, agent.id);
    assert_eq!((in_agent.usage, agent.usage), (Some(TokenUsage::new(9, 2)), None));
}

#[test]
fn tokens_of_a_function_around_the_call_are_not_counted_again() {
    #[tracium::llm]
    fn complete() {
        let span = chat();
        record_usage(&span);
        drop(span);
        current_span().set_token_usage(TokenUsage::new(9, 2));
    }
    let spans = recorded(complete);
    let [call, function] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((call.usage, function.usage), (Some(TokenUsage::new(9, 2)), None));
    assert_eq!(call.parent_id, function.id);
}

/// The same where something of ours is between, by whichever way it was opened.
#[test]
fn tokens_of_a_call_around_the_one_that_is_seen_are_not_counted_again() {
    #[tracium::tool]
    fn function() {
        exchange(200, ANSWER);
    }
    for work in [function as fn(), || tracium::start_span("tool", "scope").run(|| exchange(200, ANSWER))] {
        let spans = recorded(|| {
            let span = chat();
            span.in_scope(work);
            record_usage(&span);
        });
        let [seen, between, call] = &spans[..] else { panic!("{spans:#?}") };
        assert_eq!((seen.parent_id, between.parent_id), (between.id, call.id));
        assert_eq!((seen.usage, call.usage), (Some(TokenUsage::new(9, 2)), None));
    }
}

/// rig makes a span for a turn, and one for its completion where the turn's is not what it takes for one.
#[test]
fn a_call_inside_a_call_is_counted_once() {
    let spans = recorded(|| {
        let turn = chat();
        turn.in_scope(|| {
            let completion = chat();
            completion.in_scope(|| exchange(200, ANSWER));
            record_usage(&completion);
        });
        record_usage(&turn);
    });
    let [completion, turn] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!(completion.parent_id, turn.id);
    assert_eq!((completion.usage, turn.usage), (Some(TokenUsage::new(9, 2)), None));
}

/// What a library counts is the call's, and the function around it says the same of its answer.
#[test]
fn tokens_seen_beneath_a_librarys_span_are_not_counted_again_around_it() {
    let spans = recorded(|| {
        tracium::start_span("llm", "ask").run(|| {
            chat().in_scope(|| exchange(200, ANSWER));
            current_span().record_response(&serde_json::from_str::<serde_json::Value>(ANSWER).unwrap());
        });
    });
    let [call, ask] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((call.usage, ask.usage), (Some(TokenUsage::new(9, 2)), None));
}

#[test]
fn vectors_inside_a_call_are_no_part_of_it() {
    let spans = recorded(|| {
        tracium::start_span("llm", "ask").run(|| {
            let vectors = info_span!("embed", gen_ai.operation.name = "embeddings", gen_ai.usage.input_tokens = 3);
            vectors.in_scope(|| ());
            drop(vectors);
            current_span().set_token_usage(TokenUsage::new(9, 2));
        });
    });
    let [vectors, ask] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((vectors.usage, ask.usage), (Some(TokenUsage::new(3, 0)), Some(TokenUsage::new(9, 2))));
}

#[test]
fn a_call_for_another_tenant_inside_a_librarys_span_is_that_tenants() {
    let recorder = tracium::testing::Recorder::install();
    let tenant = |id: &str| tracium::Context::current().with_tenant(tracium::TenantId::try_from(id).unwrap());
    tracing::subscriber::with_default(super::subscriber(), || {
        tracium::start_trace("agent").run(|| {
            tenant("acme").run(|| {
                chat().in_scope(|| tenant("globex").run(|| exchange(200, ANSWER)));
            });
        });
    });
    let spans = recorder.spans();
    let [theirs, ours] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((theirs.tenant.as_ref().unwrap().as_str(), theirs.usage), ("globex", Some(TokenUsage::new(9, 2))));
    assert_eq!((ours.tenant.as_ref().unwrap().as_str(), ours.usage), ("acme", None));
    assert_eq!((&ours.input, &ours.output), (&None, &None));
}

/// A function that returns a stream has closed its span before anybody reads it.
#[test]
fn a_librarys_span_around_what_returns_a_stream_ends_with_the_stream() {
    for read in [true, false] {
        let recorder = tracium::testing::Recorder::install();
        tracing::subscriber::with_default(super::subscriber(), || {
            tracium::start_trace("agent").tenant("acme").run(|| {
                let asked = br#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"tea?"}]}"#;
                let request = Request::new("POST", "api.openai.com", "/v1/chat/completions").body(asked);
                let begun = || {
                    let _entered = chat().entered();
                    let mut call = Exchange::begin(&request).unwrap();
                    call.answered(200, Some("application/json"), |_| None);
                    call
                };
                let mut call = begun();
                assert!(recorder.spans().is_empty(), "it goes on");
                if read {
                    call.chunk(ANSWER.as_bytes());
                }
                drop(call);
            });
        });
        let spans = recorder.spans();
        let [call] = &spans[..] else { panic!("{spans:#?}") };
        assert_eq!((call.name.as_str(), call.status), ("chat gpt-4o", RecordedStatus::Completed));
        assert_eq!(call.usage, read.then_some(TokenUsage::new(9, 2)));
        assert_eq!(call.output, read.then(|| json!("Earl Grey")));
    }
}
