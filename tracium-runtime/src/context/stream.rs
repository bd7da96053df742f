//! Annotated functions that return a stream: the scope outlives the call, and ends with the stream.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context as Waker, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::Scope;
use super::attribute::{Attribute, begin, show};
use super::slot;
use crate::panics;
use crate::probe::Failure;
use crate::trace::current_span;
use crate::trace::details::Error;

/// The scope of a call that is over, for the stream that it returned. Where there is none, it ends here.
#[derive(Debug)]
pub struct StreamScope(Option<Life>);

/// A scope, and what is told of its stream.
#[derive(Debug)]
struct Life {
    /// Away while it is entered.
    scope: Option<Box<Scope>>,
    began: Instant,
    items: u64,
    first: Option<Duration>,
}

impl StreamScope {
    /// The stream, in the scope. What `observe` says of its last item is its outcome.
    pub fn carry<S: Stream, O: FnMut(&S::Item) -> Option<Failure>>(mut self, stream: S, observe: O) -> InScope<S, O> {
        InScope { inner: Some(stream), observe, life: self.0.take() }
    }
}

/// The stream, whose items are said to be of this type.
pub fn stream_of<T, S: Stream<Item = T>>(stream: S) -> S {
    stream
}

impl Drop for StreamScope {
    fn drop(&mut self) {
        if let Some(Life { scope: Some(mut scope), .. }) = self.0.take() {
            scope.close(None);
            scope.retire();
        }
    }
}

impl Life {
    fn new(scope: Box<Scope>) -> Self {
        Self { scope: Some(scope), began: Instant::now(), items: 0, first: None }
    }

    fn count(&mut self) {
        if self.items == 0 {
            self.first = Some(self.began.elapsed());
        }
        self.items += 1;
    }

    /// Records what the stream came to; in the scope.
    fn record(&self) {
        if owns_span() {
            let span = current_span();
            span.add_metadata("stream.items", &self.items);
            if let Some(first) = self.first {
                span.add_metadata("stream.time_to_first_item", &first.as_secs_f64());
            }
        }
    }
}

/// Whether the innermost scope has opened a span that is still open.
fn owns_span() -> bool {
    slot::current(|scope| scope.is_some_and(|scope| scope.owns_span()))
}

/// Runs a sync function's body in a scope of its own, which `wrap` gives to the stream that is returned.
pub fn run_stream<A: Attribute, R, T>(
    _: &'static A,
    body: impl FnOnce() -> R,
    observe: impl FnOnce(&R),
    wrap: impl FnOnce(R, StreamScope) -> T,
) -> T {
    let Some(scope) = begin::<A>() else { return wrap(body(), StreamScope(None)) };
    let mut life = Life::new(scope);
    let entered = slot::enter(life.scope.take());
    let result = catch_unwind(AssertUnwindSafe(body));
    if let Ok(value) = &result {
        show(value, observe);
    }
    life.scope = entered.leave();
    match result {
        Ok(value) => wrap(value, StreamScope(Some(life))),
        Err(payload) => {
            if let Some(scope) = &mut life.scope {
                scope.close(Some(Box::new(panics::error(payload.as_ref()))));
            }
            resume_unwind(payload)
        }
    }
}

/// Puts an async function's body into a scope that is opened at its first poll, and which `wrap` gives to the stream.
pub fn scoped_stream<A, F, T, O, W>(_: &'static A, future: F, observe: O, wrap: W) -> impl Future<Output = T>
where
    A: Attribute,
    F: Future,
    O: FnOnce(&F::Output),
    W: FnOnce(F::Output, StreamScope) -> T,
{
    Opening { inner: Some(future), then: Some((observe, wrap)), state: State::New(begin::<A>) }
}

#[derive(Debug)]
enum State {
    /// Not polled yet.
    New(fn() -> Option<Box<Scope>>),
    Open(Life),
    /// No scope was open at the first poll, and none was opened.
    Outside,
}

pin_project! {
    /// An async function's body, up to where it returns the stream.
    struct Opening<F, O, W> {
        #[pin]
        inner: Option<F>,
        then: Option<(O, W)>,
        state: State,
    }

    impl<F, O, W> PinnedDrop for Opening<F, O, W> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let scope = match std::mem::replace(this.state, State::Outside) {
                State::Open(life) => life.scope,
                State::New(_) | State::Outside => None,
            };
            let entered = slot::enter(scope);
            this.inner.set(None);
            // A scope that is still open here never came to its end: dropping it says so.
            drop(entered);
        }
    }
}

impl<F, T, O, W> Future for Opening<F, O, W>
where
    F: Future,
    O: FnOnce(&F::Output),
    W: FnOnce(F::Output, StreamScope) -> T,
{
    type Output = T;

    fn poll(self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<T> {
        let this = self.project();
        let mut inner = this.inner;
        let Some(future) = inner.as_mut().as_pin_mut() else {
            // Polled again after its end, which no executor does: there is nothing left that could answer.
            return Poll::Pending;
        };
        let mut life = match std::mem::replace(this.state, State::Outside) {
            State::New(begin) => begin().map(Life::new),
            State::Open(life) => Some(life),
            State::Outside => None,
        };
        let entered = slot::enter(life.as_mut().and_then(|life| life.scope.take()));
        match catch_unwind(AssertUnwindSafe(|| future.poll(waker))) {
            Ok(Poll::Pending) => {
                let scope = entered.leave();
                if let Some(mut life) = life {
                    life.scope = scope;
                    *this.state = State::Open(life);
                }
                Poll::Pending
            }
            Ok(Poll::Ready(output)) => {
                inner.set(None);
                let Some((observe, wrap)) = this.then.take() else { return Poll::Pending };
                show(&output, observe);
                let scope = entered.leave();
                if let Some(life) = &mut life {
                    life.scope = scope;
                }
                Poll::Ready(wrap(output, StreamScope(life)))
            }
            Err(payload) => {
                let scope = entered.leave();
                if let (Some(mut life), Some(mut scope)) = (life, scope) {
                    scope.close(Some(Box::new(panics::error(payload.as_ref()))));
                    // What is left of the future is yet to be dropped.
                    life.scope = Some(scope);
                    *this.state = State::Open(life);
                }
                resume_unwind(payload)
            }
        }
    }
}

pin_project! {
    /// A stream in the scope of the call that returned it.
    ///
    /// The scope is entered on every poll and while the stream is dropped; the span ends when the stream does.
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct InScope<S, O> {
        #[pin]
        inner: Option<S>,
        observe: O,
        // Outside any scope there is none, and the stream is left alone.
        life: Option<Life>,
    }

    impl<S, O> PinnedDrop for InScope<S, O> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(mut life) = this.life.take() {
                let entered = slot::enter(life.scope.take());
                this.inner.set(None);
                life.record();
                // A span that is still open here is that of a stream that never came to its end.
                drop(entered);
            }
        }
    }
}

impl<S: Stream, O: FnMut(&S::Item) -> Option<Failure>> Stream for InScope<S, O> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let Some(stream) = this.inner.as_pin_mut() else { return Poll::Ready(None) };
        let Some(life) = this.life else { return stream.poll_next(waker) };
        let entered = slot::enter(life.scope.take());
        let poll = catch_unwind(AssertUnwindSafe(|| stream.poll_next(waker)));
        match &poll {
            Ok(Poll::Ready(Some(item))) => {
                life.count();
                if owns_span() {
                    // The user's `Display` or `Debug` may panic: that is no reason to fail the stream.
                    let failure = panics::contained(|| (this.observe)(item)).flatten();
                    slot::current(|scope| {
                        if let Some(scope) = scope {
                            scope.set_failure(failure.map(|failure| Box::new(failure.into())));
                        }
                    });
                }
            }
            Ok(Poll::Ready(None)) | Err(_) => life.record(),
            Ok(Poll::Pending) => {}
        }
        life.scope = entered.leave();
        if let Some(scope) = &mut life.scope {
            match &poll {
                // The scope stays, without its span, for what the stream does when it is dropped.
                Ok(Poll::Ready(None)) => scope.close(None),
                Err(payload) => scope.close(Some(Box::<Error>::new(panics::error(payload.as_ref())))),
                Ok(_) => {}
            }
        }
        poll.unwrap_or_else(|payload| resume_unwind(payload))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}
