//! A server on loopback that speaks OpenAI's protocol, as far as this example asks it to.

use std::convert::Infallible;

use async_openai::config::OpenAIConfig;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Starts it, and says where it is.
pub(crate) async fn config() -> std::io::Result<OpenAIConfig> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = Router::new().route("/v1/chat/completions", post(complete));
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(OpenAIConfig::new().with_api_base(format!("http://{address}/v1")).with_api_key("sk-stub"))
}

async fn complete(body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(&body) else { return refusal("this is no JSON") };
    let last = request["messages"].as_array().and_then(|messages| messages.last()).cloned().unwrap_or_default();
    let said = last["content"].as_str().unwrap_or_default();
    let usage = request["stream_options"]["include_usage"] == true;
    match last["role"].as_str() {
        Some("tool") => text(&["There", " are ", said, "."], usage),
        Some("user") if said.contains("fail") => refusal("the stub fails where it is asked to"),
        Some("user") if said.contains("stock") => call("stock", &["{\"item\"", ": \"tea\"}"], usage),
        _ => text(&["Hello", "! Ask", " me for", " tea."], usage),
    }
}

fn refusal(message: &str) -> Response {
    let error = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
    (axum::http::StatusCode::BAD_REQUEST, [(CONTENT_TYPE, "application/json")], error.to_string()).into_response()
}

fn text(pieces: &[&str], usage: bool) -> Response {
    let deltas = pieces.iter().map(|piece| json!({"content": piece}));
    answer(deltas.collect(), "stop", usage)
}

fn call(name: &str, arguments: &[&str], usage: bool) -> Response {
    let first = json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}});
    let rest = arguments.iter().map(|piece| json!({"index": 0, "function": {"arguments": piece}}));
    let deltas = std::iter::once(first).chain(rest).map(|call| json!({"tool_calls": [call]}));
    answer(deltas.collect(), "tool_calls", usage)
}

/// A stream of chunks, one by one.
fn answer(deltas: Vec<Value>, reason: &str, usage: bool) -> Response {
    let tokens = deltas.len();
    let choice = |delta: Value, reason: Option<&str>| json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
    let mut chunks = vec![(choice(json!({"role": "assistant", "content": ""}), None), Value::Null)];
    chunks.extend(deltas.into_iter().map(|delta| (choice(delta, None), Value::Null)));
    chunks.push((choice(json!({}), Some(reason)), Value::Null));
    if usage {
        let all = json!({"prompt_tokens": 40, "completion_tokens": tokens, "total_tokens": 40 + tokens});
        chunks.push((json!([]), all));
    }
    let events = chunks.into_iter().map(|(choices, usage)| {
        let chunk = json!({
            "id": "chatcmpl-stub", "object": "chat.completion.chunk", "created": 0, "model": "gpt-4o-mini-stub",
            "choices": choices, "usage": usage,
        });
        format!("data: {chunk}\n\n")
    });
    let events = events.chain(["data: [DONE]\n\n".to_owned()]).map(Ok::<_, Infallible>);
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(stream::iter(events.collect::<Vec<_>>()))).into_response()
}
