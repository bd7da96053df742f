//! What is logged inside a span and says something of it.

use serde_json::json;
use tracing::{Level, error, event, info, info_span, warn};
use tracium::testing::{RecordedStatus, Recorder};

use super::recorded;

#[test]
fn an_error_inside_fails_the_innermost_span_and_the_first_one_stays() {
    let spans = recorded(|| {
        info_span!("agent", gen_ai.operation.name = "invoke_agent").in_scope(|| {
            info_span!("chat", gen_ai.operation.name = "chat").in_scope(|| {
                info_span!("http").in_scope(|| {
                    warn!("a retry");
                    error!(error = %"connection reset", "the call failed");
                    error!("and again");
                });
            });
        });
        error!("of nobody's span");
    });
    let [chat, agent] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((chat.status, chat.error.as_deref()), (RecordedStatus::Failed, Some("connection reset")));
    assert_eq!(agent.status, RecordedStatus::Completed);
}

#[test]
fn events_with_the_conventions_fields_and_messages_are_the_spans() {
    let spans = recorded(|| {
        let chat = info_span!("chat", gen_ai.operation.name = "chat", gen_ai.request.model = "m");
        chat.in_scope(|| {
            info!(name: "gen_ai.system.message", content = "be brief");
            info!(name: "gen_ai.user.message", content = "tea?");
            event!(
                name: "gen_ai.choice",
                Level::INFO,
                gen_ai.event.content = r#"{"message":{"content":"Earl Grey"},"finish_reason":"stop"}"#
            );
            info!(
                gen_ai.response.model = "m-1",
                gen_ai.usage.input_tokens = 4,
                gen_ai.usage.output_tokens = 2,
                note = "the event's own"
            );
        });
        // Named, where nothing is entered.
        info!(parent: &chat, gen_ai.response.id = "r1");
    });
    let chat = &spans[0];
    assert_eq!(
        chat.input,
        Some(json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "tea?"}]))
    );
    assert_eq!(chat.output, Some(json!([{"role": "assistant", "content": "Earl Grey", "finish_reason": "stop"}])));
    assert_eq!(chat.usage, Some(tracium::TokenUsage::new(4, 2)));
    assert_eq!(chat.call.answered_model.as_deref(), Some("m-1"));
    assert_eq!(chat.call.response_id.as_deref(), Some("r1"));
    assert!(!format!("{:?}", chat.metadata).contains("own"));
}

#[test]
fn a_value_that_panics_while_it_is_shown_breaks_nothing() {
    struct Broken;
    impl std::fmt::Debug for Broken {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("broken")
        }
    }
    let spans = recorded(|| {
        let span = info_span!("chat", gen_ai.request.model = "m", gen_ai.prompt = ?Broken, gen_ai.completion = tracing::field::Empty);
        span.record("gen_ai.completion", tracing::field::debug(Broken));
        span.in_scope(|| error!(error = ?Broken, "failed"));
    });
    assert_eq!(spans[0].name, "chat m");
    assert_eq!(spans[0].status, RecordedStatus::Failed);
}

/// Only words are facts: whatever else a library records in their place is something that somebody may have written.
#[test]
fn without_content_no_sentence_is_a_type_of_error_a_reason_or_a_place_to_stop() {
    let spans = |recorder: tracium::testing::Recorder| {
        tracing::subscriber::with_default(super::subscriber(), || {
            tracium::start_trace("agent").run(|| {
                for operation in ["chat", "invoke_agent"] {
                    drop(info_span!(
                        "call",
                        gen_ai.operation.name = operation,
                        gen_ai.request.stop_sequences = r#"["my marzipan"]"#,
                        gen_ai.response.finish_reasons = r#"["stop", "no more marzipan"]"#,
                        error.type = %"no key for marzipan: x",
                    ));
                }
                drop(info_span!("call", gen_ai.operation.name = "chat", error.type = "tea::Error"));
            });
        });
        recorder.spans()
    };
    let told = spans(Recorder::install().without_content());
    assert!(!format!("{told:?}").contains("marzipan"), "{told:#?}");
    let [call, agent, typed] = &told[..] else { panic!("{told:#?}") };
    assert_eq!((call.status, call.error_type.as_deref()), (RecordedStatus::Failed, Some("error")));
    assert_eq!(call.call.finish_reasons, ["stop"]);
    assert_eq!(super::metadata(agent, "gen_ai.response.finish_reasons"), json!(["stop"]));
    assert_eq!(typed.error_type.as_deref(), Some("tea::Error"));

    let told = spans(Recorder::install());
    assert_eq!(super::metadata(&told[0], "gen_ai.request.stop_sequences"), json!(["my marzipan"]));
    assert_eq!(told[0].error.as_deref(), Some("no key for marzipan: x"));
}
