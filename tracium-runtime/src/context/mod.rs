//! Context: the tenant and the span that work is done under, and how it travels with the work.

mod adapt;
mod attribute;
mod block_on;
mod bridged;
pub(crate) mod capture;
pub(crate) mod level;
pub(crate) mod open;
mod payload;
#[cfg_attr(not(feature = "collect"), path = "not_plain.rs")]
mod plain;
mod scope;
mod scoped;
mod slot;
pub(crate) mod spawned;
pub(crate) mod stream;
#[cfg(feature = "tokio")]
mod tasks;
pub mod thread;

use std::fmt;

pub use self::adapt::{ContextExt, InContext};
pub use self::attribute::{Annotated, Attribute, Begin, Guard, PlainSpan, SpanGuard, enter, enter_span, run, run_span};
pub(crate) use self::attribute::{Begun, run_begun};
pub use self::block_on::block_on;
pub use self::bridged::{BridgedContent, BridgedSpan};
pub use self::capture::InputCapture;
pub(crate) use self::scope::{Scope, SpanRef, current};
pub(crate) use self::scoped::scoped_in;
pub use self::scoped::{Scoped, scoped, scoped_span};
#[cfg(feature = "tokio")]
pub use self::tasks::{spawn, spawn_blocking, spawn_local};

pub use self::open::{SpanOptions, TraceOptions};
use crate::collect::{Sink, current_sink};
use crate::tenant::{IntoTenant, TenantError, TenantId};

/// A snapshot of what work is done under: its tenant, its trace and span, and in tests its recorder.
///
/// Work is put under a context with [`scope`](Context::scope) (a future), [`run`](Context::run) or
/// [`wrap`](Context::wrap) (closures). Each is a scope of its own: what it sets ends with it. Nothing is ever
/// entered by hand, so nothing can be left entered.
///
/// A context is serde data as well, for job queues: the tenant and the ids of trace and span, never captured values.
///
/// ```
/// # use tracium_runtime as tracium;
/// use tracium::{Context, TenantId, current_tenant};
///
/// let acme = Context::root().with_tenant(TenantId::try_from("acme")?);
/// let handle = std::thread::spawn(acme.wrap(|| current_tenant().map(|t| t.to_string())));
/// assert_eq!(handle.join().unwrap().as_deref(), Some("acme"));
/// assert_eq!(current_tenant(), None);
/// # Ok::<(), tracium::TenantError>(())
/// ```
#[derive(Clone, Default)]
pub struct Context {
    pub(crate) tenant: Option<TenantId>,
    pub(crate) span: Option<SpanRef>,
    /// Where new traces go, if not where this thread's go: tests' recorders travel with the work.
    pub(crate) sink: Option<Sink>,
}

impl Context {
    /// What the calling code runs under. Outside any scope it is empty.
    pub fn current() -> Self {
        let mut context = current(|scope| scope.map(|scope| scope.synced().clone())).unwrap_or_default();
        if context.sink.is_none() {
            context.sink = Sink::of_thread();
        }
        context
    }

    /// The empty context: no tenant, no trace.
    pub fn root() -> Self {
        Self { sink: Sink::of_thread(), ..Self::default() }
    }

    /// This context under another tenant, or under none.
    ///
    /// This is how work for another tenant is started on purpose. Its spans open a trace of their own,
    /// linked to this one, where this one belongs to a tenant already.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Option<TenantId>>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// The tenant of this context.
    pub fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }

    /// A future that runs under this context, on whatever thread it is polled.
    pub fn scope<F: Future>(&self, future: F) -> InContext<F> {
        InContext::new(self.clone(), future)
    }

    /// Runs `work` under this context, now.
    ///
    /// Code in `work` that drives other tasks of the same thread (a runtime's `block_on`) would run them under this
    /// context too; use [`tracium::block_on`](crate::block_on), or [`Context::unscoped`] around the runtime's own call.
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        let entered = slot::enter(Some(Scope::new(self.clone())));
        let result = work();
        drop(entered);
        result
    }

    /// A closure that runs `work` under this context, wherever it is called.
    pub fn wrap<R, W: FnOnce() -> R>(&self, work: W) -> impl FnOnce() -> R + use<R, W> {
        let mut wrapped = Wrapped { context: self.clone(), work: Some(work) };
        move || wrapped.call()
    }

    /// Runs `work` outside any scope: for code that drives the work of others, such as a runtime's `block_on`.
    ///
    /// ```no_run
    /// # use tracium_runtime as tracium;
    /// # fn drive<F: Future>(_: F) {}
    /// # async fn work() {}
    /// use tracium::Context;
    ///
    /// let ours = Context::current().scope(work());
    /// Context::unscoped(|| drive(ours)); // `drive`: a runtime's own `block_on`
    /// ```
    pub fn unscoped<R>(work: impl FnOnce() -> R) -> R {
        let entered = slot::enter(None);
        let result = work();
        drop(entered);
        result
    }
}

/// A closure under a context: also where it is dropped uncalled.
struct Wrapped<W> {
    context: Context,
    work: Option<W>,
}

impl<W> Wrapped<W> {
    fn call<R>(&mut self) -> R
    where
        W: FnOnce() -> R,
    {
        match self.work.take() {
            Some(work) => self.context.run(work),
            None => unreachable!("a `FnOnce` is called once"),
        }
    }
}

impl<W> Drop for Wrapped<W> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.context.run(|| drop(work));
        }
    }
}

impl Sink {
    /// The recorder of this thread, or of the scope that runs here; `None` where only the process's collector is.
    pub(crate) fn of_thread() -> Option<Self> {
        #[cfg(feature = "collect")]
        return current_sink().filter(|sink| matches!(sink, Self::Recorder(_)));
        #[cfg(not(feature = "collect"))]
        return current_sink();
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("tenant", &self.tenant)
            .field("trace", &self.span.as_ref().map(|span| span.trace.public_id()))
            .field("span", &self.span.as_ref().map(|span| span.id))
            .finish_non_exhaustive()
    }
}

/// The tenant of the innermost open scope.
///
/// `None` outside any scope, in a scope that has none, and behind a boundary that we do not know
/// (a task or thread started without `tracium::spawn`, [`Context`] or an annotated body around it):
/// there is no tenant then, never a stale one. A program with a `default_tenant` has that one instead.
pub fn current_tenant() -> Option<TenantId> {
    current(|scope| scope.and_then(|scope| scope.tenant().cloned())).or_else(crate::config::default_tenant)
}

/// Names the tenant of the innermost open scope; `None` clears it. It ends with the scope.
///
/// A trace that is named in its own body, before the backend has heard of it (within half a second), belongs to
/// that tenant.
///
/// ```
/// # use tracium_runtime as tracium;
/// use tracium::{Context, TenantError, current_tenant, set_tenant};
///
/// assert_eq!(set_tenant("acme"), Err(TenantError::NoScope));
/// Context::root().run(|| {
///     set_tenant("acme").unwrap();
///     assert_eq!(current_tenant().unwrap(), "acme");
///     assert!(matches!(set_tenant("globex"), Err(TenantError::Conflict { .. })));
///     set_tenant(None).unwrap();
/// });
/// assert_eq!(current_tenant(), None);
/// ```
///
/// # Errors
/// An illegal id; [`TenantError::NoScope`] outside any scope; [`TenantError::Conflict`] where the scope
/// has another tenant, its own or the one it was opened under.
pub fn set_tenant(tenant: impl IntoTenant) -> Result<(), TenantError> {
    let tenant = tenant.into_tenant()?;
    current(|scope| scope.ok_or(TenantError::NoScope)?.set_tenant(tenant))
}
