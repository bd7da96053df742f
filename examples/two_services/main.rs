//! Two processes, one trace: a service asks another one over HTTP, and the tenant goes along.
//!
//! ```text
//! cargo run --example two_services
//! ```
//!
//! 1. The caller writes its context into the headers, and the tenant only because this host is allowed to know it.
//! 2. The other service reads it, and what it records is part of the caller's trace: each prints its own half here, and
//!    a backend (`OTEL_EXPORTER_OTLP_ENDPOINT`) shows the whole.

mod http;

use std::error::Error;
use std::net::SocketAddr;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tracium::{Context, current_tenant, current_trace};

use self::http::{Headers, Request};

type Outcome<T> = Result<T, Box<dyn Error>>;

const QUESTIONS: [(&str, &str); 2] = [("acme", "tea"), ("globex", "coffee")];

#[tokio::main]
async fn main() -> Outcome<()> {
    let _guard = tracium::builder().allow_tenant_host("127.0.0.1").init()?;
    if std::env::args().nth(1).as_deref() == Some("kitchen") {
        return kitchen().await;
    }
    // The other service, as a process of its own; it says where it listens.
    let mut other =
        tokio::process::Command::new(std::env::current_exe()?).arg("kitchen").stdout(Stdio::piped()).spawn()?;
    let said = other.stdout.take().ok_or("the other service has no output")?;
    let mut address = String::new();
    BufReader::new(said).read_line(&mut address).await?;
    let address = address.trim().parse()?;
    for (tenant, drink) in QUESTIONS {
        println!("waiter: {}", order(tenant, drink, address).await?);
    }
    other.wait().await?;
    Ok(())
}

#[tracium::trace(agent = "waiter")]
#[tracium::tenant_scope(from = tenant)]
async fn order(tenant: &str, drink: &str, kitchen: SocketAddr) -> Outcome<String> {
    ask(drink, kitchen).await
}

#[tracium::tool(capture(drink))]
async fn ask(drink: &str, kitchen: SocketAddr) -> Outcome<String> {
    let mut headers = Headers::new();
    Context::current().inject_for_host(&kitchen.ip().to_string(), &mut headers);
    Ok(http::get(kitchen, &format!("/{drink}"), &headers).await?)
}

/// The other service.
async fn kitchen() -> Outcome<()> {
    let (listener, address) = http::listen().await?;
    println!("{address}");
    for _ in QUESTIONS {
        let (stream, _) = listener.accept().await?;
        http::serve_one(stream, |request| async move {
            // Whoever calls is our own service; else the tenant would be named by what the caller has proved.
            let context = Context::extract(&request.headers);
            context.scope(cook(request)).await
        })
        .await?;
    }
    Ok(())
}

#[tracium::trace(agent = "kitchen")]
async fn cook(request: Request) -> String {
    let tenant = current_tenant().map(|tenant| tenant.to_string()).unwrap_or_default();
    let trace = current_trace().id().map(|id| id.to_string()).unwrap_or_default();
    format!("{} for {tenant}, in trace {}..", request.path.trim_start_matches('/'), &trace[..trace.len().min(8)])
}
