//! The spans that rig and genai open with `tracing`, through `tracium::layer()`: alone, and beside what is seen of the
//! same calls on their way.

use futures::StreamExt;
use genai::chat::{ChatMessage, ChatOptions, ChatRequest};
use rig::http_client::ReqwestClient;
use rig::prelude::*;
use rig::providers::openai::{OpenAIConfig, Route};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::prelude::*;
use tracium::rig::LlmClient;
use tracium::testing::{RecordedStatus, Recorder};
use tracium_tests_llm_clients::{KEY, PROMPT, REPLY, Server, calls, chat, chat_stream, error, events, json, traced};

use super::genai::client;

/// On this thread, which is all that a test runs on.
fn bridge() -> DefaultGuard {
    tracing::subscriber::set_default(tracing_subscriber::registry().with(tracium::layer()))
}

fn question() -> ChatRequest {
    ChatRequest::new(vec![ChatMessage::user(PROMPT)])
}

#[tokio::test]
async fn genais_call_is_one_span_of_the_tenant_with_models_tokens_and_reason() {
    let (_bridge, recorder) = (bridge(), Recorder::install());
    let server = Server::start(|_| json(200, &chat(REPLY))).await;
    let client = client(&server);
    let reply = traced("acme", async { client.exec_chat("gpt-4o", question(), None).await.unwrap() }).await;
    assert_eq!(reply.first_text(), Some(REPLY));
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!((call.tenant.as_ref().unwrap().as_str(), call.name.as_str()), ("acme", "chat gpt-4o"));
    assert_eq!(call.call.asked_model.as_deref(), Some("gpt-4o"), "{call:?}");
    assert_eq!(call.call.answered_model.as_deref(), Some("gpt-4o-2024-08-06"), "{call:?}");
    assert_eq!(call.usage.map(|usage| (usage.input, usage.output)), Some((21, 8)), "{call:?}");
    assert_eq!(call.call.finish_reasons, ["stop"], "{call:?}");
}

#[tokio::test]
async fn genais_stream_is_one_span_that_ends_with_it() {
    let (_bridge, recorder) = (bridge(), Recorder::install());
    let server = Server::start(|_| events(chat_stream(&["the celadon ", "one"], true))).await;
    let client = client(&server);
    traced("acme", async {
        let options = ChatOptions::default().with_capture_usage(true);
        let mut reply = client.exec_chat_stream("gpt-4o", question(), Some(&options)).await.unwrap();
        while let Some(event) = reply.stream.next().await {
            event.unwrap();
        }
    })
    .await;
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!((call.status, call.tenant.as_ref().unwrap().as_str()), (RecordedStatus::Completed, "acme"));
    assert_eq!(call.usage.map(|usage| (usage.input, usage.output)), Some((21, 8)), "{call:?}");
    assert!(call.call.time_to_first_token.is_some(), "{call:?}");
}

#[tokio::test]
async fn genais_error_fails_its_span() {
    let (_bridge, recorder) = (bridge(), Recorder::install());
    let server = Server::start(|_| json(401, &error("who are you", "invalid_request_error"))).await;
    let client = client(&server);
    traced("acme", async { client.exec_chat("gpt-4o", question(), None).await.unwrap_err() }).await;
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.status, RecordedStatus::Failed, "{call:?}");
    assert!(!format!("{call:?}").contains(KEY));
}

#[tokio::test]
async fn rigs_call_that_is_seen_both_ways_is_recorded_once() {
    let (_bridge, recorder) = (bridge(), Recorder::install());
    let server = Server::start(|_| json(200, &chat(REPLY))).await;
    let config = OpenAIConfig::new(KEY).with_base_url(server.url("/v1")).with_route(Route::Chat);
    let openai = config.connect(LlmClient::new(ReqwestClient::default()));
    let agent = AgentBuilder::new(openai.completion("gpt-4o")).build();
    let reply = traced("acme", async { agent.prompt(PROMPT).await.unwrap() }).await;
    assert_eq!(reply.output(), REPLY);
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.tenant.as_ref().unwrap(), "acme");
    assert_eq!(call.usage.map(|usage| (usage.input, usage.output)), Some((21, 8)), "{call:?}");
    assert_eq!(call.call.answered_model.as_deref(), Some("gpt-4o-2024-08-06"), "{call:?}");
    // The agent's own span adds none of them.
    let counted: u64 = recorder.spans().iter().filter_map(|span| span.usage).map(|usage| usage.input).sum();
    assert_eq!(counted, 21);
}
