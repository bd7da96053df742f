//! What the attributes expand to: a scope around the function, and first statements that open what they name.

use super::Scope;
use super::slot::{self, Entered};
use crate::trace::details::Error;
use crate::trace::{SpanMeta, TenantMeta, TraceMeta};
use crate::{notice, panics};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

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
    /// Begins as a level of the scope around, if one is open: the number of that level.
    ///
    /// Most futures are ready at their first poll, and come to no more than a sync function then.
    #[doc(hidden)]
    fn begin_level(&mut self) -> Option<usize> {
        None
    }
    #[doc(hidden)]
    fn begin(self) -> Begun;
}

/// The beginning of a span of which all is known while compiling.
#[derive(Debug)]
pub struct PlainSpan(pub(super) &'static SpanMeta);

impl Begin for PlainSpan {
    fn begin_level(&mut self) -> Option<usize> {
        slot::is_open().then(|| open_level(self.0))
    }

    /// Outside any scope there is no trace to open it in.
    fn begin(self) -> Begun {
        orphan(self.0);
        Begun(None)
    }
}

/// A scope that is about to be entered, or none.
#[derive(Debug)]
pub struct Begun(pub(crate) Option<Box<Scope>>);

/// The beginning of an annotated function's scope; its first statement opens the trace or span.
#[derive(Debug)]
pub struct Annotated<A>(pub(super) PhantomData<fn() -> A>);

impl<A: Attribute> Begin for Annotated<A> {
    fn begin_level(&mut self) -> Option<usize> {
        if A::LEVEL { slot::current(|scope| scope.map(Scope::push_level)) } else { None }
    }

    fn begin(self) -> Begun {
        Begun((A::OPENS || slot::is_open()).then(Scope::child))
    }
}

/// The scope of an annotated function, where it gets one.
pub(super) fn begin<A: Attribute>() -> Option<Box<Scope>> {
    Annotated::<A>(PhantomData).begin().0
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
pub(super) enum Open {
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
    pub(super) fn close(&mut self, failure: Option<Box<Error>>) {
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

pub(super) const PANICKING: usize = 1 << (usize::BITS - 1);

/// Opens the span of a sync function whose result nobody looks at, with nothing but what is known while compiling.
///
/// Where nothing collects and no scope is open, it comes to one comparison.
#[inline(always)]
pub fn enter_span(meta: &'static SpanMeta) -> SpanGuard {
    SpanGuard(if slot::is_quiet(meta) { 0 } else { open_level(meta) })
}

#[inline(never)]
pub(super) fn open_level(meta: &'static SpanMeta) -> usize {
    match slot::current(|scope| scope?.open_plain_level(meta)) {
        Some(level) if !std::thread::panicking() => level,
        Some(level) => level | PANICKING,
        None => open_any_level(meta),
    }
}

/// Notes a span outside any trace. Where nothing collects there is nobody to note it for, nor need the span ask again.
pub(super) fn orphan(meta: &'static SpanMeta) {
    meta.index();
    notice::orphan_span(meta.function);
}

#[cold]
#[inline(never)]
fn open_any_level(meta: &'static SpanMeta) -> usize {
    let (level, opened) = slot::current(|scope| match scope {
        Some(scope) => (scope.push_level(), scope.open_span(meta, None)),
        None => (0, None),
    });
    if opened.is_none() {
        orphan(meta);
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
pub(super) fn end_level(guard: usize) {
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

/// Runs a sync function's body in a span with nothing but what is known while compiling, and shows its result to
/// `observe` before the span ends.
pub fn run_span<R>(meta: &'static SpanMeta, body: impl FnOnce() -> R, observe: impl FnOnce(&R)) -> R {
    if slot::is_quiet(meta) {
        return body();
    }
    let guard = open_level(meta);
    if guard == 0 {
        return body();
    }
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => {
            show(&result, observe);
            end_level(guard);
            result
        }
        Err(payload) => {
            let failure = Some(Box::new(panics::error(payload.as_ref())));
            close_level(guard & !PANICKING, failure);
            resume_unwind(payload)
        }
    }
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
    match result {
        Ok(result) => {
            show(&result, observe);
            open.close(None);
            result
        }
        Err(payload) => {
            open.close(Some(Box::new(panics::error(payload.as_ref()))));
            resume_unwind(payload)
        }
    }
}

/// Shows what an entered scope's work came to, where that is recorded.
#[inline]
pub(super) fn show<R>(result: &R, observe: impl FnOnce(&R)) {
    if slot::current(|scope| scope.is_some_and(|scope| scope.owns_span())) {
        // The user's `Serialize`, `Display` or `Debug` may panic: that is no reason to fail the call.
        let _ = panics::contained(|| observe(result));
    }
}

impl From<crate::probe::Failure> for Error {
    fn from(failure: crate::probe::Failure) -> Self {
        Self { type_name: failure.type_name.into(), message: failure.message.into() }
    }
}
