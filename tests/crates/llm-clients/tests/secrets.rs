//! What leaves the process: with content not captured, no byte of what was asked, answered, offered to or called by a
//! model; and in no case a key. Both exporters' requests are searched as they arrive.

use std::io::Read;
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessage, ChatCompletionTool, ChatCompletionTools, CreateChatCompletionRequest,
    FunctionObject,
};
use async_openai::types::embeddings::CreateEmbeddingRequest;
use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::config::{BehaviorVersion, Region};
use aws_sdk_bedrockruntime::types::{ContentBlock, ConversationRole, Message};
use flate2::read::GzDecoder;
use futures::StreamExt;
use reqwest_middleware::ClientBuilder;
use rig::http_client::ReqwestClient;
use rig::prelude::*;
use rig::providers::openai::{OpenAIConfig as RigConfig, Route};
use serde_json::{Value, json};
use tracium::ExporterKind;
use tracium::async_openai::LlmLayer;
use tracium::bedrock::LlmInterceptor;
use tracium::reqwest_middleware::LlmMiddleware;
use tracium::rig::LlmClient;
use tracium_tests_llm_clients::{KEY, Seen, Server, chat, chat_stream, error, events, json, raw, tool_stream, traced};

/// A word of each kind of content. Nothing else in this test has them.
const WORDS: [&str; 6] = ["promptword", "replyword", "toolword", "argumentword", "quotedword", "embedword"];
const QUERY_KEY: &str = "AIzaSyQueryKey0123456789";

/// A provider that answers with all of them.
async fn provider() -> Server {
    Server::start(|seen: Seen| {
        let asked = seen.json();
        if seen.path.contains("embeddings") {
            let usage = json!({"prompt_tokens": 1, "total_tokens": 1});
            return json(200, &json!({"object": "list", "model": "e", "data": [], "usage": usage}));
        }
        if seen.path.contains("converse") {
            let message = json!({"role": "assistant", "content": [{"text": "a replyword"}]});
            let usage = json!({"inputTokens": 21, "outputTokens": 8, "totalTokens": 29});
            let metrics = json!({"latencyMs": 5});
            let answer =
                json!({"output": {"message": message}, "stopReason": "end_turn", "usage": usage, "metrics": metrics});
            return json(200, &answer);
        }
        match (asked["model"].as_str(), asked["stream"] == true) {
            (Some("refuses"), _) => json(400, &error(&format!("not this: quotedword, {KEY}"), "invalid_request_error")),
            (Some("tools"), true) => events(tool_stream("find", &["{\"x\":", "\"argumentword\"}"])),
            (_, true) => events(chat_stream(&["a ", "replyword"], true)),
            (_, false) => json(200, &chat("a replyword")),
        }
    })
    .await
}

async fn calls(provider: &Server) {
    let config = OpenAIConfig::new().with_api_base(provider.url("/v1")).with_api_key(KEY);
    let client = Client::with_config(config).with_http_service(LlmLayer::new().service(reqwest::Client::new()));
    let ask = |model: &str| CreateChatCompletionRequest {
        model: model.to_owned(),
        messages: vec![ChatCompletionRequestUserMessage::from("a promptword").into()],
        tools: Some(vec![ChatCompletionTools::Function(ChatCompletionTool {
            function: FunctionObject {
                name: "find".to_owned(),
                description: Some("a toolword".to_owned()),
                parameters: None,
                strict: None,
            },
        })]),
        ..Default::default()
    };
    client.chat().create(ask("gpt-4o")).await.unwrap();
    client.chat().create(ask("refuses")).await.unwrap_err();
    for model in ["gpt-4o", "tools"] {
        client.chat().create_stream(ask(model)).await.unwrap().for_each(|chunk| async { drop(chunk.unwrap()) }).await;
    }
    let request = CreateEmbeddingRequest { model: "e".to_owned(), input: "embedword".into(), ..Default::default() };
    client.embeddings().create(request).await.unwrap();

    let rig = RigConfig::new(KEY).with_base_url(provider.url("/v1")).with_route(Route::Chat);
    let agent = AgentBuilder::new(rig.connect(LlmClient::new(ReqwestClient::default())).completion("gpt-4o"));
    agent.preamble("a promptword").build().prompt("a promptword").await.unwrap();

    let client = ClientBuilder::new(reqwest::Client::new()).with(LlmMiddleware::new()).build();
    let body = json!({"model": "m", "contents": [{"parts": [{"text": "a promptword"}]}]}).to_string();
    let path = format!("/v1beta/models/m:generateContent?key={QUERY_KEY}");
    for url in [provider.url(&path), format!("http://127.0.0.1:1{path}")] {
        let request = client.post(url).header("authorization", format!("Bearer {KEY}")).header("x-api-key", KEY);
        drop(request.header("content-type", "application/json").body(body.clone()).send().await);
    }

    let config = aws_sdk_bedrockruntime::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(provider.url(""))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", KEY, Some("sessiontoken".to_owned()), None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .interceptor(LlmInterceptor::new());
    let message =
        Message::builder().role(ConversationRole::User).content(ContentBlock::Text("a promptword".to_owned()));
    let client = aws_sdk_bedrockruntime::Client::from_conf(config.build());
    client.converse().model_id("m").messages(message.build().unwrap()).send().await.unwrap();
}

/// The bodies of what arrived, as one, unpacked.
fn bytes(sink: &Server) -> Vec<u8> {
    let mut all = Vec::new();
    for seen in sink.seen() {
        if seen.headers.get("content-encoding").is_some_and(|kind| kind == "gzip") {
            GzDecoder::new(seen.body.as_ref()).read_to_end(&mut all).unwrap();
        } else {
            all.extend_from_slice(&seen.body);
        }
        all.extend_from_slice(seen.path.as_bytes());
        all.extend_from_slice(format!("{:?}", seen.headers).as_bytes());
    }
    all
}

fn has(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

// One test: exporters are the process's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_content_that_was_not_asked_for_and_never_a_key_leaves_the_process() {
    let rest = Server::start(|seen: Seen| match seen.json().get("trace_id") {
        Some(id) => json(201, &json!({"id": id})),
        None => json(200, &json!({})),
    })
    .await;
    let otlp = Server::start(|_| raw("application/x-protobuf", Vec::new())).await;
    let guard = tracium::builder()
        .exporter(ExporterKind::Rest)
        .add_exporter(ExporterKind::Otlp)
        .api_key("trc_test")
        .base_url(rest.url(""))
        .otlp_endpoint(otlp.url(""))
        .capture_content_for(|tenant| tenant.is_some_and(|tenant| tenant == "open"))
        .init()
        .unwrap();
    let provider = provider().await;

    traced("closed", calls(&provider)).await;
    assert!(tracium::flush_async(Duration::from_secs(30)).await.complete);
    for (name, sink) in [("rest", &rest), ("otlp", &otlp)] {
        let sent = bytes(sink);
        assert!(has(&sent, "gpt-4o-2024-08-06"), "{name}: the calls are there");
        for word in WORDS {
            assert!(!has(&sent, word), "{name}: {word} in {}", String::from_utf8_lossy(&sent));
        }
    }

    traced("open", calls(&provider)).await;
    assert!(tracium::flush_async(Duration::from_secs(30)).await.complete);
    for (name, sink) in [("rest", &rest), ("otlp", &otlp)] {
        let sent = bytes(sink);
        for word in WORDS {
            assert!(has(&sent, word), "{name}: {word} is captured where it may be");
        }
        for secret in [KEY, QUERY_KEY, "AKIDEXAMPLE", "sessiontoken", "AWS4-HMAC"] {
            assert!(!has(&sent, secret), "{name}: {secret}");
        }
    }
    let calls = |sink: &Server| {
        let spans = sink.seen().into_iter().flat_map(|seen| match seen.json() {
            Value::Object(mut body) => {
                body.remove("spans").and_then(|spans| spans.as_array().cloned()).unwrap_or_default()
            }
            _ => Vec::new(),
        });
        let ids: std::collections::BTreeSet<_> = spans.map(|span| span["id"].to_string()).collect();
        ids.len()
    };
    assert!(calls(&rest) >= 2 * 9, "{} spans", calls(&rest));
    drop(guard);
}
