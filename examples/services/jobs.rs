//! axum queues, apalis works: a job runs under the tenant and in the trace that queued it, after a restart too. The queue
//! is a database of `SQLite` in a file, `JOBS_DB` or one in the directory for temporary files, which needs no server.
//!
//! ```sh
//! cargo run --example jobs
//! ```
//!
//! Then, in another terminal:
//!
//! ```sh
//! curl -i http://127.0.0.1:3003/summaries/7
//! curl -i -H 'x-tenant-id: acme' http://127.0.0.1:3003/summaries/7
//! ```
//!
//! The answers are 401, and 200: what becomes of the job is printed where the service runs. What waits in the file when the
//! service is stopped is done when it is started again; what was being done, a minute later, when the old worker counts as
//! dead.

use std::path::{Path as File, PathBuf};
use std::time::Duration;

use apalis_core::backend::TaskSink;
use apalis_core::backend::ext::BackendExt;
use apalis_core::error::BoxDynError;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_sqlite::{Config, SqliteConnectOptions, SqlitePool, SqliteStorage};
use axum::Router;
use axum::extract::{MatchedPath, Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use tracium::apalis::{JobContext, JobLayer};
use tracium::tenant::{self, Policies, Policy, Tenants};
use tracium::tower::TenantLayer;

#[tracium::main]
#[tokio::main]
async fn main() -> Result<(), BoxDynError> {
    let database = std::env::var_os("JOBS_DB")
        .map_or_else(|| std::env::temp_dir().join("tracium-example-jobs.sqlite"), PathBuf::from);
    serve(tokio::net::TcpListener::bind("127.0.0.1:3003").await?, &database).await
}

type Queue = SqliteStorage<u32>;

pub(crate) async fn serve(listener: tokio::net::TcpListener, database: &File) -> Result<(), BoxDynError> {
    let options = SqliteConnectOptions::new().filename(database).create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await?;
    SqliteStorage::setup(&pool).await?;
    let queue = Queue::new(&pool).with_config(Config::default().queue("summaries"));

    // Workers are known by their names: one that was killed a moment ago still has its own.
    let worker = WorkerBuilder::new(format!("summaries-{}", std::process::id()))
        // A worker that finds nothing would look again at its next heartbeat only, half a minute later.
        .backend(queue.clone().poll_with_interval(Duration::from_millis(200)))
        .layer(JobLayer::new().trace("summaries"));
    tokio::spawn(async move {
        if let Err(error) = worker.build(summarize).run().await {
            eprintln!("the worker has stopped: {error}");
        }
    });

    // A header is a hint; `examples/axum_chat.rs` shows the claim of a token, which proves the tenant.
    let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
    let layer = TenantLayer::new(Tenants::new(tenant::header("x-tenant-id"), policies))
        .trace("front", |parts| parts.extension(|path: &MatchedPath| path.as_str().to_owned()));
    let app = Router::new().route("/summaries/{document}", get(order)).layer(layer).with_state(queue);
    Ok(axum::serve(listener, app).await?)
}

async fn order(State(mut queue): State<Queue>, Path(document): Path<u32>) -> (StatusCode, &'static str) {
    let job = TaskBuilder::new(document).metadata(&JobContext::current()).build();
    match queue.push_task(job).await {
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
