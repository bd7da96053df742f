//! With backends that take nothing, requests go on as ever: one refuses connections, one takes them and is silent.

#[allow(dead_code)]
#[path = "support/web.rs"]
mod web;

use std::io::Read;
use std::mem::ManuallyDrop;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::routing::get;
use axum::serve::ListenerExt;
use futures::stream;
use tokio::runtime::{Builder, Runtime};
use tracium::tenant::{self, Policies, Policy, Tenants};
use tracium::tower::TenantLayer;
use tracium::{DropReason, ExporterKind, Stats};

use self::web::{Client, step};

const CONNECTIONS: usize = 16;
const REQUESTS: usize = 6_000;
/// Of each request, with its trace's own outcome.
const SPANS: usize = 6;
/// Far fewer than `REQUESTS * SPANS`.
const RECORDS: usize = 4_096;
/// With what is kept for tenants that have less than their share.
const MOST: u64 = (RECORDS + RECORDS / 7) as u64;

fn whose(headers: &HeaderMap) -> String {
    headers["x-tenant"].to_str().unwrap().to_owned()
}

/// Five spans, one by one as they are sent.
async fn pieces(headers: HeaderMap) -> Body {
    Body::from_stream(stream::unfold((whose(&headers), SPANS - 1), |(whose, left)| async move {
        let left = left.checked_sub(1)?;
        tokio::task::yield_now().await;
        Some((Ok::<_, std::io::Error>(format!("{}\n", step(&whose))), (whose, left)))
    }))
}

fn serve(runtime: &Runtime) -> SocketAddr {
    let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
    let layer = TenantLayer::new(Tenants::new(tenant::header("x-tenant"), policies)).trace("front", |_| None);
    let app = Router::new().route("/", get(pieces)).layer(layer);
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    // Each piece of a stream leaves as it comes.
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    runtime.spawn(async move { axum::serve(listener, app).await });
    address
}

fn ask(client: &mut Client, number: usize) {
    let tenant = format!("tenant-{}", number % 100);
    let answer = client.get("/", &[("x-tenant", &tenant)]).unwrap();
    assert_eq!((answer.status, answer.body), (200, format!("{tenant}\n").repeat(SPANS - 1)));
}

/// An address where connections are taken, and what is sent there is never answered; and word of each request's start.
fn silent() -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (arrived, arrivals) = mpsc::channel();
    thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            if stream.read(&mut [0]).is_ok_and(|read| read == 1) {
                let _ = arrived.send(());
            }
            open.push(stream);
        }
    });
    (format!("http://{address}"), arrivals)
}

/// An address where nobody is.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// The accounting once all is at rest: each exporter has `emitted`, and says what it did with them.
fn at_rest(emitted: usize) -> Stats {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let stats = tracium::stats();
        let holds = stats.emitted == emitted as u64
            && stats.exporters.iter().all(|of| of.acknowledged + of.dropped + of.queued == stats.emitted);
        if holds || Instant::now() > patience {
            assert!(holds, "{stats:?}");
            return stats;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn requests_go_on_past_full_buffers_while_not_one_export_is_answered() {
    let (silent, arrivals) = silent();
    let builder = tracium::builder()
        .exporter(ExporterKind::Otlp)
        .otlp_endpoint(silent)
        .add_exporter(ExporterKind::Rest)
        .api_key("trc_test")
        .base_url(refusing())
        .max_records(RECORDS)
        // Longer than the test: no export ends, not even by running out of time.
        .request_timeout(Duration::from_secs(600));
    // Its drop would wait for backends that never come.
    std::mem::forget(builder.init().unwrap());
    // Not waited for: were a worker held up, the test would be too, in place of failing.
    let runtime = ManuallyDrop::new(Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap());
    let address = serve(&runtime);

    // From here on, an export hangs.
    ask(&mut Client::new(address), 0);
    arrivals.recv_timeout(Duration::from_secs(30)).unwrap();

    thread::scope(|threads| {
        for at in 0..CONNECTIONS {
            threads.spawn(move || {
                let mut client = Client::new(address);
                (1..REQUESTS).skip(at).step_by(CONNECTIONS).for_each(|number| ask(&mut client, number));
            });
        }
    });

    let stats = at_rest(REQUESTS * SPANS);
    for exporter in &stats.exporters {
        assert_eq!(exporter.acknowledged, 0, "{exporter:?}");
        let full = exporter.dropped_by_reason.iter().find(|(reason, _)| *reason == DropReason::QueueFull);
        assert_eq!(full.map(|(_, lost)| *lost), Some(exporter.dropped), "{exporter:?}");
        assert!(exporter.dropped > 0 && exporter.queued > 0, "{exporter:?}");
        assert!(exporter.queued <= MOST, "{exporter:?}");
    }
    assert!(stats.buffered_records <= MOST, "{stats:?}");
}
