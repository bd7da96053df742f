use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessage, ChatCompletionTool, ChatCompletionTools, CreateChatCompletionRequest,
    FunctionObject,
};
use async_openai::types::embeddings::CreateEmbeddingRequest;
use bytes::Bytes;
use futures::StreamExt;
use serde_json::json;
use tokio::sync::mpsc;
use tracium::TokenUsage;
use tracium::async_openai::LlmLayer;
use tracium::testing::{RecordedStatus, Recorder};
use tracium_tests_llm_clients::{
    KEY, PROMPT, REPLY, Server, calls, chat, chat_stream, error, events, json, paced, tool_stream, traced,
};

fn client(server: &Server) -> Client<OpenAIConfig> {
    client_with(server, LlmLayer::new())
}

fn client_with(server: &Server, layer: LlmLayer) -> Client<OpenAIConfig> {
    let config = OpenAIConfig::new().with_api_base(server.url("/v1")).with_api_key(KEY);
    Client::with_config(config).with_http_service(layer.service(reqwest::Client::new()))
}

fn question() -> CreateChatCompletionRequest {
    CreateChatCompletionRequest {
        model: "gpt-4o".to_owned(),
        messages: vec![ChatCompletionRequestUserMessage::from(PROMPT).into()],
        ..Default::default()
    }
}

#[tokio::test]
async fn a_call_is_a_span_with_all_that_was_asked_and_answered() {
    let recorder = Recorder::install();
    let server = Server::start(|_| json(200, &chat(REPLY))).await;
    let reply = traced("acme", client(&server).chat().create(question())).await.unwrap();
    assert_eq!(reply.choices[0].message.content.as_deref(), Some(REPLY));

    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!((call.name.as_str(), call.status), ("chat gpt-4o", RecordedStatus::Completed));
    assert_eq!(call.tenant.unwrap(), "acme");
    assert_eq!(call.call.asked_model.as_deref(), Some("gpt-4o"));
    assert_eq!(call.call.answered_model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!(call.call.finish_reasons, ["stop"]);
    assert_eq!(call.call.request_id.as_deref(), Some("req-7"));
    assert_eq!(call.usage, Some(TokenUsage::new(21, 8).cached_input(16).reasoning(3)));
    assert_eq!(call.input, Some(json!([{"role": "user", "content": PROMPT}])));
    assert!(call.output.unwrap().to_string().contains(REPLY));
}

#[tokio::test]
async fn what_is_sent_is_what_is_sent_without_us() {
    let server = Server::start(|seen| {
        if seen.json()["stream"] == true { events(chat_stream(&[REPLY], false)) } else { json(200, &chat(REPLY)) }
    })
    .await;
    let config = OpenAIConfig::new().with_api_base(server.url("/v1")).with_api_key(KEY);
    let plain = Client::with_config(config);
    for client in [plain, client(&server)] {
        client.chat().create(question()).await.unwrap();
        let stream = client.chat().create_stream(question()).await.unwrap();
        assert_eq!(stream.count().await, 3);
    }
    // Outside any trace nothing is recorded; within one nothing else is sent either.
    let recorder = Recorder::install();
    traced("acme", client(&server).chat().create(question())).await.unwrap();
    calls(&recorder, 1).await;
    let seen = server.seen();
    for (ours, theirs) in [(2, 0), (3, 1), (4, 0)] {
        assert_eq!(seen[ours].body, seen[theirs].body);
        assert_eq!(seen[ours].headers, seen[theirs].headers);
        assert_eq!(seen[ours].path, seen[theirs].path);
    }
}

#[tokio::test]
async fn each_piece_of_a_stream_is_there_before_the_next_is_sent() {
    let recorder = Recorder::install();
    let (send, chunks) = mpsc::unbounded_channel();
    let chunks = std::sync::Mutex::new(Some(chunks));
    let server = Server::start(move |_| paced("text/event-stream", chunks.lock().unwrap().take().unwrap())).await;
    traced("acme", async {
        let pieces = ["the ", "celadon ", "one"];
        let mut rest = chat_stream(&pieces, true).into_iter();
        // The first event has no text: the span is told apart from it by what comes after.
        send.send(Ok(Bytes::from(rest.next().unwrap()))).unwrap();
        let mut stream = client(&server).chat().create_stream(question()).await.unwrap();
        assert!(stream.next().await.unwrap().is_ok());
        for piece in pieces {
            send.send(Ok(Bytes::from(rest.next().unwrap()))).unwrap();
            // Were the piece held back, this would wait forever: the next is sent only after it.
            let chunk = stream.next().await.unwrap().unwrap();
            assert_eq!(chunk.choices[0].delta.content.as_deref(), Some(piece));
        }
        rest.for_each(|event| send.send(Ok(Bytes::from(event))).unwrap());
        drop(send);
        assert_eq!(stream.count().await, 2, "the reason to stop, and the tokens");
    })
    .await;
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.status, RecordedStatus::Completed);
    assert!(call.call.time_to_first_token.is_some());
    assert!(!call.call.stopped);
    assert_eq!(call.call.finish_reasons, ["stop"]);
    assert_eq!(call.usage, Some(TokenUsage::new(21, 8)));
    assert!(call.output.unwrap().to_string().contains("the celadon one"));
}

#[tokio::test]
async fn a_stream_that_is_dropped_half_way_ends_its_span_with_what_was_seen() {
    let recorder = Recorder::install();
    let (send, chunks) = mpsc::unbounded_channel();
    let chunks = std::sync::Mutex::new(Some(chunks));
    let server = Server::start(move |_| paced("text/event-stream", chunks.lock().unwrap().take().unwrap())).await;
    traced("acme", async {
        for event in chat_stream(&["the celadon", " one"], true).into_iter().take(2) {
            send.send(Ok(Bytes::from(event))).unwrap();
        }
        let mut stream = client(&server).chat().create_stream(question()).await.unwrap();
        stream.next().await.unwrap().unwrap();
        stream.next().await.unwrap().unwrap();
        drop(stream);
    })
    .await;
    let call = calls(&recorder, 1).await.remove(0);
    assert!(call.call.stopped, "{call:?}");
    assert_eq!(call.status, RecordedStatus::Completed, "no failure of the model: {:?}", call.error);
    assert!(call.output.unwrap().to_string().contains("the celadon"));
    drop(send);
}

#[tokio::test]
async fn a_stream_that_is_cut_fails_for_the_client_and_in_its_span() {
    let recorder = Recorder::install();
    let (send, chunks) = mpsc::unbounded_channel();
    let chunks = std::sync::Mutex::new(Some(chunks));
    let server = Server::start(move |_| paced("text/event-stream", chunks.lock().unwrap().take().unwrap())).await;
    traced("acme", async {
        send.send(Ok(Bytes::from(chat_stream(&["the"], true)[..2].concat()))).unwrap();
        let mut stream = client(&server).chat().create_stream(question()).await.unwrap();
        stream.next().await.unwrap().unwrap();
        stream.next().await.unwrap().unwrap();
        send.send(Err(std::io::ErrorKind::ConnectionReset.into())).unwrap();
        assert!(matches!(stream.next().await, Some(Err(OpenAIError::StreamError(_)))));
    })
    .await;
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.status, RecordedStatus::Failed);
    assert_eq!(call.error_type.as_deref(), Some("transport"));
    assert!(call.output.unwrap().to_string().contains("the"));
}

#[tokio::test]
async fn tools_are_seen_as_offered_and_as_called() {
    let recorder = Recorder::install();
    let server = Server::start(|_| events(tool_stream("stock", &["{\"item\"", ":\"tea\"}"]))).await;
    let function = FunctionObject { name: "stock".to_owned(), description: None, parameters: None, strict: None };
    let request = CreateChatCompletionRequest {
        tools: Some(vec![ChatCompletionTools::Function(ChatCompletionTool { function })]),
        ..question()
    };
    traced("acme", async {
        let stream = client(&server).chat().create_stream(request).await.unwrap();
        assert!(stream.all(|chunk| async move { chunk.is_ok() }).await);
    })
    .await;
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.call.finish_reasons, ["tool_calls"]);
    assert!(call.tools.unwrap().to_string().contains("stock"));
    let called = call.tool_calls.unwrap().to_string();
    assert!(called.contains("stock") && called.contains("tea"), "{called}");
}

#[tokio::test]
async fn retries_are_as_the_client_makes_them_and_each_attempt_is_a_span() {
    let recorder = Recorder::install();
    let server = Server::start(|seen| match seen.number {
        0 => json(429, &error("slow down", "requests")),
        1 => json(500, &error("oops", "server_error")),
        _ => json(200, &chat(REPLY)),
    })
    .await;
    traced("acme", client(&server).chat().create(question())).await.unwrap();
    assert_eq!(server.seen().len(), 3);
    let calls = calls(&recorder, 3).await;
    let outcomes: Vec<_> = calls.iter().map(|call| (call.status, call.call.http_status)).collect();
    let (well, failed) = (RecordedStatus::Completed, RecordedStatus::Failed);
    assert_eq!(outcomes, [(failed, Some(429)), (failed, Some(500)), (well, Some(200))]);
    assert!(calls[0].error.as_ref().unwrap().contains("slow down"), "{:?}", calls[0]);
}

#[tokio::test]
async fn a_used_up_quota_is_not_tried_again_and_an_error_is_the_callers_as_before() {
    let recorder = Recorder::install();
    let server = Server::start(|seen| match seen.number {
        0 => json(429, &error("pay first", "insufficient_quota")),
        _ => json(401, &error("who are you", "invalid_request_error")),
    })
    .await;
    traced("acme", async {
        for (status, said) in [(429, "pay first"), (401, "who are you")] {
            let Err(OpenAIError::ApiError(error)) = client(&server).chat().create(question()).await else {
                panic!("an error of the API")
            };
            assert_eq!((error.status_code.as_u16(), error.api_error.message.as_str()), (status, said));
        }
    })
    .await;
    assert_eq!(server.seen().len(), 2);
    let calls = calls(&recorder, 2).await;
    assert!(calls.iter().all(|call| call.status == RecordedStatus::Failed));
    assert!(calls[1].error.as_ref().unwrap().contains("who are you"));
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_each_attempt() {
    let recorder = Recorder::install();
    // A port that was there just now.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let config = OpenAIConfig::new().with_api_base(url).with_api_key(KEY);
    let client = Client::with_config(config).with_http_service(LlmLayer::new().service(reqwest::Client::new()));
    let result = traced("acme", client.chat().create(question())).await;
    assert!(matches!(result, Err(OpenAIError::Reqwest(error)) if error.is_connect()));
    let calls = calls(&recorder, 4).await;
    for call in calls {
        assert_eq!(call.status, RecordedStatus::Failed);
        assert!(call.error.as_ref().unwrap().to_lowercase().contains("refused"), "the cause as well: {call:?}");
    }
}

#[tokio::test]
async fn embeddings_are_spans_of_their_kind() {
    let recorder = Recorder::install();
    let server = Server::start(|_| {
        json(
            200,
            &json!({
                "object": "list", "model": "text-embedding-3-small",
                "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
                "usage": {"prompt_tokens": 5, "total_tokens": 5},
            }),
        )
    })
    .await;
    let request = CreateEmbeddingRequest {
        model: "text-embedding-3-small".to_owned(),
        input: PROMPT.into(),
        ..Default::default()
    };
    traced("acme", client(&server).embeddings().create(request)).await.unwrap();
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.kind, "embedding");
    assert_eq!(call.usage.map(|usage| usage.input), Some(5));
}

#[tokio::test]
async fn usage_of_streams_is_asked_for_where_that_is_switched_on() {
    let recorder = Recorder::install();
    let server = Server::start(|seen| {
        let asked = seen.json()["stream_options"]["include_usage"] == true;
        events(chat_stream(&[REPLY], asked))
    })
    .await;
    for (layer, tokens) in
        [(LlmLayer::new(), None), (LlmLayer::new().openai_include_usage(), Some(TokenUsage::new(21, 8)))]
    {
        recorder.clear();
        traced("acme", async {
            client_with(&server, layer).chat().create_stream(question()).await.unwrap().count().await;
        })
        .await;
        assert_eq!(calls(&recorder, 1).await[0].usage, tokens);
    }
    let seen = server.seen();
    let (without, with) = (&seen[0].body, &seen[1].body);
    let added = "\"stream_options\":{\"include_usage\":true},";
    assert_eq!(String::from_utf8_lossy(with).replacen(added, "", 1), String::from_utf8_lossy(without));
    assert_eq!(seen[1].headers["content-length"], with.len().to_string().as_str());
}

#[tokio::test]
async fn a_call_that_is_given_up_before_its_answer_is_cancelled() {
    let recorder = Recorder::install();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let config = OpenAIConfig::new().with_api_base(url).with_api_key(KEY);
    let client = Client::with_config(config).with_http_service(LlmLayer::new().service(reqwest::Client::new()));
    traced("acme", async {
        let chat = client.chat();
        tokio::select! {
            _ = chat.create(question()) => panic!("nobody answers"),
            connection = async { listener.accept().await.unwrap().0.readable().await } => connection.unwrap(),
        }
    })
    .await;
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.error_type.as_deref(), Some("cancelled"));
}
