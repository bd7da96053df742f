//! What the attributes expand to. No part of the public interface: it changes with the macros.

pub use crate::context::spawned::{carry_to_spawn, closure_to_spawn, future_to_spawn, spawning, unscoped};
pub use crate::context::stream::{StreamScope, run_stream, scoped_stream, stream_of};
pub use crate::context::{
    Annotated, Attribute, Begin, BridgedContent, BridgedSpan, Guard, InputCapture, PlainSpan, Scoped, SpanGuard,
    SpanOptions, TraceOptions, enter, enter_span, run, run_span, scoped, scoped_span,
};
use crate::context::{Context, capture, open};
#[cfg(any(feature = "rest", feature = "otlp"))]
pub use crate::export::throughput;
#[cfg(fuzzing)]
#[allow(missing_docs)]
pub mod fuzz {
    pub use crate::fuzz::*;
}
pub use crate::probe::*;
use crate::tenant::{ResolveTenant, TenantError, TenantId};
pub use crate::trace::details::CallFacts;
pub use crate::trace::{Place, SpanHandle, SpanMeta, TenantMeta, TraceMeta};
use crate::{init, notice};

/// What a tenant scope does where `from` names no tenant.
#[derive(Clone, Copy, Debug)]
pub enum Missing {
    /// Runs with no tenant.
    None,
    /// Returns the error.
    Reject,
    /// Runs under this id.
    Anonymous(&'static str),
}

/// Opens the trace of the scope that was just entered.
pub fn open_trace(meta: &'static TraceMeta) {
    open::open_trace(meta, TraceOptions::default());
}

/// Opens the trace of the scope that was just entered, with what is known at run time.
pub fn open_trace_with(meta: &'static TraceMeta, options: impl FnOnce(TraceOptions) -> TraceOptions) {
    open::open_trace(meta, options(TraceOptions::new()));
}

/// Opens the span of the scope that was just entered.
#[inline]
pub fn open_span(meta: &'static SpanMeta) {
    open::open_span(meta);
}

/// Opens the span of the scope that was just entered, with what is known at run time.
pub fn open_span_with(meta: &'static SpanMeta, options: impl FnOnce(SpanOptions) -> SpanOptions) {
    open::open_span_with(meta, options(SpanOptions::new()).details);
}

/// Evaluates what a trace is opened with before its arguments are gone.
pub fn prepare_trace(options: impl FnOnce(TraceOptions) -> TraceOptions) -> TraceOptions {
    options(TraceOptions::new())
}

/// Opens the trace of the scope that was just entered, with what was prepared for it.
pub fn open_prepared_trace(meta: &'static TraceMeta, options: TraceOptions) {
    open::open_trace(meta, options);
}

/// Evaluates what a span is opened with before its arguments are gone.
pub fn prepare_span(options: impl FnOnce(SpanOptions) -> SpanOptions) -> SpanOptions {
    options(SpanOptions::new())
}

/// Opens the span of the scope that was just entered, with what was prepared for it.
pub fn open_prepared_span(meta: &'static SpanMeta, options: SpanOptions) {
    open::open_span_with(meta, options.details);
}

/// What `from` names.
///
/// # Errors
/// An illegal id, or the error that stood in the tenant's place.
pub fn resolve_tenant<T: ResolveTenant + ?Sized>(from: &T) -> Result<Option<TenantId>, TenantError> {
    from.resolve_tenant()
}

/// Binds the scope that was just entered; gives the error where the call is to be rejected.
pub fn bind_tenant(
    meta: &'static TenantMeta,
    from: Result<Option<TenantId>, TenantError>,
    missing: Missing,
) -> Option<TenantError> {
    let error = match from {
        Ok(Some(tenant)) => {
            open::bind(meta, Some(tenant));
            return None;
        }
        Ok(None) => TenantError::Missing,
        Err(error) => {
            notice::invalid_tenant(meta.place.function(), &error);
            error
        }
    };
    match missing {
        Missing::None => open::bind(meta, None),
        Missing::Anonymous(id) => open::bind(meta, TenantId::try_from(id).ok()),
        Missing::Reject => {
            open::reject(meta);
            return Some(error);
        }
    }
    None
}

/// Counts and logs what a request or a job named its tenant by, and what is none.
pub fn note_invalid_tenant(place: &'static str, error: &TenantError) {
    notice::invalid_tenant(place, error);
}

/// Captures the arguments that `capture(..)` names.
pub fn capture_input(collect: impl FnOnce(&mut InputCapture)) {
    capture::input(collect);
}

/// Captures the arguments that `capture(..)` names before they are gone.
pub fn prepare_input(collect: impl FnOnce(&mut InputCapture)) -> Option<InputCapture> {
    open::is_on().then(|| capture::collected(collect))
}

/// Keeps what was captured before.
pub fn capture_prepared_input(input: Option<InputCapture>) {
    if let Some(input) = input {
        capture::keep(input);
    }
}

/// Captures what the function returned.
pub fn capture_output<T: CaptureValue + ?Sized>(value: &T) {
    capture::output(value);
}

/// Notes how the function ended.
pub fn outcome(failure: Option<Failure>) {
    capture::outcome(failure);
}

/// The program's `main`, around its runtime: initializes from the environment, and flushes at the end.
pub fn main_sync<R>(main: impl FnOnce() -> R) -> R {
    let guard = init();
    if let Err(error) = &guard {
        eprintln!("tracium: {error}\ntracium: the program runs on, and nothing is exported");
    }
    let result = main();
    drop(guard);
    result
}

/// The body of an async `main`, in the root scope.
pub fn root<F: Future>(main: F) -> impl Future<Output = F::Output> {
    Context::root().scope(main)
}

/// The body of a sync `main`, in the root scope.
pub fn root_run<R>(main: impl FnOnce() -> R) -> R {
    Context::root().run(main)
}

/// Says that `span`, of kind `llm`, is a model's call: the exchanges that adapters see beneath it, with nothing between,
/// are said of it, and open no spans of their own.
pub fn claim_exchanges(span: &SpanHandle) {
    span.note_call(|facts| facts.claims = true);
}

/// Says more of `span`, a model's call: what only such calls have.
pub fn note_call(span: &SpanHandle, note: impl FnOnce(&mut CallFacts)) {
    span.note_call(note);
}
