//! With capture of content off, and secrets at any time, nothing of either is anywhere in a span.

use super::fixtures;
use super::{Seen, said};
use crate::start_trace;
use crate::testing::Recorder;

#[test]
fn without_content_no_word_of_prompts_answers_arguments_or_errors_is_on_the_span() {
    for fixture in fixtures::all() {
        for (content_type, answer) in &fixture.answers {
            let seen = Seen { content_type, ..fixture.seen };
            let all = seen.in_pieces([answer.as_slice()]);
            assert!(said(&all).contains("marzipan"), "the test would see it");

            let recorder = Recorder::install().without_content();
            seen.run([answer.as_slice()]);
            let span = recorder.spans().remove(0);
            assert!(!format!("{span:?}").contains("marzipan"), "{span:?}");
            assert!(span.input.is_none() && span.output.is_none() && span.tools.is_none());
            assert!(span.tool_calls.is_none());
            assert_eq!((span.usage, &span.model), (all.usage, &all.model), "what is no content is there");
            assert_eq!(span.call.finish_reasons, all.call.finish_reasons);
        }
    }
}

#[test]
fn without_content_an_error_is_its_type_alone() {
    let recorder = Recorder::install().without_content();
    for (status, body) in [
        (429, r#"{"error":{"type":"rate_limit_error","code":"too much marzipan","message":"less marzipan"}}"#),
        (500, "marzipan"),
    ] {
        Seen { status, ..fixtures::openai_chat().seen }.run([body.as_bytes()]);
    }
    start_trace("bot").run(|| fixtures::openai_chat().seen.begin().unwrap().failed(&"no marzipan here"));
    let spans = recorder.spans();
    assert!(!format!("{spans:?}").contains("marzipan"), "{spans:?}");
    let types: Vec<_> = spans.iter().map(|span| span.error_type.as_deref().unwrap()).collect();
    assert_eq!(types, ["rate_limit_error", "500", "transport"]);
}

#[test]
fn secrets_are_redacted_in_what_is_captured() {
    let seen = fixtures::openai_chat().seen;
    let request = br#"{"model":"gpt-4o","messages":[{"role":"user","content":"my key is sk-abcdefghijklmnopqrstuvwx"}],"tools":[]}"#;
    let answer = br#"{"choices":[{"message":{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"login","arguments":"{\"password\":\"hunter2\"}"}}]},"finish_reason":"tool_calls"}]}"#;
    let span = Seen { request, ..seen }.in_pieces([answer.as_slice()]);
    let all = format!("{span:?}");
    assert!(!all.contains("hunter2") && !all.contains("abcdefghij"), "{all}");
    assert_eq!(span.tool_calls.unwrap()[0]["arguments"]["password"], "[redacted]");
}

#[test]
fn neither_the_request_nor_the_exchange_shows_content_or_keys_when_printed() {
    let _recorder = Recorder::install();
    let seen = fixtures::gemini().seen;
    start_trace("bot").run(|| {
        let request = crate::llm::Request::new("POST", seen.host, seen.path).body(seen.request);
        let call = crate::llm::Exchange::begin(&request).unwrap();
        let printed = format!("{request:?} {call:?}");
        assert!(!printed.contains("marzipan"), "{printed}");
        assert!(printed.contains("generate_content"));
    });
}
