//! A chain of three services in three processes, and a thousand requests at once: every span under the right parent and
//! tenant, as the backend has it.

#[path = "../examples/two_services/http.rs"]
mod http;
#[allow(dead_code)]
#[path = "support/otlp.rs"]
mod otlp;
#[allow(dead_code)]
#[path = "support/server.rs"]
mod server;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tracium::{Context, ExporterKind, Guard};

use self::http::{Headers, Request};
use self::otlp::{accept, attributes};
use self::server::Server;

const REQUESTS: usize = 1_000;
const TENANTS: usize = 50;

fn export_to(backend: &str, service: &str) -> Guard {
    let builder = tracium::builder().exporter(ExporterKind::Otlp).otlp_endpoint(backend).service_name(service);
    builder.allow_tenant_host("127.0.0.1").init().unwrap()
}

/// One more service of the chain, with the one behind it.
struct Service {
    process: Child,
    address: SocketAddr,
}

impl Service {
    fn start(name: &str, backend: &str, next: Option<SocketAddr>) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "service", "--nocapture", "--ignored"])
            .env("SERVICE", name)
            .env("BACKEND", backend)
            .env("NEXT", next.map(|next| next.to_string()).unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| Some(line.unwrap().split_once("address: ")?.1.parse().unwrap())).unwrap();
        // What else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    /// Closes its input, at which it ends, and sends what it has.
    fn stop(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
    }
}

#[test]
#[ignore = "a program that the test below runs"]
fn service() {
    let name = std::env::var("SERVICE").unwrap();
    let next: Option<SocketAddr> = std::env::var("NEXT").unwrap().parse().ok();
    let _guard = export_to(&std::env::var("BACKEND").unwrap(), &name);
    let (closed, mut is_closed) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = closed.blocking_send(());
    });
    runtime().block_on(async {
        let (listener, address) = http::listen().await.unwrap();
        println!("address: {address}");
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => accepted.unwrap().0,
                _ = is_closed.recv() => return,
            };
            let name = name.clone();
            tokio::spawn(http::serve_one(stream, move |request| async move {
                let context = Context::extract(&request.headers);
                context.scope(handle(name, request, next)).await
            }));
        }
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[tracium::trace(agent = name, metadata(request = request.path))]
async fn handle(name: String, request: Request, next: Option<SocketAddr>) -> String {
    match next {
        Some(next) => call(&request.path, next).await,
        None => tracium::current_tenant().map(|tenant| tenant.to_string()).unwrap_or_default(),
    }
}

#[tracium::tool(metadata(request = path))]
async fn call(path: &str, next: SocketAddr) -> String {
    // Somebody else's turn in between.
    tokio::task::yield_now().await;
    let mut headers = Headers::new();
    Context::current().inject_for_host("127.0.0.1", &mut headers);
    http::get(next, path, &headers).await.unwrap()
}

#[test]
fn a_thousand_requests_through_three_services_keep_their_parents_and_tenants_apart() {
    let server = Server::start(accept);
    let _guard = export_to(&server.url(), "gateway");
    let last = Service::start("last", &server.url(), None);
    let middle = Service::start("middle", &server.url(), Some(last.address));
    let next = middle.address;
    runtime().block_on(async {
        let tasks: Vec<_> = (0..REQUESTS)
            .map(|number| {
                tokio::spawn(async move {
                    let tenant = format!("tenant-{}", number % TENANTS);
                    let path = format!("/{number}");
                    let trace = tracium::start_trace("gateway").tenant(tenant.as_str()).metadata("request", &path);
                    let answer = trace.scope(async move { call(&path, next).await }).await;
                    assert_eq!(answer, tenant, "the last service's own view");
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    middle.stop();
    last.stop();
    assert!(tracium::flush(Duration::from_secs(20)).complete);
    assert_eq!(tracium::stats().malformed_headers, 0);
    check(&otlp::spans(&server));
}

/// Of each request: the gateway's root and its call, the middle service's agent and its call, the last one's agent.
fn check(spans: &[opentelemetry_proto::tonic::trace::v1::Span]) {
    assert_eq!(spans.len(), 5 * REQUESTS);
    let by_id: HashMap<&[u8], _> = spans.iter().map(|span| (span.span_id.as_slice(), span)).collect();
    assert_eq!(by_id.len(), spans.len(), "every id is one span's");
    let mut chains = 0;
    for span in spans.iter().filter(|span| span.name == "invoke_agent last") {
        let request = attributes(&span.attributes)["request"].clone();
        let number: usize = request.as_str().unwrap()[1..].parse().unwrap();
        let mut at = span;
        for name in ["execute_tool call", "invoke_agent middle", "execute_tool call", "invoke_agent gateway"] {
            at = by_id[at.parent_span_id.as_slice()];
            assert_eq!(at.name, name);
            assert_eq!(at.trace_id, span.trace_id);
            let all = attributes(&at.attributes);
            assert_eq!(all["request"], request);
            assert_eq!(all["tenant.id"], json!(format!("tenant-{}", number % TENANTS)));
            let agent = &all["gen_ai.agent.name"];
            assert!(name.starts_with("execute") || agent.as_str() == name.strip_prefix("invoke_agent "), "{agent}");
        }
        assert!(at.parent_span_id.is_empty());
        assert_eq!(attributes(&span.attributes)["tenant.id"], json!(format!("tenant-{}", number % TENANTS)));
        chains += 1;
    }
    assert_eq!(chains, REQUESTS);
}
