//! genai takes no middleware: its calls are seen where their response is recorded, or through the bridge.

use genai::adapter::AdapterKind;
use genai::chat::{ChatMessage, ChatRequest};
use genai::resolver::{AuthData, Endpoint, ServiceTargetResolver};
use genai::{Client, ModelIden, ServiceTarget};
use tracium::testing::{RecordedStatus, Recorder};
use tracium_tests_llm_clients::{KEY, PROMPT, REPLY, Server, calls, chat, error, json, traced};

pub(crate) fn client(server: &Server) -> Client {
    let url = server.url("/v1/");
    let resolver = ServiceTargetResolver::from_resolver_fn(
        move |target: ServiceTarget| -> Result<ServiceTarget, genai::resolver::Error> {
            Ok(ServiceTarget {
                endpoint: Endpoint::from_owned(url.clone()),
                auth: AuthData::from_single(KEY),
                model: ModelIden::new(AdapterKind::OpenAI, target.model.model_name),
            })
        },
    );
    Client::builder().with_service_target_resolver(resolver).build().unwrap()
}

#[tracium::llm(model = "gpt-4o")]
async fn complete(client: &Client) -> Result<String, genai::Error> {
    let request = ChatRequest::new(vec![ChatMessage::user(PROMPT)]);
    let reply = client.exec_chat("gpt-4o", request, None).await?;
    tracium::current_span().record_response(&reply);
    Ok(reply.first_text().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_recorded_response_says_what_it_knows() {
    let recorder = Recorder::install();
    let server = Server::start(|_| json(200, &chat(REPLY))).await;
    assert_eq!(traced("acme", complete(&client(&server))).await.unwrap(), REPLY);
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.tenant.as_ref().unwrap(), "acme");
    assert_eq!(call.usage.map(|usage| (usage.input, usage.output)), Some((21, 8)), "{call:?}");
    assert!(call.output.unwrap().to_string().contains(REPLY));
}

#[tokio::test]
async fn an_error_fails_the_function_that_made_the_call() {
    let recorder = Recorder::install();
    let server = Server::start(|_| json(401, &error("who are you", "invalid_request_error"))).await;
    traced("acme", complete(&client(&server))).await.unwrap_err();
    let call = calls(&recorder, 1).await.remove(0);
    assert_eq!(call.status, RecordedStatus::Failed);
    assert!(!format!("{call:?}").contains(KEY));
}
