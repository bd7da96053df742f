//! warp 0.4: filters as a service, behind the layer, and served by hyper.

use std::convert::Infallible;
use std::net::SocketAddr;

use futures::stream;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::Layer;
use tracium::testing::{RecordedStatus, Recorder};
use tracium::tower::TenantLayer;
use warp::Filter;

use crate::{step, tenants, until};

fn events() -> impl warp::Reply {
    let events = stream::unfold(3, |left: u32| async move {
        let left = left.checked_sub(1)?;
        tokio::task::yield_now().await;
        Some((Ok::<_, Infallible>(warp::sse::Event::default().data(step())), left))
    });
    warp::sse::reply(warp::sse::keep_alive().stream(Box::pin(events)))
}

/// Filters do not say which of them answered: names are for the paths that there are.
fn route(path: &str) -> Option<String> {
    let route = match path.split('/').collect::<Vec<_>>()[..] {
        ["", "chat", _] => "/chat/{room}",
        ["", "events"] => "/events",
        _ => return None,
    };
    Some(route.to_owned())
}

async fn serve() -> SocketAddr {
    let chat = warp::path!("chat" / String).then(|room: String| async move {
        tokio::task::yield_now().await;
        format!("{room} of {}", step())
    });
    let filters = chat.or(warp::path!("events").map(events));
    let layer = TenantLayer::new(tenants()).trace("front", |parts| route(parts.path()));
    let service = layer.layer(warp::service(filters));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn get(address: SocketAddr, path: &str, header: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn filters_and_their_streams_run_for_the_tenant_of_the_request() {
    let recorder = Recorder::install();
    let address = serve().await;
    for tenant in ["acme", "globex"] {
        let header = format!("x-tenant: {tenant}\r\n");
        assert!(get(address, "/chat/tea", &header).await.contains(&format!("tea of {tenant}")));
        assert_eq!(get(address, "/events", &header).await.matches(&format!("data:{tenant}\n")).count(), 3);
    }
    assert!(get(address, "/chat/tea", "").await.starts_with("HTTP/1.1 401 "));
    assert!(get(address, "/chat/tea", "x-tenant: stranger\r\n").await.starts_with("HTTP/1.1 403 "));
    assert!(get(address, "/nothing", "x-tenant: acme\r\n").await.starts_with("HTTP/1.1 404 "));

    until(|| recorder.traces().iter().all(|trace| trace.status != RecordedStatus::InProgress)).await;
    let traces = recorder.traces();
    let told: Vec<_> = traces
        .iter()
        .map(|trace| (trace.name.as_str(), trace.tenant.as_ref().unwrap().as_str(), trace.status))
        .collect();
    let well = |name, tenant| (name, tenant, RecordedStatus::Completed);
    assert_eq!(
        told,
        [
            well("GET /chat/{room}", "acme"),
            well("GET /events", "acme"),
            well("GET /chat/{room}", "globex"),
            well("GET /events", "globex"),
            well("front", "acme"),
        ]
    );
    for step in recorder.spans().iter().filter(|span| span.name == "step") {
        assert_eq!(step.tenant, traces.iter().find(|trace| trace.id == step.trace_id).unwrap().tenant);
    }
    assert_eq!(tracium::current_tenant(), None);
}
