//! A response's body that is watched as it passes.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context as Waker, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::Causes;
use crate::llm::Exchange;

pin_project! {
    /// Passes each frame on in the poll that received it. Dropped before its end, whoever read it has stopped.
    pub(crate) struct Observed<B: Body> {
        #[pin]
        body: B,
        exchange: Exclusive,
        as_error: fn(&B::Error) -> &(dyn Error + 'static),
    }
}

impl<B: Body> Observed<B> {
    pub(crate) fn new(body: B, exchange: Exchange, as_error: fn(&B::Error) -> &(dyn Error + 'static)) -> Self {
        let mut exchange = Exclusive::new(exchange);
        if body.is_end_stream() {
            exchange.end();
        }
        Self { body, exchange, as_error }
    }
}

impl<B: Body<Data = Bytes>> Body for Observed<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(waker));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(chunk) = frame.data_ref() {
                    this.exchange.chunk(chunk);
                }
                // Whoever knows the length does not ask again.
                if this.body.is_end_stream() {
                    this.exchange.end();
                }
            }
            Some(Err(error)) => this.exchange.failed((this.as_error)(error)),
            None => this.exchange.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An exchange until its end. Only ever reached through `&mut`: the lock is never taken, and there since clients ask for
/// what is `Sync`.
pub(crate) struct Exclusive(Mutex<Option<Exchange>>);

impl Exclusive {
    pub(crate) fn new(exchange: Exchange) -> Self {
        Self(Mutex::new(Some(exchange)))
    }

    pub(crate) fn take(&mut self) -> Option<Exchange> {
        self.get().take()
    }

    fn get(&mut self) -> &mut Option<Exchange> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn chunk(&mut self, chunk: &[u8]) {
        if let Some(exchange) = self.get() {
            exchange.chunk(chunk);
        }
    }

    fn end(&mut self) {
        if let Some(exchange) = self.take() {
            exchange.end();
        }
    }

    fn failed(&mut self, error: &(dyn Error + 'static)) {
        if let Some(exchange) = self.take() {
            exchange.failed(&Causes(error));
        }
    }
}
