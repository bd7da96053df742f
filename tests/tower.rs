//! `tracium::tower` behind axum, over real sockets.

#[path = "support/web.rs"]
mod web;

use std::net::SocketAddr;
use std::sync::{Arc, Barrier};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use futures::stream;
use tokio::runtime::{Builder, Runtime};
use tracium::tenant::{self, Policies, Policy, Tenants};
use tracium::testing::Recorder;
use tracium::tower::TenantLayer;

use self::web::{Storm, expect_no_tenant, step};

const WORKERS: usize = 4;

fn whose(headers: &HeaderMap) -> String {
    headers["x-whose"].to_str().unwrap().to_owned()
}

async fn work(headers: HeaderMap) -> String {
    let whose = whose(&headers);
    for _ in 0..3 {
        assert_eq!(step(&whose), whose);
        tokio::task::yield_now().await;
    }
    tracium::spawn(async move { step(&whose) }).await.unwrap()
}

async fn panics(headers: HeaderMap) {
    step(&whose(&headers));
    tokio::task::yield_now().await;
    panic!("as it was asked to");
}

fn pieces(headers: &HeaderMap, count: usize) -> Body {
    Body::from_stream(stream::unfold((whose(headers), count), |(whose, left)| async move {
        let left = left.checked_sub(1)?;
        tokio::task::yield_now().await;
        Some((Ok::<_, std::io::Error>(format!("{}\n", step(&whose))), (whose, left)))
    }))
}

/// Outside the layer: whatever runs here belongs to nobody.
async fn outside(request: Request, next: Next) -> Response {
    expect_no_tenant();
    let response = next.run(request).await;
    expect_no_tenant();
    response
}

fn tenants() -> Tenants {
    let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
    Tenants::new(tenant::header("x-tenant"), policies).known(|tenant| tenant.as_str() != "stranger").exempt("/health")
}

fn app() -> Router {
    let route = |parts: &tenant::Parts<'_>| parts.extension(|path: &MatchedPath| path.as_str().to_owned());
    Router::new()
        .route("/work", get(work))
        .route("/panic", get(panics))
        .route("/stream", get(|headers: HeaderMap| async move { pieces(&headers, 5) }))
        .route("/endless", get(|headers: HeaderMap| async move { pieces(&headers, usize::MAX) }))
        .layer(TenantLayer::new(tenants()).trace("storm", route))
        .layer(from_fn(outside))
}

fn serve(runtime: &Runtime, app: Router) -> SocketAddr {
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(listener, app).await });
    address
}

#[test]
fn five_thousand_requests_of_a_hundred_tenants_never_meet() {
    let recorder = Recorder::install_global();
    let runtime = Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().unwrap();
    let storm = Storm::over(serve(&runtime, app()));
    storm.check(&recorder);

    // One task on each worker at the same time: none has anything left of what ran there.
    let all = Arc::new(Barrier::new(WORKERS));
    let tasks: Vec<_> = (0..WORKERS)
        .map(|_| {
            let all = Arc::clone(&all);
            runtime.spawn(async move {
                all.wait();
                tracium::current_tenant()
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(runtime.block_on(task).unwrap(), None);
    }
    let names: std::collections::BTreeSet<_> = recorder.traces().into_iter().map(|trace| trace.name).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["GET /endless", "GET /panic", "GET /stream", "GET /work"]);
}
