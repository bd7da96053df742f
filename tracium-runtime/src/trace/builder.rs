//! Traces and spans for code without attributes.

use std::fmt::Display;
use std::ops::Deref;
use std::sync::Arc;

use serde_core::Serialize;

use super::details::{Error, SpanDetails, put};
use super::handle::{SpanHandle, named};
use super::{OpenSpan, SpanMeta, TraceCore, TraceMeta, TraceSpec};
use crate::context::{Begin, Begun, Context, Scope, Scoped, SpanRef, open, run_begun, scoped_in};
use crate::tenant::{IntoTenant, TenantError, TenantId};
use crate::{notice, panics};

static TRACE: TraceMeta = TraceMeta::new("", "");
static NEW_TRACE: TraceMeta = TraceMeta::new("", "").new_trace();
static SPAN: SpanMeta = SpanMeta::new("span", "span", "start_span");

/// A trace of `agent`, for code without attributes.
///
/// ```
/// # use tracium_runtime as tracium;
/// let answer = tracium::start_trace("support-bot").tenant("acme").tag("prod").run(|| {
///     tracium::start_span("tool", "add").run(|| 1 + 1)
/// });
/// assert_eq!(answer, 2);
/// ```
pub fn start_trace(agent: impl Into<String>) -> TraceBuilder {
    let agent: String = agent.into();
    TraceBuilder {
        spec: Box::new(TraceSpec { agent: Some(agent.into()), ..TraceSpec::default() }),
        tenant: None,
        new_trace: false,
    }
}

/// A span of `kind`, named `name`, for code without attributes. Outside any trace it does nothing.
///
/// ```
/// # use tracium_runtime as tracium;
/// # async fn search() -> Vec<String> { Vec::new() }
/// # tracium::block_on(async {
/// let hits = tracium::start_span("retrieval", "search").scope(search()).await;
/// # assert!(hits.is_empty());
/// # });
/// ```
pub fn start_span(kind: impl Into<String>, name: impl Into<String>) -> SpanBuilder {
    let (kind, name): (String, String) = (kind.into(), name.into());
    SpanBuilder(Box::new(SpanDetails { kind: Some(kind.into()), name: Some(name.into()), ..SpanDetails::default() }))
}

/// A trace that is about to open. Ends in [`scope`](Self::scope), [`run`](Self::run) or [`open`](Self::open).
#[derive(Debug)]
#[must_use = "a builder opens nothing; end it in `.scope(future)`, `.run(closure)` or `.open()`"]
pub struct TraceBuilder {
    spec: Box<TraceSpec>,
    tenant: Option<Result<Option<TenantId>, TenantError>>,
    new_trace: bool,
}

macro_rules! text {
    ($($(#[$doc:meta])* $name:ident => |$spec:ident| $field:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name(mut self, value: impl Into<String>) -> Self {
            let value: String = value.into();
            let $spec = &mut self.spec;
            $field = Some(value.into());
            self
        }
    )*};
}

impl TraceBuilder {
    text! {
        /// The root span's name; the agent's name without.
        name => |spec| spec.name;
        /// The model that the agent uses.
        model => |spec| spec.details_mut().model;
        /// The agent's version.
        version => |spec| spec.version;
        /// The workspace that the trace belongs to.
        workspace => |spec| spec.workspace;
        /// The session that the trace is part of.
        session => |spec| spec.details_mut().session;
        /// The end user, who is not the tenant.
        user => |spec| spec.details_mut().user;
        /// The trace's id, where the application has one: `[A-Za-z0-9_-]`, 1 to 256.
        trace_id => |spec| spec.trace_id;
    }

    /// One more tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        let tag: String = tag.into();
        self.spec.details_mut().tags.push(tag.into());
        self
    }

    /// A metadata entry.
    pub fn metadata(mut self, key: impl Into<String>, value: &(impl Serialize + ?Sized)) -> Self {
        let key = key.into();
        put(&mut self.spec.details_mut().metadata, &key, named(&key, value));
        self
    }

    /// The tenant of the trace and of everything in it. An illegal id is no tenant; it is counted and logged.
    pub fn tenant(mut self, tenant: impl IntoTenant) -> Self {
        self.tenant = Some(tenant.into_tenant());
        self
    }

    /// A trace of its own, also inside another one.
    pub fn new_trace(mut self) -> Self {
        self.new_trace = true;
        self
    }

    /// `future` in this trace, which opens at its first poll and ends with it.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> + use<F> {
        scoped(self, future, |_| ())
    }

    /// As [`scope`](Self::scope); an `Err` fails the trace.
    pub fn try_scope<F, T, E>(self, future: F) -> impl Future<Output = Result<T, E>> + use<F, T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: Display,
    {
        scoped(self, future, fail_on_err)
    }

    /// Runs `work` in this trace, now.
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        run_begun(self, work, |_| ())
    }

    /// As [`run`](Self::run); an `Err` fails the trace.
    ///
    /// # Errors
    /// The error of `work`.
    pub fn try_run<T, E: Display>(self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        run_begun(self, work, fail_on_err)
    }

    /// Opens the trace now, as a span to hold: it is entered nowhere, and ends on `end()` or drop.
    pub fn open(self) -> OwnedSpan {
        let mut context = Context::current();
        let open = self.open_in(&mut context);
        OwnedSpan::new(open, context)
    }

    fn open_in(self, context: &mut Context) -> Option<(Arc<TraceCore>, OpenSpan)> {
        if let Some(tenant) = self.tenant {
            context.tenant = tenant.unwrap_or_else(|error| {
                notice::invalid_tenant("start_trace", &error);
                None
            });
        }
        open::trace_in(context, if self.new_trace { &NEW_TRACE } else { &TRACE }, Some(self.spec))
    }
}

impl Begin for TraceBuilder {
    fn begin(self) -> Begun {
        let mut scope = Scope::child();
        if let Some((trace, open)) = self.open_in(scope.synced()) {
            scope.hold(&trace, open);
        }
        Begun(Some(scope))
    }
}

/// A span that is about to open. Ends in [`scope`](Self::scope), [`run`](Self::run) or [`open`](Self::open).
#[derive(Debug)]
#[must_use = "a builder opens nothing; end it in `.scope(future)`, `.run(closure)` or `.open()`"]
pub struct SpanBuilder(Box<SpanDetails>);

impl SpanBuilder {
    /// The model that is asked.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        let model: String = model.into();
        self.0.model = Some(model.into());
        self
    }

    /// One more tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        let tag: String = tag.into();
        self.0.tags.push(tag.into());
        self
    }

    /// A metadata entry.
    pub fn metadata(mut self, key: impl Into<String>, value: &(impl Serialize + ?Sized)) -> Self {
        let key = key.into();
        put(&mut self.0.metadata, &key, named(&key, value));
        self
    }

    /// `future` in this span, which opens at its first poll and ends with it.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> + use<F> {
        scoped(self, future, |_| ())
    }

    /// As [`scope`](Self::scope); an `Err` fails the span.
    pub fn try_scope<F, T, E>(self, future: F) -> impl Future<Output = Result<T, E>> + use<F, T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: Display,
    {
        scoped(self, future, fail_on_err)
    }

    /// Runs `work` in this span, now.
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        run_begun(self, work, |_| ())
    }

    /// As [`run`](Self::run); an `Err` fails the span.
    ///
    /// # Errors
    /// The error of `work`.
    pub fn try_run<T, E: Display>(self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        run_begun(self, work, fail_on_err)
    }

    /// Opens the span now, to hold: it is entered nowhere, and ends on `end()` or drop.
    pub fn open(self) -> OwnedSpan {
        let context = Context::current();
        let open = open::span_in(&context, &SPAN, Some(self.0));
        if open.is_none() {
            notice::orphan_span(SPAN.function);
        }
        OwnedSpan::new(open, context)
    }
}

impl Begin for SpanBuilder {
    fn begin(self) -> Begun {
        let mut scope = Scope::child();
        if scope.open_span(&SPAN, Some(self.0)).is_none() {
            notice::orphan_span(SPAN.function);
        }
        Begun(Some(scope))
    }
}

fn scoped<B: Begin, F: Future, O: FnOnce(&F::Output)>(begin: B, future: F, observe: O) -> Scoped<B, F, O> {
    scoped_in(begin, future, observe)
}

/// With `{:#}`, which makes errors such as anyhow's tell their sources.
fn fail_on_err<T, E: Display>(result: &Result<T, E>) {
    if let Err(error) = result {
        super::current_span().fail_as(std::any::type_name::<E>(), &format_args!("{error:#}"));
    }
}

/// A span that is held, not entered: for callbacks, and for work whose parts run in different places.
///
/// It can be sent anywhere, and has all that a [`SpanHandle`] has. Work is put under it with
/// [`context`](Self::context).
///
/// ```
/// # use tracium_runtime as tracium;
/// let upload = tracium::start_trace("uploader").tenant("acme").open();
/// let worker = std::thread::spawn(move || {
///     upload.context().run(|| assert_eq!(tracium::current_tenant().unwrap(), "acme"));
///     upload.record_output(&"done").add_tags(["background"]);
///     upload.end();
/// });
/// worker.join().unwrap();
/// ```
#[derive(Debug)]
#[must_use = "the span ends when it is dropped"]
pub struct OwnedSpan {
    open: Option<OpenSpan>,
    handle: SpanHandle,
    context: Context,
    /// The thread was panicking when it opened: that panic is not its own.
    panicking: bool,
}

impl OwnedSpan {
    fn new(opened: Option<(Arc<TraceCore>, OpenSpan)>, mut context: Context) -> Self {
        let Some((trace, open)) = opened else {
            return Self { open: None, handle: SpanHandle::default(), context, panicking: false };
        };
        let handle = SpanHandle::new(&trace, open.id, context.effective_tenant().as_ref());
        let above = context.span.take().filter(|span| Arc::ptr_eq(&span.trace, &trace)).and_then(|span| span.llm);
        let llm = if open.is_llm { Some(open.id) } else { above };
        context.span = Some(SpanRef { trace, id: open.id, depth: open.depth, llm });
        Self { open: Some(open), handle, context, panicking: std::thread::panicking() }
    }

    /// The context of work under this span.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Ends the span, now.
    pub fn end(self) {}

    /// Ends the span, now, as one whose work was dropped before it was done.
    pub fn cancel(mut self) {
        self.close(Some(Box::new(Error::cancelled())));
    }

    fn close(&mut self, failure: Option<Box<Error>>) {
        if let (Some(open), Some(span)) = (self.open.take(), &self.context.span) {
            let panicked = !self.panicking && std::thread::panicking();
            open.end(&span.trace, if panicked { Some(Box::new(panics::last())) } else { failure });
        }
    }
}

impl Deref for OwnedSpan {
    type Target = SpanHandle;
    fn deref(&self) -> &SpanHandle {
        &self.handle
    }
}

impl Drop for OwnedSpan {
    fn drop(&mut self) {
        self.close(None);
    }
}
