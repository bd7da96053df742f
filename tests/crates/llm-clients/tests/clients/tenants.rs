use std::collections::BTreeMap;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{ChatCompletionRequestUserMessage, CreateChatCompletionRequest};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tracium::async_openai::LlmLayer;
use tracium::testing::Recorder;
use tracium_tests_llm_clients::{KEY, Server, calls, chat, chat_stream, error, events, json, traced};

const CALLS: usize = 200;
const TENANTS: usize = 20;

/// Every answer says back whose question it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_calls_of_twenty_tenants_at_once_are_each_its_own_tenants() {
    let recorder = Recorder::install_global();
    let server = Server::start(|seen| {
        let asked = seen.json();
        let whose = asked["messages"][0]["content"].as_str().unwrap();
        match (whose.contains("fails"), asked["stream"] == true) {
            (true, _) => json(400, &error(whose, "invalid_request_error")),
            (_, true) => events(chat_stream(&[whose, " again"], true)),
            (_, false) => json(200, &chat(whose)),
        }
    })
    .await;
    let config = OpenAIConfig::new().with_api_base(server.url("/v1")).with_api_key(KEY);
    let client = Client::with_config(config).with_http_service(LlmLayer::new().service(reqwest::Client::new()));

    let mut all = FuturesUnordered::new();
    for number in 0..CALLS {
        let client = client.clone();
        let tenant = format!("tenant-{}", number % TENANTS);
        let fails = if number % 7 == 3 { " fails" } else { "" };
        let question = format!("of {tenant}.{fails}");
        let request = CreateChatCompletionRequest {
            model: "gpt-4o".to_owned(),
            messages: vec![ChatCompletionRequestUserMessage::from(question).into()],
            ..Default::default()
        };
        all.push(tokio::spawn(async move {
            traced(&tenant, async {
                // A third are streams, of which some are left behind half-way.
                match number % 3 {
                    0 => drop(client.chat().create(request).await),
                    1 => {
                        if let Ok(stream) = client.chat().create_stream(request).await {
                            stream.for_each(|_| async {}).await;
                        }
                    }
                    _ => {
                        if let Ok(mut stream) = client.chat().create_stream(request).await {
                            stream.next().await;
                        }
                    }
                }
            })
            .await;
        }));
    }
    while let Some(done) = all.next().await {
        done.unwrap();
    }

    // Tests of other clients run beside this one, and record for themselves.
    let mut of_tenant = BTreeMap::new();
    for call in calls(&recorder, CALLS).await {
        let tenant = call.tenant.as_ref().unwrap().as_str();
        let asked = call.input.as_ref().unwrap().to_string();
        assert!(asked.contains(&format!("of {tenant}.")), "{call:?}");
        let answered = format!("{:?} {:?}", call.output, call.error);
        assert!(!answered.contains("of tenant-") || answered.contains(&format!("of {tenant}.")), "{call:?}");
        *of_tenant.entry(tenant.to_owned()).or_insert(0) += 1;
    }
    assert_eq!(of_tenant.len(), TENANTS);
    assert!(of_tenant.values().all(|calls| *calls == CALLS / TENANTS), "{of_tenant:?}");
    assert_eq!(tracium::current_tenant(), None);
}
