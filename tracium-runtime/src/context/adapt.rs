//! Futures and streams that run under a context, wherever they are polled.

use std::pin::Pin;
use std::task::{Context as Waker, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::slot::{self, Entered};
use super::{Context, Scope};

pin_project! {
    /// A future or a stream under a [`Context`]; made by [`Context::scope`] and [`ContextExt::in_current_context`].
    ///
    /// The context is entered on every poll and while the work is dropped.
    #[derive(Debug)]
    #[must_use = "futures and streams do nothing unless polled"]
    pub struct InContext<F> {
        #[pin]
        inner: Option<F>,
        scope: Option<Box<Scope>>,
    }

    impl<F> PinnedDrop for InContext<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let entered = slot::enter(this.scope.take());
            this.inner.set(None);
            drop(entered);
        }
    }
}

impl<F> InContext<F> {
    pub(crate) fn new(context: Context, inner: F) -> Self {
        Self::within(Some(context), inner)
    }

    /// Without a context it runs outside any scope.
    pub(crate) fn within(context: Option<Context>, inner: F) -> Self {
        Self { inner: Some(inner), scope: context.map(Scope::new) }
    }
}

impl<F> InContext<F> {
    /// Calls `poll` with what is inside, under its context: for traits with a poll of their own, such as an HTTP body or
    /// an `AsyncRead`. `None` where a future inside is done.
    ///
    /// The scope is the same on every call: what one sets holds in the next.
    pub fn poll_with<R>(self: Pin<&mut Self>, poll: impl FnOnce(Pin<&mut F>) -> R) -> Option<R> {
        let this = self.project();
        let inner = this.inner.as_pin_mut()?;
        let entered = Polling::enter(this.scope);
        let polled = poll(inner);
        drop(entered);
        Some(polled)
    }

    /// What is inside; `None` where it is a future that is done.
    pub fn get_ref(&self) -> Option<&F> {
        self.inner.as_ref()
    }
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut inner = this.inner;
        let Some(future) = inner.as_mut().as_pin_mut() else {
            // Polled again after its end, which no executor does: there is nothing left that could answer.
            return Poll::Pending;
        };
        let entered = Polling::enter(this.scope);
        let poll = future.poll(waker);
        if poll.is_ready() {
            inner.set(None);
        }
        drop(entered);
        poll
    }
}

impl<S: Stream> Stream for InContext<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let Some(stream) = this.inner.as_pin_mut() else {
            return Poll::Ready(None);
        };
        let entered = Polling::enter(this.scope);
        let poll = stream.poll_next(waker);
        drop(entered);
        poll
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

/// Gives the scope back after a poll; after one that panics too, since the rest of the work is yet to be dropped.
struct Polling<'a> {
    scope: &'a mut Option<Box<Scope>>,
    entered: Option<Entered>,
}

impl<'a> Polling<'a> {
    fn enter(scope: &'a mut Option<Box<Scope>>) -> Self {
        let entered = Some(slot::enter(scope.take()));
        Self { scope, entered }
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        *self.scope = self.entered.take().and_then(Entered::leave);
    }
}

/// Puts a future or a stream under the context of the code that makes it.
pub trait ContextExt: Sized {
    /// This future or stream, under the current context wherever it is polled.
    ///
    /// ```
    /// # use tracium_runtime as tracium;
    /// use tracium::{Context, ContextExt, TenantId, current_tenant};
    ///
    /// let acme = Context::root().with_tenant(TenantId::try_from("acme")?);
    /// let future = acme.run(|| async { current_tenant().unwrap().to_string() }.in_current_context());
    /// assert_eq!(tracium::block_on(future), "acme");
    /// # Ok::<(), tracium::TenantError>(())
    /// ```
    fn in_current_context(self) -> InContext<Self> {
        InContext::new(Context::current(), self)
    }
}

impl<T> ContextExt for T {}
