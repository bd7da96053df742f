//! axum queues, apalis works: a job runs under the tenant and in the trace that queued it. The queue here is in memory;
//! storages of apalis keep a job's metadata, and so its context, over restarts.
//!
//! ```sh
//! cargo run --example jobs --features apalis,tower
//! ```
//!
//! Then, in another terminal:
//!
//! ```sh
//! curl -i http://127.0.0.1:3003/summaries/7
//! curl -i -H 'x-tenant-id: acme' http://127.0.0.1:3003/summaries/7
//! ```
//!
//! The answers are 401, and 200: what becomes of the job is printed where the service runs.

use std::sync::Arc;

use apalis_core::backend::memory::{MemorySink, MemoryStorage, MemoryStorageError};
use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::worker::builder::WorkerBuilder;
use axum::Router;
use axum::extract::{MatchedPath, Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use futures::channel::mpsc;
use futures::lock::Mutex;
use futures::{Sink, SinkExt, StreamExt};
use tracium::apalis::{JobContext, JobLayer};
use tracium::tenant::{self, Policies, Policy, Tenants};
use tracium::tower::TenantLayer;

#[tracium::main]
#[tokio::main]
async fn main() -> std::io::Result<()> {
    serve(tokio::net::TcpListener::bind("127.0.0.1:3003").await?).await
}

type Queue = MemorySink<u32>;

pub(crate) async fn serve(listener: tokio::net::TcpListener) -> std::io::Result<()> {
    let (jobs, queued) = mpsc::unbounded();
    let jobs: Box<dyn Sink<Task<u32>, Error = MemoryStorageError> + Send + Sync + Unpin> =
        Box::new(jobs.sink_map_err(MemoryStorageError::from));
    let queue = Queue::new(Arc::new(Mutex::new(jobs)));
    let storage = MemoryStorage::new_with(queue.clone(), queued.boxed());

    let worker = WorkerBuilder::new("summaries").backend(storage).layer(JobLayer::new().trace("summaries"));
    tokio::spawn(async move {
        if let Err(error) = worker.build(summarize).run().await {
            eprintln!("the worker has stopped: {error}");
        }
    });

    // A header is a hint; `examples/axum_chat.rs` shows the claim of a token, which proves the tenant.
    let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
    let layer = TenantLayer::new(Tenants::new(tenant::header("x-tenant-id"), policies))
        .trace("front", |parts| parts.extension(|path: &MatchedPath| path.as_str().to_owned()));
    axum::serve(listener, Router::new().route("/summaries/{document}", get(order)).layer(layer).with_state(queue)).await
}

async fn order(State(mut queue): State<Queue>, Path(document): Path<u32>) -> (StatusCode, &'static str) {
    let job = TaskBuilder::new(document).metadata(&JobContext::current()).build();
    match queue.send(job).await {
        Ok(()) => (StatusCode::OK, "queued\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the queue takes no jobs\n"),
    }
}

async fn summarize(document: u32) -> Result<(), BoxDynError> {
    write(document).await;
    Ok(())
}

#[tracium::llm(model = "gpt-4o", output)]
async fn write(document: u32) -> String {
    let tenant = tracium::current_tenant().map(|tenant| tenant.to_string()).unwrap_or_default();
    format!("document {document} of {tenant}, in a few words")
}
