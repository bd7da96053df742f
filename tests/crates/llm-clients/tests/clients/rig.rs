use std::convert::Infallible;

use futures::StreamExt;
use rig::http_client::ReqwestClient;
use rig::prelude::*;
use rig::providers::openai::{OpenAI, OpenAIConfig, Route};
use rig::tool::{Tool, ToolContext};
use serde_json::{Value, json};
use tracium::rig::LlmClient;
use tracium::testing::{RecordedStatus, Recorder};
use tracium_tests_llm_clients::{
    KEY, PROMPT, REPLY, Server, calls, chat, chat_stream, error, events, json, tool_stream, traced,
};

fn openai(server: &Server) -> OpenAI {
    let config = OpenAIConfig::new(KEY).with_base_url(server.url("/v1")).with_route(Route::Chat);
    config.connect(LlmClient::new(ReqwestClient::default()))
}

struct Stock;

impl Tool for Stock {
    const NAME: &'static str = "stock";
    type Args = Value;
    type Output = String;
    type Error = Infallible;

    fn description(&self) -> String {
        "How much of an item is in stock.".to_owned()
    }

    fn parameters(&self) -> Value {
        json!({"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]})
    }

    async fn call(&self, _context: &mut ToolContext, arguments: Value) -> Result<String, Infallible> {
        Ok(tracium::start_span("tool", "stock").run(|| {
            let tenant = tracium::current_tenant().map(|tenant| tenant.to_string()).unwrap_or_default();
            format!("12 boxes of {} for {tenant}", arguments["item"].as_str().unwrap_or_default())
        }))
    }
}

/// A model that asks for the tool first, whole or in a stream.
async fn server() -> Server {
    Server::start(|seen| {
        let asked = seen.json();
        let last = asked["messages"].as_array().unwrap().last().unwrap().clone();
        let usage = asked["stream_options"]["include_usage"] == true;
        match (last["role"] == "tool", asked["stream"] == true) {
            (true, true) => events(chat_stream(&["the ", "rest"], usage)),
            (true, false) => json(200, &chat(REPLY)),
            (false, true) => events(tool_stream("stock", &["{\"item\"", ":\"tea\"}"])),
            (false, false) => {
                let function = json!({"name": "stock", "arguments": "{\"item\":\"tea\"}"});
                let mut answer = chat("");
                answer["choices"][0]["message"]["tool_calls"] =
                    json!([{"id": "call_1", "type": "function", "function": function}]);
                answer["choices"][0]["finish_reason"] = json!("tool_calls");
                json(200, &answer)
            }
        }
    })
    .await
}

#[tokio::test]
async fn an_agents_calls_are_spans_and_its_tools_run_for_the_tenant() {
    let recorder = Recorder::install();
    let server = server().await;
    let agent = AgentBuilder::new(openai(&server).completion("gpt-4o")).tool(Stock).default_max_turns(3).build();
    let reply = traced("acme", async { agent.prompt(PROMPT).await.unwrap() }).await;
    assert_eq!(reply.output(), REPLY);
    assert!(server.seen()[1].json().to_string().contains("12 boxes of tea for acme"));

    let calls = calls(&recorder, 2).await;
    for call in &calls {
        assert_eq!(call.tenant.as_ref().unwrap(), "acme");
        assert_eq!(call.call.answered_model.as_deref(), Some("gpt-4o-2024-08-06"));
        assert_eq!(call.usage.map(|usage| (usage.input, usage.output, usage.reasoning)), Some((21, 8, Some(3))));
        assert!(call.tools.as_ref().unwrap().to_string().contains("stock"));
    }
    assert_eq!(calls[0].call.finish_reasons, ["tool_calls"]);
    assert!(calls[0].tool_calls.as_ref().unwrap().to_string().contains("tea"));
    assert_eq!(calls[1].call.finish_reasons, ["stop"]);
}

#[tokio::test]
async fn an_agents_stream_is_seen_as_it_passes() {
    let recorder = Recorder::install();
    let server = server().await;
    let agent = AgentBuilder::new(openai(&server).completion("gpt-4o")).tool(Stock).default_max_turns(3).build();
    traced("acme", async {
        let mut stream = agent.prompt(PROMPT).stream();
        while let Some(item) = stream.next().await {
            item.unwrap();
        }
    })
    .await;
    let calls = calls(&recorder, 2).await;
    for call in &calls {
        assert_eq!((call.status, call.tenant.as_ref().unwrap().as_str()), (RecordedStatus::Completed, "acme"));
        assert_eq!(call.usage.map(|usage| (usage.input, usage.output)), Some((21, 8)), "rig asks for it: {call:?}");
        assert!(!call.call.stopped);
    }
    assert!(calls[0].tool_calls.as_ref().unwrap().to_string().contains("tea"));
    assert!(calls[1].call.time_to_first_token.is_some());
    assert!(calls[1].output.as_ref().unwrap().to_string().contains("the rest"));
}

#[tokio::test]
async fn an_error_is_the_callers_as_before_and_the_spans() {
    let recorder = Recorder::install();
    let server = Server::start(|_| json(401, &error("who are you", "invalid_request_error"))).await;
    let agent = AgentBuilder::new(openai(&server).completion("gpt-4o")).build();
    traced("acme", async {
        let error = agent.prompt(PROMPT).await.unwrap_err().to_string();
        assert!(error.contains("who are you"), "{error}");
        let items: Vec<_> = agent.prompt(PROMPT).stream().collect().await;
        assert!(items.iter().any(Result::is_err));
    })
    .await;
    for call in calls(&recorder, 2).await {
        assert_eq!((call.status, call.call.http_status), (RecordedStatus::Failed, Some(401)));
        assert!(call.error.as_ref().unwrap().contains("who are you"), "{call:?}");
        assert!(!format!("{call:?}").contains(KEY));
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_half_way_ends_its_span() {
    let recorder = Recorder::install();
    let (send, chunks) = tokio::sync::mpsc::unbounded_channel();
    let chunks = std::sync::Mutex::new(Some(chunks));
    let server = Server::start(move |_| {
        tracium_tests_llm_clients::paced("text/event-stream", chunks.lock().unwrap().take().unwrap())
    })
    .await;
    for event in chat_stream(&["the celadon", " one"], true).into_iter().take(2) {
        send.send(Ok(event.into())).unwrap();
    }
    let agent = AgentBuilder::new(openai(&server).completion("gpt-4o")).build();
    traced("acme", async {
        let mut stream = agent.prompt(PROMPT).stream();
        loop {
            let item = format!("{:?}", stream.next().await.unwrap().unwrap());
            if item.contains("the celadon") {
                break;
            }
        }
    })
    .await;
    let call = calls(&recorder, 1).await.remove(0);
    assert!(call.call.stopped, "{call:?}");
    assert!(call.output.unwrap().to_string().contains("the celadon"));
}

#[tokio::test]
async fn a_stream_that_ends_before_its_answer_does_is_none_that_was_dropped() {
    let recorder = Recorder::install();
    let server = Server::start(|_| events(chat_stream(&["the celadon", " one"], true)[..2].to_vec())).await;
    let agent = AgentBuilder::new(openai(&server).completion("gpt-4o")).build();
    traced("acme", async {
        // Whatever rig makes of it.
        agent.prompt(PROMPT).stream().for_each(|item| async { drop(item) }).await;
    })
    .await;
    let call = calls(&recorder, 1).await.remove(0);
    assert!(!call.call.stopped, "{call:?}");
    assert_eq!((call.status, call.error_type.as_deref()), (RecordedStatus::Failed, Some("incomplete")));
}
