//! Errors, cut streams, streams that nobody reads to their end, and requests that are none of ours.

use serde_json::json;

use super::fixtures::{self, message};
use super::{Seen, said};
use crate::llm::{Exchange, Request};
use crate::testing::{RecordedSpan, RecordedStatus, Recorder};
use crate::{TokenUsage, start_trace};

fn failing(status: u16, content_type: &str, body: &str) -> RecordedSpan {
    let seen = Seen { status, content_type, ..fixtures::openai_chat().seen };
    let span = seen.in_all_cuts(body.as_bytes());
    assert_eq!(span.status, RecordedStatus::Failed);
    assert_eq!(span.call.http_status, Some(status));
    assert_eq!((&span.output, span.usage), (&None, None));
    assert_eq!(span.model.as_deref(), Some("gpt-4o"), "what was asked is known");
    span
}

/// The part of an answer that comes before `word`.
fn before<'a>(answer: &'a [u8], word: &str) -> &'a [u8] {
    let at = std::str::from_utf8(answer).unwrap().find(word).unwrap();
    &answer[..at]
}

#[test]
fn an_error_has_the_providers_type_and_words() {
    let json = "application/json";
    for (status, body, kind, words) in [
        (
            401,
            r#"{"error":{"message":"Incorrect key: marzipan","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
            "invalid_api_key",
            "Incorrect key: marzipan",
        ),
        (
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"less marzipan"},"request_id":"req_1"}"#,
            "rate_limit_error",
            "less marzipan",
        ),
        (
            429,
            r#"[{"error":{"code":429,"message":"no marzipan","status":"RESOURCE_EXHAUSTED"}}]"#,
            "RESOURCE_EXHAUSTED",
            "no marzipan",
        ),
        (
            400,
            r#"{"__type":"com.amazon#ValidationException","message":"bad marzipan"}"#,
            "ValidationException",
            "bad marzipan",
        ),
        (400, r#"{"error":"model 'marzipan' not found"}"#, "400", "model 'marzipan' not found"),
        (500, r#"{"message":"marzipan is out"}"#, "500", "marzipan is out"),
    ] {
        let span = failing(status, json, body);
        assert_eq!((span.error_type.as_deref(), span.error.as_deref()), (Some(kind), Some(words)), "{body}");
    }
    let proxy = failing(502, "text/html", "<html>bad gateway: marzipan</html>");
    assert_eq!(proxy.error_type.as_deref(), Some("502"));
    assert_eq!(proxy.error.as_deref(), Some("<html>bad gateway: marzipan</html>"));
    let silent = failing(503, json, "");
    assert_eq!((silent.error_type.as_deref(), silent.error.as_deref()), (Some("503"), Some("HTTP status 503")));
}

#[test]
fn a_secret_in_an_error_is_not_kept() {
    let body =
        r#"{"error":{"message":"Incorrect API key provided: sk-abcdefghijklmnopqrstuvwx","code":"invalid_api_key"}}"#;
    let span = failing(401, "application/json", body);
    assert!(!format!("{span:?}").contains("abcdefghij"), "{:?}", span.error);
}

#[test]
fn an_error_in_the_middle_of_a_stream_fails_the_call_and_keeps_what_was_said() {
    let chunk = "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Earl\"}}]}\n\n";
    for error in [
        "data: {\"error\":{\"type\":\"server_error\",\"message\":\"marzipan\"}}\n\n",
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"server_error\",\"message\":\"marzipan\"}}\n\n",
        "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"marzipan\"}\n\n",
    ] {
        let seen = Seen { content_type: "text/event-stream", ..fixtures::openai_chat().seen };
        let span = seen.in_all_cuts(format!("{chunk}{error}").as_bytes());
        assert_eq!(span.status, RecordedStatus::Failed);
        assert_eq!((span.error_type.as_deref(), span.error.as_deref()), (Some("server_error"), Some("marzipan")));
        assert_eq!(span.output, Some(json!("Earl")));
    }
    let mut stream = message(
        &[(":message-type", "event"), (":event-type", "contentBlockDelta")],
        br#"{"contentBlockIndex":0,"delta":{"text":"Earl"}}"#,
    );
    stream.extend(message(
        &[(":exception-type", "throttlingException"), (":message-type", "exception")],
        br#"{"message":"less marzipan"}"#,
    ));
    let content_type = "application/vnd.amazon.eventstream";
    let span = Seen { content_type, ..fixtures::converse().seen }.in_all_cuts(&stream);
    assert_eq!(span.error_type.as_deref(), Some("throttlingException"));
    assert_eq!(span.error.as_deref(), Some("less marzipan"));
    assert_eq!(span.output, Some(json!("Earl")));
}

#[test]
fn a_stream_that_is_cut_off_fails_as_incomplete() {
    for fixture in fixtures::all() {
        for (content_type, answer) in &fixture.answers {
            let half = &answer[..answer.len() / 2];
            let span = Seen { content_type, ..fixture.seen }.in_pieces([half]);
            assert_eq!(span.status, RecordedStatus::Failed, "{content_type} {}", span.name);
            assert_eq!(span.error_type.as_deref(), Some("incomplete"));
        }
    }
}

#[test]
fn a_connection_that_fails_is_the_calls_failure_and_what_was_seen_stays() {
    let recorder = Recorder::install();
    let fixture = fixtures::openai_chat();
    start_trace("bot").run(|| {
        let mut call = fixture.seen.begin().unwrap();
        call.answered(200, Some("text/event-stream"), |name| (name == "x-request-id").then(|| "req-1".to_owned()));
        call.chunk(before(&fixture.answers[1].1, " with marzipan"));
        call.failed(&"connection reset");
        fixture.seen.begin().unwrap().failed(&"dns error");
    });
    let [broken, unsent] = &recorder.spans()[..] else { panic!("two calls") };
    assert_eq!((broken.error_type.as_deref(), broken.error.as_deref()), (Some("transport"), Some("connection reset")));
    assert_eq!(broken.output, Some(json!("Earl Grey,")));
    assert_eq!(broken.call.request_id.as_deref(), Some("req-1"));
    assert_eq!((unsent.error.as_deref(), unsent.call.http_status), (Some("dns error"), None));
}

#[test]
fn a_stream_that_its_consumer_drops_ends_well_and_says_so() {
    let recorder = Recorder::install();
    let fixture = fixtures::anthropic();
    start_trace("bot").run(|| {
        let mut call = fixture.seen.begin().unwrap();
        call.answered(200, Some("text/event-stream"), |_| None);
        call.chunk(before(&fixture.answers[1].1, "with marzipan"));
        drop(call);
    });
    let span = recorder.spans().remove(0);
    assert_eq!(span.status, RecordedStatus::Completed);
    assert!(span.call.stopped);
    assert_eq!(span.output.unwrap()[0]["parts"][1]["content"], "Earl Grey, ");
    assert_eq!(span.usage.map(|usage| usage.input), Some(25));
}

#[test]
fn an_answer_whose_body_nobody_reads_ends_well_and_says_so() {
    let recorder = Recorder::install();
    start_trace("bot").run(|| {
        for status in [200, 429] {
            let mut call = fixtures::anthropic().seen.begin().unwrap();
            call.answered(status, Some("text/event-stream"), |_| None);
        }
    });
    let [unread, refused] = &recorder.spans()[..] else { panic!("two calls") };
    assert_eq!((unread.status, unread.call.stopped), (RecordedStatus::Completed, true));
    assert_eq!((refused.error_type.as_deref(), refused.call.stopped), (Some("429"), false));
}

#[test]
fn a_call_that_is_dropped_before_it_is_answered_is_cancelled() {
    let recorder = Recorder::install();
    start_trace("bot").run(|| drop(fixtures::openai_chat().seen.begin().unwrap()));
    let span = recorder.spans().remove(0);
    assert_eq!((span.status, span.error_type.as_deref()), (RecordedStatus::Failed, Some("cancelled")));
}

#[test]
fn the_span_ends_at_the_streams_own_last_event() {
    for fixture in fixtures::all() {
        for (content_type, answer) in &fixture.answers {
            // Google's streams have no such event.
            if fixture.seen.host.contains("google") && *answer != fixture.answers[0].1 {
                continue;
            }
            let recorder = Recorder::install();
            start_trace("bot").run(|| {
                let mut call = fixture.seen.begin().unwrap();
                call.answered(200, Some(content_type), |_| None);
                call.chunk(answer);
                assert_eq!(recorder.spans().len(), 1, "{content_type} of {}", fixture.seen.path);
                call.chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\"late\"}}]}\n\n");
            });
            let span = recorder.spans().remove(0);
            assert_eq!((span.status, span.call.stopped), (RecordedStatus::Completed, false));
        }
    }
}

#[test]
fn a_response_that_comes_as_a_value_says_the_same() {
    for fixture in fixtures::all() {
        let (content_type, answer) = &fixture.answers[0];
        let seen = Seen { content_type, ..fixture.seen };
        let recorder = Recorder::install();
        start_trace("bot").tenant("acme").run(|| {
            let mut call = seen.begin().unwrap();
            call.answered(200, None, |_| None);
            call.response(&serde_json::from_slice::<serde_json::Value>(answer).unwrap());
        });
        assert_eq!(said(&recorder.spans()[0]), said(&seen.in_pieces([answer.as_slice()])));
    }
}

#[test]
fn tokens_that_only_the_head_tells_are_counted() {
    let recorder = Recorder::install();
    start_trace("bot").run(|| {
        let request = Request::new("POST", "bedrock-runtime.eu-west-1.amazonaws.com", "/model/mistral.small/invoke");
        let mut call = Exchange::begin(&request).unwrap();
        call.answered(200, Some("application/json"), |name| match name {
            "x-amzn-bedrock-input-token-count" => Some("12".to_owned()),
            "x-amzn-bedrock-output-token-count" => Some("3".to_owned()),
            _ => None,
        });
        call.chunk(br#"{"outputs":[{"text":"Earl Grey","stop_reason":"stop"}]}"#);
    });
    assert_eq!(recorder.spans()[0].usage, Some(TokenUsage::new(12, 3)));
    assert_eq!(recorder.spans()[0].model.as_deref(), Some("mistral.small"));
}

#[test]
fn requests_that_are_no_calls_of_models_are_left_alone() {
    let recorder = Recorder::install();
    let chat = fixtures::openai_chat();
    start_trace("bot").run(|| {
        for (method, host, path, body) in [
            ("GET", "api.openai.com", "/v1/chat/completions", ""),
            ("POST", "api.openai.com", "/v1/files", "{}"),
            ("POST", "api.anthropic.com", "/v1/messages/batches", "{}"),
            ("POST", "shop.example", "/api/chat", r#"{"room":1,"text":"hi"}"#),
            ("POST", "shop.example", "/v1/messages", r#"{"messages":[]}"#),
            ("POST", "shop.example", "/responses", ""),
            ("POST", "shop.example", "/model/7/save", r#"{"model":"m","input":"i"}"#),
        ] {
            let request = Request::new(method, host, path).body(body.as_bytes());
            assert!(Exchange::begin(&request).is_none(), "{method} {host}{path}");
        }
        let vllm = Request::new("POST", "10.0.0.7:8000", "/v1/responses").body(br#"{"model":"m","input":"i"}"#);
        assert!(Exchange::begin(&vllm).is_some(), "known by what is asked");
    });
    assert!(chat.seen.begin().is_none(), "outside any trace");
    assert_eq!(recorder.spans().len(), 1);
}

#[test]
fn a_body_that_nobody_knows_gives_a_span_with_what_is_known() {
    for (content_type, body, output) in [
        ("application/json", r#"{"shape":"of a hologram"}"#, Some(json!(r#"{"shape":"of a hologram"}"#))),
        ("application/json", "", None),
        ("text/plain", "marzipan, as a transcript", Some(json!("marzipan, as a transcript"))),
        ("text/event-stream", "data: {\"beam\":7}\n\ndata: no json\n\n", None),
        ("application/vnd.amazon.eventstream", "not such a stream at all", None),
        ("application/octet-stream", "\u{1}\u{2}", Some(json!("\u{1}\u{2}"))),
    ] {
        let span = Seen { content_type, ..fixtures::openai_chat().seen }.in_all_cuts(body.as_bytes());
        assert_eq!((span.status, &span.output), (RecordedStatus::Completed, &output), "{body}");
        assert_eq!((span.model.as_deref(), span.call.http_status), (Some("gpt-4o"), Some(200)));
    }
}

#[test]
fn an_exchange_may_be_sent_to_another_thread_and_ends_there_under_its_own_tenant() {
    let recorder = Recorder::install();
    let fixture = fixtures::openai_chat();
    let call = start_trace("bot").tenant("acme").run(|| fixture.seen.begin().unwrap());
    std::thread::spawn(move || {
        let mut call = call;
        call.answered(200, Some("application/json"), |_| None);
        call.chunk(&fixture.answers[0].1);
    })
    .join()
    .unwrap();
    assert_eq!(recorder.spans()[0].tenant.as_ref().unwrap(), "acme");
    assert_eq!(recorder.spans()[0].output, Some(json!("Earl Grey, with marzipan.")));
}
