//! A future in a scope of its own, which is entered on every poll.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context as Waker, Poll};

use pin_project_lite::pin_project;

use super::Scope;
use super::attribute::{Annotated, Attribute, Begin, Open, PANICKING, PlainSpan, end_level, show};
use super::slot;
use crate::panics;
use crate::trace::SpanMeta;

/// Puts an async function's body into a scope that is opened at its first poll.
pub fn scoped<A: Attribute, F: Future, O: FnOnce(&F::Output)>(
    _: &'static A,
    future: F,
    observe: O,
) -> Scoped<Annotated<A>, F, O> {
    scoped_in(Annotated(PhantomData), future, observe)
}

/// Puts an async function's body into a span that is opened at its first poll, with nothing but what is known while
/// compiling.
pub fn scoped_span<F: Future, O: FnOnce(&F::Output)>(
    meta: &'static SpanMeta,
    future: F,
    observe: O,
) -> Scoped<PlainSpan, F, O> {
    scoped_in(PlainSpan(meta), future, observe)
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
            if this.inner.is_none() {
                return;
            }
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
            State::New(mut begin) => {
                if let Some(number) = begin.begin_level() {
                    return poll_in_level(number, inner, this.observe, this.state, waker);
                }
                begin.begin().0
            }
            State::Open(scope) => Some(scope),
            State::Outside => None,
        };
        let Some(scope) = scope else {
            // What another scope is around it by now is none of its own.
            let entered = slot::is_open().then(|| slot::enter(None));
            let poll = future.poll(waker);
            if poll.is_ready() {
                inner.set(None);
            }
            drop(entered);
            return poll;
        };
        let entered = slot::enter(Some(scope));
        match catch_unwind(AssertUnwindSafe(|| future.poll(waker))) {
            Ok(Poll::Pending) => {
                if let Some(scope) = entered.leave() {
                    *this.state = State::Open(scope);
                }
                Poll::Pending
            }
            Ok(Poll::Ready(output)) => {
                inner.set(None);
                if let Some(observe) = this.observe.take() {
                    show(&output, observe);
                }
                Open::Scope(Some(entered)).close(None);
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

/// The first poll, in a level of the scope around it: whoever is not ready by its end gets a scope of its own.
#[inline]
fn poll_in_level<B, F: Future, O: FnOnce(&F::Output)>(
    number: usize,
    mut inner: Pin<&mut Option<F>>,
    observe: &mut Option<O>,
    state: &mut State<B>,
    waker: &mut Waker<'_>,
) -> Poll<F::Output> {
    let Some(future) = inner.as_mut().as_pin_mut() else { return Poll::Pending };
    let level = InLevel(number);
    match catch_unwind(AssertUnwindSafe(|| future.poll(waker))) {
        Ok(Poll::Pending) => {
            *state = State::Open(level.detach());
            Poll::Pending
        }
        Ok(Poll::Ready(output)) => {
            inner.set(None);
            if let Some(observe) = observe.take() {
                show(&output, observe);
            }
            drop(level);
            Poll::Ready(output)
        }
        Err(payload) => {
            let mut scope = level.detach();
            scope.close(Some(Box::new(panics::error(payload.as_ref()))));
            // What is left of the future is yet to be dropped.
            *state = State::Open(scope);
            resume_unwind(payload)
        }
    }
}

/// A level that ends with the poll that it was opened for, also where what is dropped in it panics.
struct InLevel(usize);

impl InLevel {
    /// Makes a scope of the level, which then is none any more.
    fn detach(self) -> Box<Scope> {
        let number = self.0 & !PANICKING;
        std::mem::forget(self);
        slot::current(|scope| scope.map(|scope| scope.detach(number))).unwrap_or_else(Scope::child)
    }
}

impl Drop for InLevel {
    #[inline]
    fn drop(&mut self) {
        end_level(self.0);
    }
}
