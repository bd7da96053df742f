//! However much passes, little is kept; and the tokens at the end are still read.

use serde_json::json;

use super::fixtures;
use super::{Seen, said};
use crate::TokenUsage;
use crate::llm::body::Body;

/// The most that may be held of one answer.
const MOST: usize = 1 << 20;

#[test]
fn a_stream_without_end_holds_no_more_than_its_bound() {
    let word = "marzipan, ".repeat(1_000);
    let chunk = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}\n\n");
    let mut body = Body::default();
    body.begin(Some("text/event-stream"), false);
    let mut most = 0;
    for _ in 0..6_000 {
        body.feed(chunk.as_bytes());
        most = most.max(body.held());
    }
    assert!(chunk.len() * 6_000 > 50 * MOST);
    assert!(most < MOST, "{most}");
    let last = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":7}}\n\n";
    body.feed(last.as_bytes());
    assert_eq!(body.answer(None).usage, Some(TokenUsage::new(1, 7)));
}

#[test]
fn new_answers_blocks_and_calls_without_end_hold_no_more_than_the_bound() {
    let mut bodies: Vec<Body> = (0..3).map(|_| Body::default()).collect();
    for body in &mut bodies {
        body.begin(Some("text/event-stream"), false);
    }
    for n in 0..10_000 {
        let name = format!("{n}{}", "n".repeat(500));
        let events = [
            format!("data: {{\"choices\":[{{\"index\":{n},\"delta\":{{\"content\":\"{name}\"}}}}]}}\n\n"),
            format!(
                "data: {{\"type\":\"content_block_start\",\"index\":{n},\"content_block\":{{\"type\":\"x\",\"y\":\"{name}\"}}}}\n\n"
            ),
            format!(
                "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"functionCall\":{{\"name\":\"{name}\"}}}}]}}}}]}}\n\n"
            ),
        ];
        for (body, event) in bodies.iter_mut().zip(&events) {
            body.feed(event.as_bytes());
            assert!(body.held() < MOST);
        }
    }
}

#[test]
fn one_event_or_one_answer_without_end_holds_no_more_than_its_bound() {
    let begun = [
        ("text/event-stream", "data: {\"choices\":[{\"delta\":{\"content\":\""),
        ("application/json", "{\"choices\":[{\"message\":{\"content\":\""),
        ("application/json", "[[[["),
        ("application/json", "{\"a\":[1,2"),
        ("text/plain", "data"),
        ("application/json", "{\"k"),
        ("text/event-stream", "data"),
    ];
    for (content_type, begin) in begun {
        for piece in ["x".repeat(64 << 10), "[".repeat(64 << 10), ",1".repeat(32 << 10), "\\u0041".repeat(8 << 10)] {
            let mut body = Body::default();
            body.begin(Some(content_type), false);
            body.feed(begin.as_bytes());
            for _ in 0..40 {
                body.feed(piece.as_bytes());
                assert!(body.held() < MOST, "{begin}");
            }
            body.end();
            body.answer(None);
        }
    }
}

#[test]
fn a_long_text_is_cut_and_what_follows_it_is_read() {
    let text = "marzipan ".repeat(300_000);
    let answer = format!(
        "{{\"choices\":[{{\"message\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":3,\"completion_tokens\":9}}}}"
    );
    let span = fixtures::openai_chat().seen.in_pieces(answer.as_bytes().chunks(4_096));
    let output = span.output.unwrap();
    let output = output.as_str().unwrap();
    assert!(
        output.starts_with("marzipan marzipan ") && output.ends_with(" bytes cut]"),
        "{}",
        &output[output.len() - 40..]
    );
    assert!(output.len() < 110_000);
    assert_eq!(span.usage, Some(TokenUsage::new(3, 9)));
    assert_eq!(span.call.finish_reasons, ["stop"]);
}

#[test]
fn a_picture_becomes_a_note_of_its_size() {
    let picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ".repeat(20_000);
    let answer =
        format!("{{\"data\":[{{\"b64_json\":\"{picture}\"}}],\"usage\":{{\"input_tokens\":1,\"output_tokens\":2}}}}");
    let path = "/v1/images/generations";
    let request = br#"{"model":"gpt-image-1","prompt":"marzipan"}"#;
    let span = Seen { path, request, ..fixtures::openai_chat().seen }.in_pieces([answer.as_bytes()]);
    let bytes = picture.len() / 4 * 3;
    assert_eq!(span.output, Some(json!([{"b64_json": format!("[base64, {bytes} bytes]")}])));
    assert_eq!(span.usage, Some(TokenUsage::new(1, 2)));

    let url = format!("data:image/png;base64,{picture}");
    let request = format!(
        "{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":[{{\"type\":\"image_url\",\"image_url\":{{\"url\":\"{url}\"}}}}]}}]}}"
    );
    let asked = Seen { request: request.as_bytes(), ..fixtures::openai_chat().seen };
    let span = asked.in_pieces([fixtures::openai_chat().answers[0].1.as_slice()]);
    assert!(said(&span).contains(&format!("[data image/png, {bytes} bytes]")), "{:?}", span.input);
}

/// What is no count and no place is not kept, whatever a stream says in its stead.
#[test]
fn names_of_counts_and_places_without_end_are_not_kept() {
    for stream in ["anthropic", "chat"] {
        let mut body = Body::default();
        body.begin(Some("text/event-stream"), false);
        let long = "n".repeat(3_000);
        for n in 0..300 {
            let event = match stream {
                "anthropic" => {
                    json!({"type": "message_delta", "usage": {format!("{n}{}", &long[..200]): "x", "output_tokens": n}})
                }
                _ => json!({"choices": [{"index": {"n": n, "long": long}, "delta": {"content": "tea", "tool_calls": [
                        {"index": [n, long], "function": {"name": "look"}},
                    ]}}], "usage": {"prompt_tokens": 0, "completion_tokens": n}}),
            };
            body.feed(format!("data: {event}\n\n").as_bytes());
        }
        let answer = body.answer(None);
        assert_eq!(answer.usage, Some(TokenUsage::new(0, 299)), "{stream}");
        assert!(format!("{answer:?}").len() < 10_000, "{stream}");
    }
}
