//! What the attributes expand to: a scope around the function, and first statements that open what they name.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context as Waker, Poll};

use pin_project_lite::pin_project;

use super::Scope;
use super::slot::{self, Entered};
use crate::{notice, panics};
use crate::trace::details::Error;
use crate::trace::{SpanMeta, TenantMeta, TraceMeta};

mod sealed {
    pub trait Sealed {}
}

/// What an attribute marks a function as.
pub trait Attribute: sealed::Sealed + Sync + 'static {
    /// A scope is opened also where none is open.
    #[doc(hidden)]
    const OPENS: bool;
    /// A sync function's scope is a level of the one around it, where there is one.
    #[doc(hidden)]
    const LEVEL: bool;
}

impl sealed::Sealed for TraceMeta {}
impl sealed::Sealed for SpanMeta {}
impl sealed::Sealed for TenantMeta {}
impl Attribute for TraceMeta {
    const OPENS: bool = true;
    const LEVEL: bool = false;
}
impl Attribute for TenantMeta {
    const OPENS: bool = true;
    const LEVEL: bool = false;
}
impl Attribute for SpanMeta {
    // Outside any trace a span runs its function untouched.
    const OPENS: bool = false;
    const LEVEL: bool = true;
}

/// How a scope begins: once, where its code first runs.
pub trait Begin {
    #[doc(hidden)]
    fn begin(self) -> Begun;
}

/// A scope that is about to be entered, or none.
#[derive(Debug)]
pub struct Begun(pub(crate) Option<Box<Scope>>);

/// The beginning of an annotated function's scope; its first statement opens the trace or span.
#[derive(Debug)]
pub struct Annotated<A>(PhantomData<fn() -> A>);

impl<A: Attribute> Begin for Annotated<A> {
    fn begin(self) -> Begun {
        Begun((A::OPENS || slot::is_open()).then(Scope::child))
    }
}

/// The scope of a sync function, opened in place.
#[must_use]
#[derive(Debug)]
pub struct Guard {
    open: Open,
    /// The thread was panicking already: this scope's end is not that panic's.
    panicking: bool,
}

/// What is open: a level of the scope around, a scope of its own, or nothing.
#[derive(Debug)]
enum Open {
    Nothing,
    /// The level of that number.
    Level(usize),
    Scope(Option<Entered>),
}

/// Opens the scope of a sync function whose result nobody looks at.
#[inline]
pub fn enter<A: Attribute>(_: &'static A) -> Guard {
    Guard { open: Open::new::<A>(), panicking: std::thread::panicking() }
}

impl Open {
    #[inline]
    fn new<A: Attribute>() -> Self {
        if A::LEVEL {
            return match slot::current(|scope| scope.map(Scope::push_level)) {
                Some(level) => Self::Level(level),
                None => Self::Nothing,
            };
        }
        Self::begun(Annotated::<A>(PhantomData))
    }

    fn begun(begin: impl Begin) -> Self {
        match begin.begin().0 {
            Some(scope) => Self::Scope(Some(slot::enter(Some(scope)))),
            None => Self::Nothing,
        }
    }

    #[inline]
    fn close(&mut self, failure: Option<Box<Error>>) {
        match self {
            Self::Nothing => {}
            Self::Level(level) => close_level(*level, failure),
            Self::Scope(scope) => {
                if let Some(mut scope) = scope.take().and_then(Entered::leave) {
                    scope.close(failure);
                    scope.retire();
                }
            }
        }
    }
}

fn close_level(number: usize, failure: Option<Box<Error>>) {
    slot::current(|scope| {
        if let Some(scope) = scope
            && (failure.is_some() || !scope.close_plain_level(number))
        {
            scope.pop_levels(number, failure);
        }
    });
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.open, Open::Nothing) {
            let panicked = !self.panicking && std::thread::panicking();
            self.open.close(panicked.then(|| Box::new(panics::last())));
        }
    }
}

/// A sync function's span, opened in place: the number of its level, 0 for none, and whether the thread was panicking
/// already. One word, which lives in a register.
#[must_use]
#[derive(Debug)]
pub struct SpanGuard(usize);

const PANICKING: usize = 1 << (usize::BITS - 1);

/// Opens the span of a sync function whose result nobody looks at, with nothing but what is known while compiling.
///
/// Where nothing collects and no scope is open, it comes to one comparison.
#[inline(always)]
pub fn enter_span(meta: &'static SpanMeta) -> SpanGuard {
    SpanGuard(if slot::is_quiet() { 0 } else { open_level(meta) })
}

#[inline(never)]
fn open_level(meta: &'static SpanMeta) -> usize {
    match slot::current(|scope| scope?.open_plain_level(meta)) {
        Some(level) if !std::thread::panicking() => level,
        Some(level) => level | PANICKING,
        None => open_any_level(meta),
    }
}

#[cold]
#[inline(never)]
fn open_any_level(meta: &'static SpanMeta) -> usize {
    let (level, opened) = slot::current(|scope| match scope {
        Some(scope) => (scope.push_level(), scope.open_span(meta, None)),
        None => (0, None),
    });
    if opened.is_none() {
        notice::orphan_span(meta.function);
    }
    if level > 0 && std::thread::panicking() { level | PANICKING } else { level }
}

impl Drop for SpanGuard {
    #[inline(always)]
    fn drop(&mut self) {
        if self.0 != 0 {
            end_level(self.0);
        }
    }
}

#[inline(never)]
fn end_level(guard: usize) {
    let plain = !std::thread::panicking()
        && slot::current(|scope| scope.is_none_or(|scope| scope.close_plain_level(guard & !PANICKING)));
    if !plain {
        end_any_level(guard);
    }
}

#[cold]
#[inline(never)]
fn end_any_level(guard: usize) {
    let panicked = guard & PANICKING == 0 && std::thread::panicking();
    let failure = panicked.then(|| Box::new(panics::last()));
    slot::current(|scope| {
        if let Some(scope) = scope {
            scope.pop_levels(guard & !PANICKING, failure);
        }
    });
}

/// Runs a sync function's body in a scope of its own, and shows its result to `observe` before the scope ends.
pub fn run<A: Attribute, R>(_: &'static A, body: impl FnOnce() -> R, observe: impl FnOnce(&R)) -> R {
    run_in(Open::new::<A>(), body, observe)
}

/// Runs `body` in a scope that `begin` begins.
pub(crate) fn run_begun<R>(begin: impl Begin, body: impl FnOnce() -> R, observe: impl FnOnce(&R)) -> R {
    run_in(Open::begun(begin), body, observe)
}

fn run_in<R>(mut open: Open, body: impl FnOnce() -> R, observe: impl FnOnce(&R)) -> R {
    if matches!(open, Open::Nothing) {
        return body();
    }
    let result = catch_unwind(AssertUnwindSafe(body));
    let failure = failure_of(result.as_ref(), observe);
    open.close(failure);
    result.unwrap_or_else(|payload| resume_unwind(payload))
}

/// Shows the result of an entered scope's work to `observe`; gives the panic, where it ended in one.
fn failure_of<R>(result: Result<&R, &Box<dyn std::any::Any + Send>>, observe: impl FnOnce(&R)) -> Option<Box<Error>> {
    match result {
        Ok(result) => {
            if slot::current(|scope| scope.is_some_and(|scope| scope.own_span().is_some())) {
                // The user's `Serialize`, `Display` or `Debug` may panic: that is no reason to fail the call.
                let _ = panics::contained(|| observe(result));
            }
            None
        }
        Err(payload) => Some(Box::new(panics::error(payload.as_ref()))),
    }
}

/// Puts an async function's body into a scope that is opened at its first poll.
pub fn scoped<A: Attribute, F: Future, O: FnOnce(&F::Output)>(
    _: &'static A,
    future: F,
    observe: O,
) -> Scoped<Annotated<A>, F, O> {
    scoped_in(Annotated(PhantomData), future, observe)
}

pub(crate) fn scoped_in<B: Begin, F: Future, O: FnOnce(&F::Output)>(
    begin: B,
    future: F,
    observe: O,
) -> Scoped<B, F, O> {
    Scoped { inner: Some(future), observe: Some(observe), state: State::New(begin) }
}

#[derive(Debug)]
enum State<B> {
    /// Not polled yet: the scope's parent is whatever the first poll runs under.
    New(B),
    /// Entered on every poll.
    Open(Box<Scope>),
    /// No scope was open at the first poll, and none was opened.
    Outside,
}

pin_project! {
    /// A future in a scope that is opened at its first poll; made by the attributes and by the builders' `scope`.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Scoped<B, F, O> {
        #[pin]
        inner: Option<F>,
        observe: Option<O>,
        state: State<B>,
    }

    impl<B, F, O> PinnedDrop for Scoped<B, F, O> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let scope = match std::mem::replace(this.state, State::Outside) {
                State::Open(scope) => Some(scope),
                // Never polled, or outside any scope: what is dropped runs under no scope.
                State::New(_) | State::Outside => None,
            };
            let entered = slot::enter(scope);
            this.inner.set(None);
            // A scope that is still open here never came to its end: dropping it says so.
            drop(entered);
        }
    }
}

impl<B: Begin, F: Future, O: FnOnce(&F::Output)> Future for Scoped<B, F, O> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut inner = this.inner;
        let Some(future) = inner.as_mut().as_pin_mut() else {
            // Polled again after its end, which no executor does: there is nothing left that could answer.
            return Poll::Pending;
        };
        let scope = match std::mem::replace(this.state, State::Outside) {
            State::New(begin) => begin.begin().0,
            State::Open(scope) => Some(scope),
            State::Outside => None,
        };
        let has_scope = scope.is_some();
        let entered = slot::enter(scope);
        if !has_scope {
            let poll = future.poll(waker);
            if poll.is_ready() {
                inner.set(None);
            }
            drop(entered);
            return poll;
        }
        match catch_unwind(AssertUnwindSafe(|| future.poll(waker))) {
            Ok(Poll::Pending) => {
                if let Some(scope) = entered.leave() {
                    *this.state = State::Open(scope);
                }
                Poll::Pending
            }
            Ok(Poll::Ready(output)) => {
                inner.set(None);
                let observe = this.observe.take();
                let failure = failure_of(Ok(&output), |output| {
                    if let Some(observe) = observe {
                        observe(output);
                    }
                });
                Open::Scope(Some(entered)).close(failure);
                Poll::Ready(output)
            }
            Err(payload) => {
                if let Some(mut scope) = entered.leave() {
                    scope.close(Some(Box::new(panics::error(payload.as_ref()))));
                    // What is left of the future is yet to be dropped.
                    *this.state = State::Open(scope);
                }
                resume_unwind(payload)
            }
        }
    }
}

impl From<crate::probe::Failure> for Error {
    fn from(failure: crate::probe::Failure) -> Self {
        Self { type_name: failure.type_name, message: failure.message.into() }
    }
}
