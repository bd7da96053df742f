//! `tracium::actix`, over real sockets.

#[path = "support/web.rs"]
mod web;

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use actix_web::dev::Service as _;
use actix_web::rt::{System, task::yield_now};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web as route};
use futures::stream;
use tokio::sync::Semaphore;
use tracium::TenantId;
use tracium::actix::TenantMiddleware;
use tracium::tenant::{self, Policies, Policy, Tenants};
use tracium::testing::Recorder;

use self::web::{Storm, expect_no_tenant, step};

fn whose(request: &HttpRequest) -> String {
    request.headers().get("x-whose").unwrap().to_str().unwrap().to_owned()
}

async fn work(request: HttpRequest) -> String {
    let whose = whose(&request);
    for _ in 0..3 {
        assert_eq!(step(&whose), whose);
        yield_now().await;
    }
    // On the worker's own `LocalSet`.
    tracium::spawn_local(async move { step(&whose) }).await.unwrap()
}

async fn panics(request: HttpRequest) -> HttpResponse {
    step(&whose(&request));
    yield_now().await;
    panic!("as it was asked to");
}

fn pieces(request: &HttpRequest, count: usize) -> HttpResponse {
    let pieces = stream::unfold((whose(request), count), |(whose, left)| async move {
        let left = left.checked_sub(1)?;
        yield_now().await;
        Some((Ok::<_, actix_web::Error>(format!("{}\n", step(&whose)).into()), (whose, left)))
    });
    HttpResponse::Ok().streaming(Box::pin(pieces))
}

fn tenants() -> Tenants {
    let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
    Tenants::new(tenant::header("x-tenant"), policies).known(|tenant| tenant.as_str() != "stranger")
}

const WORKERS: usize = 4;

/// What each worker's thread has, outside of any request, once `ask` is told to: with the thread, of which it is one.
#[derive(Clone)]
struct Probe {
    ask: Arc<Semaphore>,
    answer: mpsc::Sender<(ThreadId, Option<TenantId>)>,
}

impl Probe {
    /// To be called on the worker.
    fn place(&self) {
        let Self { ask, answer } = self.clone();
        actix_web::rt::spawn(async move {
            ask.acquire().await.unwrap().forget();
            answer.send((thread::current().id(), tracium::current_tenant())).unwrap();
        });
    }
}

fn serve(probe: Probe) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (started, starts) = mpsc::channel();
    thread::spawn(move || {
        System::new().block_on(async move {
            let server = HttpServer::new(move || {
                probe.place();
                App::new()
                    .wrap(TenantMiddleware::new(tenants()).trace("storm"))
                    .wrap_fn(|request, inner| {
                        expect_no_tenant();
                        let response = inner.call(request);
                        expect_no_tenant();
                        async move {
                            let response = response.await;
                            expect_no_tenant();
                            response
                        }
                    })
                    .route("/work", route::get().to(work))
                    .route("/panic", route::get().to(panics))
                    .route("/stream", route::get().to(|request: HttpRequest| async move { pieces(&request, 5) }))
                    .route(
                        "/{endless}",
                        route::get().to(|request: HttpRequest| async move { pieces(&request, usize::MAX) }),
                    )
            });
            let server = server.workers(WORKERS).disable_signals().listen(listener).unwrap().run();
            started.send(()).unwrap();
            server.await.unwrap();
        });
    });
    starts.recv_timeout(Duration::from_secs(30)).unwrap();
    address
}

#[test]
fn five_thousand_requests_of_a_hundred_tenants_never_meet() {
    let recorder = Recorder::install_global();
    let (answer, answers) = mpsc::channel();
    let ask = Arc::new(Semaphore::new(0));
    Storm::over(serve(Probe { ask: Arc::clone(&ask), answer })).check(&recorder);

    ask.add_permits(WORKERS);
    let left: HashMap<_, _> = (0..WORKERS).map(|_| answers.recv_timeout(Duration::from_secs(30)).unwrap()).collect();
    assert_eq!(left.len(), WORKERS);
    assert!(left.values().all(Option::is_none), "{left:?}");
    let names: std::collections::BTreeSet<_> = recorder.traces().into_iter().map(|trace| trace.name).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["GET /panic", "GET /stream", "GET /work", "GET /{endless}"]);
}
