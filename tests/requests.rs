//! What the layers say of single requests and jobs: traces that go on, outcomes, refusals, and headers on the way out.

#[allow(dead_code)]
#[path = "support/web.rs"]
mod web;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use apalis_core::backend::{TaskSink, memory::MemoryStorage};
use apalis_core::error::BoxDynError;
use apalis_core::layers::{Layer, Service};
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::metadata::MetadataStore;
use apalis_core::worker::{builder::WorkerBuilder, context::WorkerContext};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use futures::{FutureExt, stream};
use jsonwebtoken::{DecodingKey, Validation};
use reqwest_middleware::{ClientBuilder, reqwest};
use tokio::runtime::Builder;
use tracium::apalis::{JobContext, JobLayer};
use tracium::reqwest_middleware::ContextMiddleware;
use tracium::tenant::{self, Policies, Policy, Tenants};
use tracium::testing::{RecordedStatus, Recorder};
use tracium::tower::TenantLayer;
use tracium::{Context, ExporterKind, TenantId};

use self::web::Client;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Serves `app` on this thread, where its recorder is, while `client` asks from another.
fn ask<R: Send + 'static>(app: Router, client: impl FnOnce(SocketAddr) -> R + Send + 'static) -> R {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, app).await });
        tokio::task::spawn_blocking(move || client(address)).await.unwrap()
    })
}

fn layer() -> TenantLayer {
    let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
    TenantLayer::new(Tenants::new(tenant::header("x-tenant"), policies)).trace("front", |_| None)
}

async fn step() -> String {
    tracium::start_span("tool", "step").run(|| tracium::current_tenant().unwrap().to_string())
}

fn id(id: &str) -> TenantId {
    TenantId::try_from(id).unwrap()
}

#[test]
fn a_callers_trace_goes_on_only_where_that_was_asked_for() {
    let sent: &[_] = &[("x-tenant", "acme"), ("traceparent", TRACEPARENT), ("baggage", "tenant.id=acme")];
    for (layer, goes_on) in [(layer(), false), (layer().continue_traces(), true)] {
        let recorder = Recorder::install();
        let app = Router::new().route("/", get(step)).layer(layer);
        assert_eq!(ask(app, |address| Client::new(address).get("/", sent).unwrap().body), "acme");
        let span = recorder.spans().into_iter().find(|span| span.name == "step").unwrap();
        assert_eq!(span.trace_id.to_string() == TRACE, goes_on);
        assert_eq!(span.tenant.unwrap(), "acme");
    }
}

#[test]
fn forged_baggage_changes_neither_the_tenant_nor_gets_it_into_anothers_trace() {
    let recorder = Recorder::install();
    let app = Router::new().route("/", get(step)).layer(layer().continue_traces());
    let sent: &[_] = &[("x-tenant", "acme"), ("traceparent", TRACEPARENT), ("baggage", "tenant.id=globex")];
    assert_eq!(ask(app, |address| Client::new(address).get("/", sent).unwrap().body), "acme");
    let spans = recorder.spans();
    assert!(!spans.is_empty());
    for span in spans {
        assert_eq!(span.tenant.as_ref().unwrap(), "acme");
        assert_ne!(span.trace_id.to_string(), TRACE);
    }
    let policies = Policies { missing: Policy::Anonymous, invalid: Policy::reject(403) };
    let by_baggage = TenantLayer::new(Tenants::new(tenant::baggage(), policies));
    let app = Router::new().route("/", get(step)).layer(by_baggage);
    assert_eq!(
        ask(app, |address| Client::new(address).get("/", sent).unwrap().body),
        "globex",
        "where it is asked for"
    );
}

#[test]
fn the_answer_decides_how_the_trace_ends() {
    let recorder = Recorder::install();
    let broken = || async {
        let pieces = [Ok("first"), Err(std::io::Error::other("the model has gone"))];
        Body::from_stream(stream::iter(pieces))
    };
    let app = Router::new()
        .route("/well", get(|| async { "well" }))
        .route("/empty", get(|| async { StatusCode::NO_CONTENT }))
        .route("/unknown", get(|| async { StatusCode::NOT_FOUND }))
        .route("/down", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "down") }))
        .route(
            "/announced",
            get(|| async {
                ([("content-length", "3")], Body::from_stream(stream::iter([Ok::<_, std::io::Error>("abc")])))
            }),
        )
        .route("/broken", get(broken))
        .layer(layer());
    ask(app, |address| {
        for path in ["/well", "/empty", "/unknown", "/announced", "/down", "/broken"] {
            // A fresh connection each: what is broken takes its connection along.
            Client::new(address).get(path, &[("x-tenant", "acme")]);
        }
    });
    let ended: Vec<_> = recorder.traces().into_iter().map(|trace| (trace.status, trace.error)).collect();
    let well = (RecordedStatus::Completed, None);
    let failed = |reason: &str| (RecordedStatus::Failed, Some(reason.to_owned()));
    assert_eq!(
        ended,
        [
            well.clone(),
            well.clone(),
            well.clone(),
            well,
            failed("answered with status 503"),
            failed("the response's body ended with an error"),
        ]
    );
    let status = |trace: &tracium::testing::RecordedTrace| {
        trace.metadata.iter().find(|(key, _)| key == "http.response.status_code").unwrap().1.as_u64()
    };
    assert_eq!(status(&recorder.traces()[4]), Some(503));
}

#[test]
fn a_panic_fails_the_trace_as_a_panic_also_where_whoever_catches_it_keeps_the_future() {
    async fn panics() {
        panic!("as it was asked to");
    }
    let recorder = Recorder::install();
    let mut service = layer().layer(Router::new().route("/", get(panics)));
    let request = Request::builder().header("x-tenant", "acme").body(Body::empty()).unwrap();
    let mut answer = Box::pin(service.call(request));
    let runtime = Builder::new_current_thread().build().unwrap();
    let panic = runtime.block_on(AssertUnwindSafe(&mut answer).catch_unwind()).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"as it was asked to"));
    assert_eq!(tracium::current_tenant(), None);
    drop(answer);
    let trace = &recorder.traces()[0];
    assert_eq!(trace.error_type.as_deref(), Some("panic"));
    assert_eq!(trace.error.as_deref(), Some("as it was asked to"));
}

#[test]
fn what_is_refused_never_arrives_and_is_told_what_is_asked_for() {
    async fn reached() {
        panic!("a request that should have been refused");
    }
    let recorder = Recorder::install();
    let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
    let claim = tenant::claim("tenant_id", DecodingKey::from_secret(b"s"), Validation::default());
    let app = Router::new()
        .route("/", get(reached))
        .layer(TenantLayer::new(Tenants::new(claim, policies)).trace("front", |_| None));
    let answers = ask(app, |address| {
        let mut client = Client::new(address);
        let long = format!("Bearer {}", "x".repeat(10_000));
        [
            client.get("/", &[]),
            client.get("/", &[("authorization", "Bearer forged")]),
            client.get("/", &[("authorization", &long)]),
        ]
    });
    let [missing, forged, long] = answers.map(Option::unwrap);
    assert_eq!((missing.status, missing.header("www-authenticate"), &*missing.body), (401, Some("Bearer"), ""));
    assert_eq!((forged.status, forged.header("www-authenticate"), &*forged.body), (403, None, ""));
    assert_eq!(long.status, 403);
    assert!(recorder.traces().is_empty());
}

/// Runs the one job in `jobs`, whose metadata was stored and read again meanwhile.
async fn work(metadata: HashMap<String, String>) -> Arc<Mutex<Option<TenantId>>> {
    let seen = Arc::new(Mutex::new(None));
    let mut jobs = MemoryStorage::new();
    let job = TaskBuilder::new(7_u32).with_metadata(MetadataStore::from_map(metadata)).build();
    jobs.push_task(job).await.unwrap();
    let by_job = Arc::clone(&seen);
    let worker = WorkerBuilder::new("worker").backend(jobs).layer(JobLayer::new().trace("worker"));
    let job = move |_: u32, worker: WorkerContext| {
        let seen = Arc::clone(&by_job);
        async move {
            *seen.lock().unwrap() = tracium::current_tenant();
            worker.stop()?;
            Err::<(), BoxDynError>("the document is gone".into())
        }
    };
    worker.build(job).run().await.unwrap();
    seen
}

#[test]
fn a_job_runs_for_the_tenant_and_in_the_trace_that_queued_it_after_a_restart_too() {
    let recorder = Recorder::install();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let stored = tracium::start_trace("front").tenant("acme").run(|| {
        let job = TaskBuilder::new(7_u32).metadata(&JobContext::current()).build();
        serde_json::to_string(job.metadata().as_map()).unwrap()
    });
    let seen = runtime.block_on(work(serde_json::from_str(&stored).unwrap()));
    assert_eq!(*seen.lock().unwrap(), Some(id("acme")));
    let (front, worker) = (&recorder.traces()[0], &recorder.spans()[0]);
    assert_eq!((worker.trace_id, worker.tenant.clone()), (front.id, front.tenant.clone()));
    assert_eq!(worker.error.as_deref(), Some("the document is gone"));
}

#[test]
fn a_job_whose_context_cannot_be_read_runs_for_nobody() {
    let _recorder = Recorder::install();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    for json in ["", "{", r#"{"tenant":""}"#, r#"{"tenant":"a\nb"}"#] {
        let metadata = HashMap::from([("tracium.context".to_owned(), json.to_owned())]);
        assert_eq!(*runtime.block_on(work(metadata)).lock().unwrap(), None, "{json}");
    }
}

#[test]
fn requests_on_the_way_out_tell_the_trace_to_all_and_the_tenant_to_who_may_know() {
    let _recorder = Recorder::install();
    let seen = async |headers: HeaderMap| {
        let value = |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned());
        format!("{:?}", [value("traceparent").map(|value| value[3..35].to_owned()), value("x-tenant-id")])
    };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/", get(seen))).await });
        let client = ClientBuilder::new(reqwest::Client::new()).with(ContextMiddleware).build();
        let ask = async || {
            let trace = tracium::start_trace("front").tenant("acme");
            trace
                .scope(async {
                    let trace = tracium::current_trace().id().unwrap().to_string();
                    (trace, client.get(&url).send().await.unwrap().text().await.unwrap())
                })
                .await
        };
        let (trace, told) = ask().await;
        assert_eq!(told, format!("[Some({trace:?}), None]"));
        let builder = tracium::builder().exporter(ExporterKind::None).allow_tenant_host("127.0.0.1");
        let _guard = builder.init().unwrap();
        let (trace, told) = ask().await;
        assert_eq!(told, format!("[Some({trace:?}), Some(\"acme\")]"));
        let outside = Context::root().scope(async { client.get(&url).send().await.unwrap().text().await.unwrap() });
        assert_eq!(outside.await, "[None, None]");
    });
}
