//! `tracium::rocket`, over real sockets.

#[path = "support/web.rs"]
mod web;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::request::{FromRequest, Outcome};
use rocket::response::stream::TextStream;
use rocket::{Config, Request, get, routes};
use tokio::runtime::{Builder, Runtime};
use tracium::rocket::TenantRoutes;
use tracium::tenant::{self, Policies, Policy, Tenants};
use tracium::testing::Recorder;

use self::web::{Storm, expect_no_tenant, step};

const WORKERS: usize = 4;

struct Whose(String);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Whose {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        let whose = request.headers().get_one("x-whose").unwrap().to_owned();
        // Guards run inside, too.
        assert_eq!(step(&whose), whose);
        Outcome::Success(Self(whose))
    }
}

#[get("/work")]
async fn work(whose: Whose) -> String {
    for _ in 0..3 {
        assert_eq!(step(&whose.0), whose.0);
        tokio::task::yield_now().await;
    }
    tracium::spawn(async move { step(&whose.0) }).await.unwrap()
}

#[get("/panic")]
async fn panics(whose: Whose) {
    step(&whose.0);
    tokio::task::yield_now().await;
    panic!("as it was asked to");
}

fn pieces(whose: Whose, count: usize) -> TextStream![String] {
    TextStream! {
        for _ in 0..count {
            tokio::task::yield_now().await;
            yield format!("{}\n", step(&whose.0));
        }
    }
}

#[get("/stream")]
fn stream(whose: Whose) -> TextStream![String] {
    pieces(whose, 5)
}

#[get("/<_>", rank = 2)]
fn endless(whose: Whose) -> TextStream![String] {
    pieces(whose, usize::MAX)
}

fn tenants() -> Tenants {
    let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
    Tenants::new(tenant::header("x-tenant"), policies).known(|tenant| tenant.as_str() != "stranger")
}

fn serve(runtime: &Runtime) -> SocketAddr {
    let (started, starts) = mpsc::channel();
    let config = Config { port: 0, log_level: rocket::config::LogLevel::Off, ..Config::debug_default() };
    let routes = TenantRoutes::new(tenants()).trace("storm").wrap(routes![work, panics, stream, endless]);
    let app = rocket::custom(config)
        .mount("/", routes)
        .attach(AdHoc::on_request("before", |_, _| Box::pin(async { expect_no_tenant() })))
        .attach(AdHoc::on_response("after", |_, _| Box::pin(async { expect_no_tenant() })))
        .attach(AdHoc::on_liftoff("started", move |app| {
            let address = SocketAddr::new(app.config().address, app.config().port);
            Box::pin(async move { started.send(address).unwrap() })
        }));
    runtime.spawn(app.launch());
    starts.recv_timeout(Duration::from_secs(30)).unwrap()
}

#[test]
fn five_thousand_requests_of_a_hundred_tenants_never_meet() {
    let recorder = Recorder::install_global();
    let runtime = Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().unwrap();
    Storm::over(serve(&runtime)).check(&recorder);

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
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["GET /<_>", "GET /panic", "GET /stream", "GET /work"]);
}
