//! Calls of models: whatever is asked and answered, in pieces cut anywhere, is a span.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracium_runtime::llm::{Exchange, Request};
use tracium_runtime::testing::Recorder;

/// Where requests go, and what their answers say that they are.
const CALLS: [(&str, &str, &str); 9] = [
    ("api.openai.com", "/v1/chat/completions", "text/event-stream"),
    ("api.openai.com", "/v1/responses", "text/event-stream"),
    ("api.openai.com", "/v1/embeddings", "application/json"),
    ("api.anthropic.com", "/v1/messages", "text/event-stream"),
    ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.0-flash:streamGenerateContent", "application/json"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "/model/m/converse-stream", "application/vnd.amazon.eventstream"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "/model/m/invoke", "application/json"),
    ("api.cohere.com", "/v2/chat", "text/event-stream"),
    ("localhost:11434", "/api/chat", "application/x-ndjson"),
];

// The first byte names the call, the second how the answer is cut; a line break ends the request.
fuzz_target!(|data: &[u8]| {
    let [call, cut, data @ ..] = data else { return };
    let (host, path, content_type) = CALLS[usize::from(*call) % CALLS.len()];
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (asked, answer) = data.split_at(end);
    let recorder = Recorder::install();
    tracium_runtime::start_trace("fuzz").run(|| {
        let Some(mut call) = Exchange::begin(&Request::new("POST", host, path).body(asked)) else { return };
        call.answered(200, Some(content_type), |_| None);
        for piece in answer.chunks(usize::from(*cut).max(1)) {
            call.chunk(piece);
        }
        call.end();
    });
    assert!(recorder.spans().len() <= 1);
});
