use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use reqwest::Client;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracium::TokenUsage;
use tracium::reqwest_middleware::{ContextMiddleware, LlmMiddleware};
use tracium::testing::{RecordedStatus, Recorder};
use tracium_tests_llm_clients::{
    KEY, PROMPT, REPLY, Server, calls, chat, chat_stream, events, json, paced, raw, traced,
};

fn client() -> ClientWithMiddleware {
    ClientBuilder::new(Client::new()).with(LlmMiddleware::new()).with(ContextMiddleware).build()
}

fn request(fields: &Value) -> String {
    let mut body = json!({"model": "some-model"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body.to_string()
}

#[tokio::test]
async fn the_apis_of_all_providers_are_told_by_their_paths() {
    let messages = json!({"messages": [{"role": "user", "content": PROMPT}]});
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]});
    // Path, request, answer, tokens read and written.
    let cases = [
        ("/v1/chat/completions", messages.clone(), chat(REPLY), (21, 8)),
        ("/openai/deployments/d/chat/completions?api-version=1", messages.clone(), chat(REPLY), (21, 8)),
        (
            "/v1/completions",
            json!({"prompt": PROMPT}),
            json!({"model": "m", "choices": [{"text": REPLY, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 4, "completion_tokens": 5}}),
            (4, 5),
        ),
        (
            "/v1/responses",
            json!({"input": PROMPT}),
            json!({"id": "resp_1", "object": "response", "model": "m", "status": "completed",
                "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": REPLY}]}],
                "usage": {"input_tokens": 4, "output_tokens": 5}}),
            (4, 5),
        ),
        (
            "/v1/messages",
            messages.clone(),
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
                "content": [{"type": "text", "text": REPLY}], "usage": {"input_tokens": 4, "output_tokens": 5}}),
            (4, 5),
        ),
        (
            "/v1beta/models/gemini-2.5-flash:generateContent?key=secret-in-a-query",
            contents,
            json!({"modelVersion": "gemini-2.5-flash",
                "candidates": [{"content": {"role": "model", "parts": [{"text": REPLY}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 5}}),
            (4, 5),
        ),
        (
            "/v2/chat",
            messages,
            json!({"id": "c", "finish_reason": "COMPLETE",
                "message": {"role": "assistant", "content": [{"type": "text", "text": REPLY}]},
                "usage": {"tokens": {"input_tokens": 4, "output_tokens": 5}}}),
            (4, 5),
        ),
    ];
    for (path, asked, answered, (read, written)) in cases {
        let recorder = Recorder::install();
        let answer = answered.clone();
        let server = Server::start(move |_| json(200, &answer)).await;
        let body = request(&asked);
        let text = traced("acme", async {
            let request = client().post(server.url(path)).header("authorization", format!("Bearer {KEY}"));
            let request = request.header("content-type", "application/json").body(body.clone());
            request.send().await.unwrap().text().await.unwrap()
        })
        .await;
        assert_eq!(text, answered.to_string(), "{path}");
        assert_eq!(server.seen()[0].body, body);
        assert_eq!(server.seen()[0].path, path);
        let call = calls(&recorder, 1).await.remove(0);
        assert_eq!(call.tenant.as_ref().unwrap(), "acme", "{path}");
        assert_eq!(call.usage.map(|usage| (usage.input, usage.output)), Some((read, written)), "{path}");
        assert!(call.output.as_ref().unwrap().to_string().contains(REPLY), "{path}");
        assert!(call.input.as_ref().unwrap().to_string().contains(PROMPT), "{path}");
        // The responses API says no more than that it is complete.
        assert_eq!(call.call.finish_reasons.len(), usize::from(path != "/v1/responses"), "{path}: {call:?}");
        let all = format!("{call:?}");
        assert!(!all.contains(KEY) && !all.contains("secret-in-a-query"), "{path}: {all}");
    }
}

#[tokio::test]
async fn what_is_no_call_of_a_model_passes_and_leaves_nothing() {
    let recorder = Recorder::install();
    let server = Server::start(|seen| raw("text/plain", seen.body)).await;
    traced("acme", async {
        for path in ["/", "/v1/models", "/v1/files", "/chat", "/v1/chat/completions/chatcmpl-1"] {
            let echoed = client().post(server.url(path)).body("hello").send().await.unwrap().bytes().await.unwrap();
            assert_eq!(echoed, "hello", "{path}");
        }
    })
    .await;
    assert!(recorder.spans().iter().all(|span| span.kind == "agent"), "{:?}", recorder.spans());
}

#[tokio::test]
async fn a_response_is_what_it_is_without_us() {
    let recorder = Recorder::install();
    let server = Server::start(|_| json(200, &chat(REPLY))).await;
    let url = server.url("/v1/chat/completions?a=b");
    let body = request(&json!({"messages": []}));
    let theirs = Client::new().post(&url).body(body.clone()).send().await.unwrap();
    let ours = traced("acme", client().post(&url).body(body).send()).await.unwrap();
    assert_eq!(ours.status(), theirs.status());
    assert_eq!(ours.version(), theirs.version());
    assert_eq!(ours.url(), theirs.url());
    assert_eq!(ours.content_length(), theirs.content_length());
    assert!(ours.content_length().is_some());
    assert_eq!(ours.remote_addr(), theirs.remote_addr());
    assert!(ours.remote_addr().is_some());
    assert_eq!(ours.extensions().len(), theirs.extensions().len());
    for (name, value) in theirs.headers() {
        assert!(name == "date" || ours.headers().get(name) == Some(value), "{name}");
    }
    assert_eq!(ours.bytes().await.unwrap(), theirs.bytes().await.unwrap());
    calls(&recorder, 1).await;
}

#[tokio::test]
async fn the_error_of_a_body_is_found_where_it_was() {
    let recorder = Recorder::install();
    let (send, chunks) = mpsc::unbounded_channel();
    let chunks = std::sync::Mutex::new(Some(chunks));
    let server = Server::start(move |_| paced("text/event-stream", chunks.lock().unwrap().take().unwrap())).await;
    send.send(Ok(Bytes::from(chat_stream(&["the"], false).remove(0)))).unwrap();
    let error = traced("acme", async {
        let request = client().post(server.url("/v1/chat/completions")).body(request(&json!({"messages": []})));
        // The rest never comes: what is waited for is this.
        let response = request.timeout(Duration::from_millis(300)).send().await.unwrap();
        response.bytes().await.unwrap_err()
    })
    .await;
    assert!(error.is_timeout(), "{error:?}");
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.status, RecordedStatus::Failed);
    assert!(call.error.as_ref().unwrap().contains("timed out"), "{call:?}");
}

#[tokio::test]
async fn the_request_itself_runs_under_the_calls_span() {
    let recorder = Recorder::install();
    let server = Server::start(|_| json(200, &chat(REPLY))).await;
    let body = request(&json!({"messages": []}));
    traced("acme", client().post(server.url("/v1/chat/completions")).body(body).send()).await.unwrap();
    let call = calls(&recorder, 1).await.remove(0);
    let parent = server.seen()[0].headers["traceparent"].to_str().unwrap().to_owned();
    assert_eq!(parent, format!("00-{}-{}-01", call.trace_id, call.id));
}

#[tokio::test]
async fn a_stream_is_asked_for_its_usage_only_where_that_is_switched_on() {
    let recorder = Recorder::install();
    let server =
        Server::start(|seen| events(chat_stream(&[REPLY], seen.json()["stream_options"]["include_usage"] == true)))
            .await;
    let client = ClientBuilder::new(Client::new()).with(LlmMiddleware::new().openai_include_usage()).build();
    let body = request(&json!({"stream": true, "temperature": 0.7, "messages": []}));
    traced("acme", async {
        let request = client.post(server.url("/v1/chat/completions")).header("content-length", body.len().to_string());
        let response = request.body(body).send().await.unwrap();
        response.bytes_stream().for_each(|chunk| async { drop(chunk.unwrap()) }).await;
    })
    .await;
    assert_eq!(calls(&recorder, 1).await[0].usage, Some(TokenUsage::new(21, 8)));
    assert_eq!(server.seen()[0].json()["stream_options"], json!({"include_usage": true}));
}
