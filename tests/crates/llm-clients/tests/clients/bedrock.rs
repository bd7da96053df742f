use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use aws_sdk_bedrockruntime::config::{BehaviorVersion, Region};
use aws_sdk_bedrockruntime::primitives::Blob;
use aws_sdk_bedrockruntime::types::{ContentBlock, ConversationRole, ConverseStreamOutput, Message};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;
use tracium::TokenUsage;
use tracium::bedrock::LlmInterceptor;
use tracium::testing::{RecordedStatus, Recorder};
use tracium_tests_llm_clients::{KEY, PROMPT, REPLY, Server, bedrock_stream, calls, json, paced, raw, traced};

const MODEL: &str = "anthropic.claude-sonnet-4-5-v1:0";
const STREAM: &str = "application/vnd.amazon.eventstream";

fn client(server: &Server) -> Client {
    let config = aws_sdk_bedrockruntime::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(server.url(""))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", KEY, None, None, "test"))
        .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(std::time::Duration::ZERO))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .interceptor(LlmInterceptor::new());
    Client::from_conf(config.build())
}

fn question() -> Message {
    Message::builder().role(ConversationRole::User).content(ContentBlock::Text(PROMPT.to_owned())).build().unwrap()
}

#[tokio::test]
async fn converse_is_a_span_and_a_retry_another() {
    let recorder = Recorder::install();
    let server = Server::start(|seen| match seen.number {
        0 => json(503, &json!({"message": "come back later"})),
        _ => json(
            200,
            &json!({
                "output": {"message": {"role": "assistant", "content": [{"text": REPLY}]}}, "stopReason": "end_turn",
                "usage": {"inputTokens": 21, "outputTokens": 8, "totalTokens": 29}, "metrics": {"latencyMs": 5},
            }),
        ),
    })
    .await;
    let answer = traced("acme", client(&server).converse().model_id(MODEL).messages(question()).send()).await.unwrap();
    let message = answer.output().unwrap().as_message().unwrap();
    assert_eq!(message.content()[0].as_text().unwrap(), REPLY);

    let calls = calls(&recorder, 2).await;
    assert_eq!((calls[0].status, calls[0].call.http_status), (RecordedStatus::Failed, Some(503)));
    let call = &calls[1];
    assert_eq!((call.status, call.tenant.as_ref().unwrap().as_str()), (RecordedStatus::Completed, "acme"));
    assert_eq!(call.call.asked_model.as_deref(), Some(MODEL));
    assert_eq!(call.call.provider.as_deref(), Some("aws.bedrock"));
    assert_eq!(call.usage, Some(TokenUsage::new(21, 8)));
    assert!(call.input.as_ref().unwrap().to_string().contains(PROMPT));
    assert!(call.output.as_ref().unwrap().to_string().contains(REPLY));
    assert!(!format!("{calls:?}").contains(KEY));
}

#[tokio::test]
async fn each_event_of_converse_stream_is_there_before_the_next_is_sent() {
    let recorder = Recorder::install();
    let (send, chunks) = mpsc::unbounded_channel();
    let chunks = std::sync::Mutex::new(Some(chunks));
    let server = Server::start(move |_| paced(STREAM, chunks.lock().unwrap().take().unwrap())).await;
    let frames = bedrock_stream(&[
        ("messageStart", json!({"role": "assistant"})),
        ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "the celadon"}})),
        ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": " one"}})),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
        ("messageStop", json!({"stopReason": "end_turn"})),
        (
            "metadata",
            json!({"usage": {"inputTokens": 21, "outputTokens": 8, "totalTokens": 29}, "metrics": {"latencyMs": 5}}),
        ),
    ]);
    let mut texts = String::new();
    traced("acme", async {
        let mut frames = frames.into_iter();
        send.send(Ok(Bytes::from(frames.next().unwrap()))).unwrap();
        let request = client(&server).converse_stream().model_id(MODEL).messages(question());
        let mut stream = request.send().await.unwrap().stream;
        assert!(matches!(stream.recv().await.unwrap(), Some(ConverseStreamOutput::MessageStart(_))));
        for frame in frames {
            send.send(Ok(Bytes::from(frame))).unwrap();
            // Were the event held back, this would wait forever: the next is sent only after it.
            let event = stream.recv().await.unwrap().unwrap();
            if let ConverseStreamOutput::ContentBlockDelta(event) = event {
                texts.push_str(event.delta().unwrap().as_text().unwrap());
            }
        }
        drop(send);
        assert!(stream.recv().await.unwrap().is_none());
    })
    .await;
    assert_eq!(texts, "the celadon one");
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.status, RecordedStatus::Completed, "{call:?}");
    assert_eq!(call.usage, Some(TokenUsage::new(21, 8)));
    assert_eq!(call.call.finish_reasons, ["end_turn"]);
    assert!(call.call.time_to_first_token.is_some());
    assert!(call.output.unwrap().to_string().contains("the celadon one"));
}

#[tokio::test]
async fn a_stream_that_is_dropped_half_way_ends_its_span() {
    let recorder = Recorder::install();
    let (send, chunks) = mpsc::unbounded_channel();
    let chunks = std::sync::Mutex::new(Some(chunks));
    let server = Server::start(move |_| paced(STREAM, chunks.lock().unwrap().take().unwrap())).await;
    let frames = bedrock_stream(&[
        ("messageStart", json!({"role": "assistant"})),
        ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "the celadon"}})),
    ]);
    frames.into_iter().for_each(|frame| send.send(Ok(Bytes::from(frame))).unwrap());
    traced("acme", async {
        let request = client(&server).converse_stream().model_id(MODEL).messages(question());
        let mut stream = request.send().await.unwrap().stream;
        stream.recv().await.unwrap().unwrap();
        stream.recv().await.unwrap().unwrap();
    })
    .await;
    let call = calls(&recorder, 1).await.remove(0);
    assert!(call.call.stopped, "{call:?}");
    assert!(call.output.unwrap().to_string().contains("the celadon"));
}

#[tokio::test]
async fn invoke_is_a_span_in_its_models_shape() {
    let recorder = Recorder::install();
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": REPLY}], "usage": {"input_tokens": 21, "output_tokens": 8},
    });
    let whole = answer.clone();
    let server = Server::start(move |_| json(200, &whole)).await;
    let asked = json!({"anthropic_version": "x", "max_tokens": 9, "messages": [{"role": "user", "content": PROMPT}]});
    let output = traced("acme", async {
        let request = client(&server).invoke_model().model_id(MODEL).content_type("application/json");
        request.body(Blob::new(asked.to_string())).send().await.unwrap()
    })
    .await;
    assert_eq!(output.body().as_ref(), answer.to_string().as_bytes());
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.usage, Some(TokenUsage::new(21, 8)), "{call:?}");
    assert_eq!(call.call.asked_model.as_deref(), Some(MODEL));
    assert!(call.input.unwrap().to_string().contains(PROMPT));
    assert!(call.output.unwrap().to_string().contains(REPLY));
}

#[tokio::test]
async fn invoke_with_a_stream_is_a_span_in_its_models_shape() {
    let recorder = Recorder::install();
    let inner = [
        json!({"type": "message_start", "message": {"role": "assistant", "model": "claude", "content": [],
            "usage": {"input_tokens": 21, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "the celadon"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " one"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 8}}),
        json!({"type": "message_stop"}),
    ];
    let frames: Vec<_> =
        inner.iter().map(|event| ("chunk", json!({"bytes": BASE64.encode(event.to_string())}))).collect();
    let frames = bedrock_stream(&frames);
    let sent = frames.len();
    let server = Server::start(move |_| raw(STREAM, frames.concat())).await;
    let asked = json!({"anthropic_version": "x", "max_tokens": 9, "messages": [{"role": "user", "content": PROMPT}]});
    let mut received = 0;
    traced("acme", async {
        let request = client(&server).invoke_model_with_response_stream().model_id(MODEL);
        let request = request.content_type("application/json").body(Blob::new(asked.to_string()));
        let mut stream = request.send().await.unwrap().body;
        while let Some(event) = stream.recv().await.unwrap() {
            received += usize::from(event.as_chunk().is_ok());
        }
    })
    .await;
    assert_eq!(received, sent);
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.status, RecordedStatus::Completed, "{call:?}");
    assert_eq!(call.usage.map(|usage| (usage.input, usage.output)), Some((21, 8)), "{call:?}");
    assert_eq!(call.call.finish_reasons, ["end_turn"]);
    assert!(call.call.time_to_first_token.is_some());
    assert!(call.output.unwrap().to_string().contains("the celadon one"));
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_each_attempt() {
    let recorder = Recorder::install();
    let server = Server::start(|_| json(200, &json!({}))).await;
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let config = client(&server).config().to_builder().endpoint_url(gone).build();
    let request = Client::from_conf(config).converse().model_id(MODEL).messages(question());
    traced("acme", request.send()).await.unwrap_err();
    for call in calls(&recorder, 2).await {
        assert_eq!(call.status, RecordedStatus::Failed);
        assert_eq!(call.error_type.as_deref(), Some("transport"));
    }
}
