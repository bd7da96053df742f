//! `lambda_http` 1.x: the layer around a function, called directly, and by Lambda's runtime with its API on loopback.

use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use lambda_http::{Body, Error, IntoResponse, Request, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::{Layer, Service, ServiceExt, service_fn};
use tracium::ExporterKind;
use tracium::testing::{RecordedStatus, Recorder};
use tracium::tower::TenantLayer;

use crate::{step, tenants};

async fn chat(request: Request) -> Result<Response<Body>, Error> {
    tokio::task::yield_now().await;
    match request.uri().path() {
        "/broken" => Err("the model has gone".into()),
        _ => Ok(Response::new(Body::from(step()))),
    }
}

/// What a function's `main` runs: each answer is whole, its trace over and sent, before Lambda may freeze the process.
fn function() -> impl Service<Request, Response = Response<Body>, Error = Error, Future: Send> + Clone + Send + 'static
{
    let layer = TenantLayer::new(tenants()).trace("function", |_| Some("/chat".to_owned()));
    let chat = layer.layer(service_fn(chat));
    service_fn(move |request: Request| {
        let chat = chat.clone();
        async move {
            let response = match chat.oneshot(request).await {
                // The last byte of the body, which ends the trace.
                Ok(response) => Ok(response.into_response().await),
                Err(error) => Err(error),
            };
            tracium::flush_async(Duration::from_secs(2)).await;
            response
        }
    })
}

fn request(path: &str, tenant: Option<&str>) -> Request {
    let mut request = http::Request::builder().uri(path);
    if let Some(tenant) = tenant {
        request = request.header("x-tenant", tenant);
    }
    request.body(Body::Empty).unwrap()
}

#[tokio::test]
async fn a_function_runs_for_the_tenant_of_the_request() {
    let recorder = Recorder::install();
    for tenant in ["acme", "globex"] {
        let answer = function().oneshot(request("/chat", Some(tenant))).await.unwrap();
        assert_eq!((answer.status().as_u16(), &**answer.body()), (200, tenant.as_bytes()));
    }
    assert_eq!(function().oneshot(request("/chat", None)).await.unwrap().status(), 401);
    assert_eq!(function().oneshot(request("/chat", Some("stranger"))).await.unwrap().status(), 403);
    assert!(function().oneshot(request("/broken", Some("acme"))).await.is_err());
    let ended: Vec<_> = recorder
        .traces()
        .into_iter()
        .map(|trace| (trace.name, trace.tenant.unwrap().to_string(), trace.status))
        .collect();
    let name = || "GET /chat".to_owned();
    assert_eq!(
        ended,
        [
            (name(), "acme".to_owned(), RecordedStatus::Completed),
            (name(), "globex".to_owned(), RecordedStatus::Completed),
            (name(), "acme".to_owned(), RecordedStatus::Failed),
        ]
    );
    assert_eq!(tracium::current_tenant(), None);
}

#[test]
#[ignore = "a program that the test below runs"]
fn process() {
    // What is sent is known at once: `discard` acknowledges what it is given.
    let _guard = tracium::builder().exporter(ExporterKind::Discard).init().unwrap();
    let function = function();
    let counted = service_fn(move |request: Request| {
        let function = function.clone();
        async move {
            let mut response = function.oneshot(request).await?;
            let stats = tracium::stats();
            let counts = format!("{} {} {}", stats.emitted, stats.acknowledged, stats.queued);
            response.headers_mut().insert("x-counts", counts.parse()?);
            Ok::<_, Error>(response)
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(lambda_http::run(counted)).unwrap();
}

/// An event of API Gateway, as Lambda hands it over.
fn event(tenant: Option<&str>) -> Value {
    let mut headers = json!({ "host": "api.example.com" });
    if let Some(tenant) = tenant {
        headers["x-tenant"] = tenant.into();
    }
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/chat",
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "1",
            "apiId": "api",
            "domainName": "api.example.com",
            "http": {
                "method": "GET",
                "path": "/chat",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "test",
            },
            "requestId": "1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_u64,
        },
        "isBase64Encoded": false,
    })
}

/// Lambda's side of its runtime's API: events on demand, and what is answered to them.
#[derive(Clone)]
struct Api {
    events: Arc<Mutex<Vec<Value>>>,
    answers: mpsc::UnboundedSender<Value>,
}

async fn next(State(api): State<Api>) -> axum::response::Response {
    let Some(event) = api.events.lock().unwrap().pop() else { return std::future::pending().await };
    let headers = [
        ("lambda-runtime-aws-request-id", "1"),
        ("lambda-runtime-deadline-ms", "99999999999999"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:1:function:chat"),
        ("content-type", "application/json"),
    ];
    axum::response::IntoResponse::into_response((headers, event.to_string()))
}

async fn answered(State(api): State<Api>, Path(_): Path<String>, body: String) -> StatusCode {
    api.answers.send(serde_json::from_str(&body).unwrap()).unwrap();
    StatusCode::ACCEPTED
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn under_lambdas_runtime_all_that_a_call_recorded_is_sent_before_its_answer() {
    let (answers, mut answered_with) = mpsc::unbounded_channel();
    // The last one first.
    let events = Arc::new(Mutex::new(vec![event(Some("globex")), event(None), event(Some("acme"))]));
    let api = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
        .with_state(Api { events, answers });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, api).await });
    let mut function = Command::new(std::env::current_exe().unwrap());
    function
        .args(["--exact", "lambda::process", "--nocapture", "--ignored"])
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "chat")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1");
    let _running = Running(function.spawn().unwrap());

    let mut told = Vec::new();
    for _ in 0..3 {
        let answer = tokio::time::timeout(Duration::from_secs(30), answered_with.recv()).await.unwrap().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        told.push((
            answer["statusCode"].as_u64().unwrap(),
            text(&answer["body"]),
            text(&answer["headers"]["x-counts"]),
        ));
    }
    // A trace and its span each time, all of them acknowledged and none waiting.
    let expected = [(200, "acme", "2 2 0"), (401, "", "2 2 0"), (200, "globex", "4 4 0")];
    assert_eq!(told, expected.map(|(status, body, counts)| (status, body.to_owned(), counts.to_owned())));
}
