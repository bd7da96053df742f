//! Answers in their providers' shapes.

use serde_json::{Value, json};

/// OpenAI's whole answer.
pub fn chat(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 21, "completion_tokens": 8, "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 16}, "completion_tokens_details": {"reasoning_tokens": 3},
        },
    })
}

fn chunk(choices: &Value, usage: &Value) -> String {
    let chunk = json!({
        "id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06",
        "choices": choices, "usage": usage,
    });
    format!("data: {chunk}\n\n")
}

fn delta(delta: &Value, reason: Option<&str>) -> String {
    chunk(&json!([{"index": 0, "delta": delta, "finish_reason": reason}]), &Value::Null)
}

fn end(usage: bool) -> Vec<String> {
    let tokens = json!({"prompt_tokens": 21, "completion_tokens": 8, "total_tokens": 29});
    let usage = usage.then(|| chunk(&json!([]), &tokens));
    usage.into_iter().chain(["data: [DONE]\n\n".to_owned()]).collect()
}

/// OpenAI's answer in events, with its tokens where `usage`.
pub fn chat_stream(pieces: &[&str], usage: bool) -> Vec<String> {
    let mut events = vec![delta(&json!({"role": "assistant", "content": ""}), None)];
    events.extend(pieces.iter().map(|piece| delta(&json!({"content": piece}), None)));
    events.push(delta(&json!({}), Some("stop")));
    events.extend(end(usage));
    events
}

/// OpenAI's call of a tool in events, whose arguments come in pieces.
pub fn tool_stream(name: &str, arguments: &[&str]) -> Vec<String> {
    let first = json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}});
    let mut events = vec![delta(&json!({"role": "assistant", "tool_calls": [first]}), None)];
    events.extend(
        arguments
            .iter()
            .map(|piece| delta(&json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}), None)),
    );
    events.push(delta(&json!({}), Some("tool_calls")));
    events.extend(end(true));
    events
}

/// OpenAI's error.
pub fn error(message: &str, kind: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": null}})
}

/// Bedrock's answer as an AWS event stream: frames of a header, JSON, and two checksums.
pub fn bedrock_stream(events: &[(&str, Value)]) -> Vec<Vec<u8>> {
    events.iter().map(|(kind, payload)| frame(kind, payload.to_string().as_bytes())).collect()
}

fn frame(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in [(":message-type", "event"), (":event-type", kind), (":content-type", "application/json")] {
        headers.push(u8::try_from(name.len()).unwrap());
        headers.extend(name.as_bytes());
        headers.push(7); // a text
        headers.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        headers.extend(value.as_bytes());
    }
    let mut frame = Vec::new();
    frame.extend(u32::try_from(16 + headers.len() + payload.len()).unwrap().to_be_bytes());
    frame.extend(u32::try_from(headers.len()).unwrap().to_be_bytes());
    frame.extend(crc32(&frame).to_be_bytes());
    frame.extend(headers);
    frame.extend(payload);
    frame.extend(crc32(&frame).to_be_bytes());
    frame
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}
