//! tonic 0.14: a service without generated code, behind the layer, and a client of tonic's.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context as Waker, Poll};

use futures::{Stream, StreamExt, stream};
use http::uri::PathAndQuery;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::client::Grpc as Client;
use tonic::server::{Grpc as Server, NamedService};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Layer, Service, ServiceExt, service_fn};
use tracium::testing::{RecordedStatus, RecordedTrace, Recorder};
use tracium::tower::TenantLayer;

use crate::{step, tenants, until};

#[derive(Clone, PartialEq, prost::Message)]
struct Question {
    /// The status to fail with, after as many answers as there are to be.
    #[prost(int32, tag = "1")]
    status: i32,
    #[prost(uint32, tag = "2")]
    answers: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Answer {
    #[prost(string, tag = "1")]
    tenant: String,
}

const METHODS: [&str; 2] = ["/chat.Chat/Say", "/chat.Chat/Tell"];

/// What `tonic-build` writes for a service of one unary and one streaming method.
#[derive(Clone)]
struct Chat;

impl NamedService for Chat {
    const NAME: &'static str = "chat.Chat";
}

type Answers = Pin<Box<dyn Stream<Item = Result<Answer, Status>> + Send>>;

async fn say(request: Request<Question>) -> Result<Response<Answer>, Status> {
    let tenant = step();
    tokio::task::yield_now().await;
    assert_eq!(step(), tenant);
    match Code::from(request.get_ref().status) {
        Code::Ok => Ok(Response::new(Answer { tenant })),
        code => Err(Status::new(code, "as it was asked to")),
    }
}

async fn tell(request: Request<Question>) -> Result<Response<Answers>, Status> {
    let Question { status, answers: count } = *request.get_ref();
    let answers = stream::unfold(0, |number| async move {
        tokio::task::yield_now().await;
        Some((Ok(Answer { tenant: step() }), number + 1))
    });
    let end = stream::iter(match Code::from(status) {
        Code::Ok => None,
        code => Some(Err(Status::new(code, "as it was asked to"))),
    });
    Ok(Response::new(Box::pin(answers.take(count as usize).chain(end))))
}

impl Service<http::Request<Body>> for Chat {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Waker<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut server = Server::new(ProstCodec::<Answer, Question>::default());
            Ok(match request.uri().path() {
                "/chat.Chat/Say" => server.unary(service_fn(say), request).await,
                "/chat.Chat/Tell" => server.server_streaming(service_fn(tell), request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

fn layer() -> TenantLayer {
    // The path is the method's name, if there is such a method.
    let method = |path: &str| METHODS.into_iter().find(|method| *method == path).map(str::to_owned);
    TenantLayer::new(tenants()).trace("chat", move |parts| method(parts.path()))
}

async fn client() -> Client<Channel> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder().layer(layer()).add_service(Chat);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    Client::new(Endpoint::from_shared(url).unwrap().connect().await.unwrap())
}

fn question(tenant: Option<&str>, status: Code, answers: u32) -> Request<Question> {
    let mut request = Request::new(Question { status: status as i32, answers });
    if let Some(tenant) = tenant {
        request.metadata_mut().insert("x-tenant", tenant.parse().unwrap());
    }
    request
}

async fn asked(
    client: &mut Client<Channel>,
    path: &'static str,
    question: Request<Question>,
) -> Result<Answer, Status> {
    client.ready().await.unwrap();
    let codec = ProstCodec::<Question, Answer>::default();
    client.unary(question, PathAndQuery::from_static(path), codec).await.map(Response::into_inner)
}

async fn told(client: &mut Client<Channel>, question: Request<Question>) -> Result<Streaming<Answer>, Status> {
    client.ready().await.unwrap();
    let codec = ProstCodec::<Question, Answer>::default();
    let path = PathAndQuery::from_static("/chat.Chat/Tell");
    client.server_streaming(question, path, codec).await.map(Response::into_inner)
}

/// How the traces ended, once all have: as what failed, and with which gRPC status.
async fn ended(recorder: &Recorder) -> Vec<(Option<String>, Option<u64>)> {
    let all_have = || recorder.traces().iter().all(|trace| trace.status != RecordedStatus::InProgress);
    until(all_have).await;
    let status = |trace: &RecordedTrace| {
        trace.metadata.iter().find(|(key, _)| key == "rpc.grpc.status_code").and_then(|(_, status)| status.as_u64())
    };
    recorder.traces().iter().map(|trace| (trace.error.clone(), status(trace))).collect()
}

#[tokio::test]
async fn calls_and_their_streams_run_for_the_tenant_of_their_metadata_and_are_named_by_their_method() {
    let recorder = Recorder::install();
    let mut client = client().await;
    for tenant in ["acme", "globex"] {
        let answer = asked(&mut client, METHODS[0], question(Some(tenant), Code::Ok, 1)).await;
        assert_eq!(answer.unwrap().tenant, tenant);
        let answers: Vec<_> = told(&mut client, question(Some(tenant), Code::Ok, 5)).await.unwrap().collect().await;
        assert_eq!(answers.into_iter().map(|answer| answer.unwrap().tenant).collect::<Vec<_>>(), [tenant; 5]);
    }
    assert_eq!(ended(&recorder).await, [const { (None, Some(0)) }; 4]);
    let traces = recorder.traces();
    let names: Vec<_> =
        traces.iter().map(|trace| (trace.name.as_str(), trace.tenant.as_ref().unwrap().as_str())).collect();
    assert_eq!(
        names,
        [
            ("POST /chat.Chat/Say", "acme"),
            ("POST /chat.Chat/Tell", "acme"),
            ("POST /chat.Chat/Say", "globex"),
            ("POST /chat.Chat/Tell", "globex"),
        ]
    );
    let steps: Vec<_> = recorder.spans().into_iter().filter(|span| span.name == "step").collect();
    assert_eq!(steps.len(), 2 * (2 + 5));
    for step in steps {
        let trace = traces.iter().find(|trace| trace.id == step.trace_id).unwrap();
        assert_eq!(step.tenant, trace.tenant);
    }
    assert_eq!(tracium::current_tenant(), None);
}

#[tokio::test]
async fn a_failed_call_is_a_failed_trace_though_http_says_200() {
    let recorder = Recorder::install();
    let mut client = client().await;
    let mut expected = Vec::new();
    for number in 1..=16 {
        let code = Code::from(number);
        // In the headers, as there is nothing else; and in trailers, after the first answers.
        let error = asked(&mut client, METHODS[0], question(Some("acme"), code, 0)).await.unwrap_err();
        assert_eq!(error.code(), code);
        let mut answers = told(&mut client, question(Some("acme"), code, 2)).await.unwrap();
        assert!(answers.message().await.is_ok() && answers.message().await.is_ok());
        assert_eq!(answers.message().await.unwrap_err().code(), code);
        let error = match code {
            Code::Unknown => Some("UNKNOWN"),
            Code::DeadlineExceeded => Some("DEADLINE_EXCEEDED"),
            Code::Unimplemented => Some("UNIMPLEMENTED"),
            Code::Internal => Some("INTERNAL"),
            Code::Unavailable => Some("UNAVAILABLE"),
            Code::DataLoss => Some("DATA_LOSS"),
            _ => None,
        };
        let error = error.map(|name| format!("answered with gRPC status {name}"));
        expected.extend([(error.clone(), u64::try_from(number).ok()), (error, u64::try_from(number).ok())]);
    }
    assert_eq!(ended(&recorder).await, expected);
}

#[tokio::test]
async fn a_method_that_is_none_names_no_trace() {
    let recorder = Recorder::install();
    let mut client = client().await;
    let error = asked(&mut client, "/chat.Chat/1f3a", question(Some("acme"), Code::Ok, 0)).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    assert_eq!(ended(&recorder).await, [(Some("answered with gRPC status UNIMPLEMENTED".to_owned()), Some(12))]);
    assert_eq!(recorder.traces()[0].name, "chat");
}

#[tokio::test]
async fn a_stream_that_is_left_midway_is_cancelled() {
    let recorder = Recorder::install();
    let mut client = client().await;
    let mut answers = told(&mut client, question(Some("acme"), Code::Ok, u32::MAX)).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().tenant, "acme");
    drop(answers);
    assert_eq!(ended(&recorder).await.len(), 1);
    let trace = &recorder.traces()[0];
    assert_eq!((trace.error_type.as_deref(), trace.status), (Some("cancelled"), RecordedStatus::Failed));
    assert_eq!(tracium::current_tenant(), None);
}

#[tokio::test]
async fn who_is_refused_gets_a_status_of_grpc() {
    let recorder = Recorder::install();
    let mut client = client().await;
    for (tenant, code) in [(None, Code::Unauthenticated), (Some("stranger"), Code::PermissionDenied)] {
        let error = asked(&mut client, METHODS[0], question(tenant, Code::Ok, 1)).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (code, ""));
        assert_eq!(told(&mut client, question(tenant, Code::Ok, 1)).await.unwrap_err().code(), code);
    }
    assert!(recorder.traces().is_empty());
    // Others that come to the same address are refused in HTTP's way.
    let refused = layer().layer(Chat).oneshot(http::Request::new(Body::empty())).await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers().len()), (401, 0));
}

#[tokio::test]
async fn a_call_that_ends_without_a_status_has_failed() {
    let recorder = Recorder::install();
    let answer = |_: http::Request<Body>| -> Ready<Result<_, Infallible>> {
        let answer = http::Response::builder().header("content-type", "application/grpc");
        ready(Ok(answer.body(String::from("five.")).unwrap()))
    };
    let request = http::Request::builder().header("x-tenant", "acme").body(Body::empty()).unwrap();
    let answer = layer().layer(service_fn(answer)).oneshot(request).await.unwrap();
    let read = Body::new(answer.into_body());
    assert_eq!(http_body_util::BodyExt::collect(read).await.unwrap().to_bytes(), "five.");
    assert_eq!(ended(&recorder).await, [(Some("the gRPC call ended without a status".to_owned()), None)]);
}
