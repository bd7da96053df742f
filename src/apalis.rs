//! Jobs of [apalis](https://docs.rs/apalis) 1.0 that run under the tenant and the trace that queued them.
//!
//! [`JobContext`] goes into a job's metadata when it is pushed, which every storage keeps with the job; [`JobLayer`] runs
//! the job under it, in whatever process takes it, after a restart of the worker as well.
//!
//! ```
//! use apalis_core::backend::{TaskSink, memory::MemoryStorage};
//! use apalis_core::task::builder::TaskBuilder;
//! use apalis_core::worker::{builder::WorkerBuilder, context::WorkerContext};
//! use tracium::apalis::{JobContext, JobLayer};
//! use tracium::{Context, TenantId};
//!
//! async fn summarize(document: u32, worker: WorkerContext) -> String {
//!     worker.stop().unwrap();
//!     assert_eq!(tracium::current_tenant().unwrap(), "acme");
//!     format!("document {document}")
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let mut jobs = MemoryStorage::new();
//! let acme = Context::root().with_tenant(TenantId::try_from("acme").unwrap());
//! acme.scope(async {
//!     let job = TaskBuilder::new(7).metadata(&JobContext::current()).build();
//!     jobs.push_task(job).await.unwrap();
//! })
//! .await;
//!
//! let worker = WorkerBuilder::new("summaries").backend(jobs).layer(JobLayer::new().trace("summaries"));
//! worker.build(summarize).run().await.unwrap();
//! # }
//! ```
//!
//! Metadata is as trustworthy as whoever may write to the queue. What is in it holds ids: of tenant, trace and span, and
//! the agent's name; nothing that was captured.
//!
//! For every other queue there is [`Context`] itself, which is serde data for a job's payload, and
//! `#[tracium::tenant_scope(from = job.tenant)]` on the function that works.

use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context as Waker, Poll, ready};

use apalis_core::task::Task;
use apalis_core::task::metadata::{Metadata, MetadataStore};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::request::{Request, polled};
use crate::{__private, Context, ContextExt, InContext, TenantError, start_trace};

const KEY: &str = "tracium.context";

/// The context that a job was queued under, in its metadata: `TaskBuilder::new(job).metadata(&JobContext::current())`.
#[derive(Clone, Debug, Default)]
pub struct JobContext(Context);

impl JobContext {
    /// What the calling code runs under.
    pub fn current() -> Self {
        Self(Context::current())
    }

    /// The context itself.
    pub fn context(&self) -> &Context {
        &self.0
    }
}

impl From<Context> for JobContext {
    fn from(context: Context) -> Self {
        Self(context)
    }
}

impl Metadata for JobContext {
    type Error = InvalidContext;

    /// The context that `store` has; the empty one, where it has none.
    fn extract(store: &MetadataStore) -> Result<Self, InvalidContext> {
        let Some(json) = store.get(KEY) else { return Ok(Self(Context::root())) };
        serde_json::from_str(json).map(Self).map_err(|error| InvalidContext(error.to_string()))
    }

    /// Replaces the context that `store` has: a job that is queued again is queued by whoever does so.
    ///
    /// It never is an error: apalis' builder would panic at one.
    fn inject(&self, store: &mut MetadataStore) -> Result<(), InvalidContext> {
        if let Ok(json) = serde_json::to_string(&self.0) {
            store.replace(KEY, json);
        }
        Ok(())
    }
}

/// A job's metadata has a context that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidContext(String);

impl Display for InvalidContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the job's metadata {KEY:?} is no context: {}", self.0)
    }
}

impl std::error::Error for InvalidContext {}

/// A layer for workers: each job runs under the context that it was queued with.
///
/// A job without one, or with one that cannot be read (which is counted and logged), runs for no tenant.
#[derive(Clone, Debug, Default)]
pub struct JobLayer {
    agent: Option<String>,
}

impl JobLayer {
    /// Jobs run under their contexts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Each job is a span of `agent` in the trace that queued it, or a trace of its own where there was none. It fails
    /// with the job's error and with a panic.
    #[must_use]
    pub fn trace(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }
}

impl<S> Layer<S> for JobLayer {
    type Service = JobService<S>;

    fn layer(&self, inner: S) -> JobService<S> {
        JobService { inner, layer: self.clone() }
    }
}

/// A worker's service whose jobs run under their contexts; made by [`JobLayer`].
#[derive(Clone, Debug)]
pub struct JobService<S> {
    inner: S,
    layer: JobLayer,
}

impl<S, A> Service<Task<A>> for JobService<S>
where
    S: Service<Task<A>>,
    S::Error: Display,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = JobFuture<S::Future>;

    fn poll_ready(&mut self, waker: &mut Waker<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(waker)
    }

    fn call(&mut self, task: Task<A>) -> Self::Future {
        let context = match JobContext::extract(task.metadata()) {
            Ok(JobContext(context)) => context,
            Err(error) => {
                let error = TenantError::Source { message: error.to_string().into() };
                __private::note_invalid_tenant("tracium::apalis", &error);
                Context::root()
            }
        };
        let trace = self.layer.agent.as_deref().map(start_trace);
        let request = Request::open(context, trace);
        let context = request.context().clone();
        let inner = context.run(|| self.inner.call(task).in_current_context());
        JobFuture { inner, request: Some(request) }
    }
}

pin_project! {
    /// The future of a [`JobService`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct JobFuture<F> {
        // Dropped before its trace: what it has open is part of that.
        #[pin]
        inner: InContext<F>,
        request: Option<Request>,
    }
}

impl<F, R, E> Future for JobFuture<F>
where
    F: Future<Output = Result<R, E>>,
    E: Display,
{
    type Output = Result<R, E>;

    fn poll(self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = this.inner;
        let result = ready!(polled(this.request, || inner.poll(waker)));
        if let Some(request) = this.request.take() {
            if let Err(error) = &result {
                request.fail(format_args!("{error:#}"));
            }
            request.finish();
        }
        Poll::Ready(result)
    }
}
