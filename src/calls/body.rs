//! A response's body that is watched as it passes.

use std::error::Error;
use std::pin::Pin;
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
        exchange: Option<Exchange>,
        as_error: fn(&B::Error) -> &(dyn Error + 'static),
    }
}

impl<B: Body> Observed<B> {
    pub(crate) fn new(body: B, exchange: Exchange, as_error: fn(&B::Error) -> &(dyn Error + 'static)) -> Self {
        let mut observed = Self { body, exchange: Some(exchange), as_error };
        if observed.body.is_end_stream() {
            end(&mut observed.exchange);
        }
        observed
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
                if let (Some(chunk), Some(exchange)) = (frame.data_ref(), this.exchange.as_mut()) {
                    exchange.chunk(chunk);
                }
                // Whoever knows the length does not ask again.
                if this.body.is_end_stream() {
                    end(this.exchange);
                }
            }
            Some(Err(error)) => {
                if let Some(exchange) = this.exchange.take() {
                    exchange.failed(&Causes((this.as_error)(error)));
                }
            }
            None => end(this.exchange),
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

fn end(exchange: &mut Option<Exchange>) {
    if let Some(exchange) = exchange.take() {
        exchange.end();
    }
}
