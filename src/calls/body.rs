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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io;

    use http::HeaderMap;

    use super::*;
    use crate::llm::Request;
    use crate::testing::{RecordedSpan, Recorder};

    /// Gives one frame for each poll, and is pending where there is a gap.
    struct Frames(VecDeque<Poll<io::Result<Frame<Bytes>>>>, SizeHint);

    impl Body for Frames {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Waker<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            self.0.pop_front().map_or(Poll::Ready(None), |frame| frame.map(Some))
        }

        fn is_end_stream(&self) -> bool {
            self.1.exact().is_some() && self.0.is_empty()
        }

        fn size_hint(&self) -> SizeHint {
            self.1
        }
    }

    fn observed(recorder: &Recorder, frames: Vec<Poll<io::Result<Frame<Bytes>>>>, size: SizeHint) -> Observed<Frames> {
        recorder.clear();
        crate::start_trace("test").run(|| {
            let body = br#"{"model":"m","stream":true,"messages":[]}"#;
            let request = Request::new("POST", "api.openai.com", "/v1/chat/completions").body(body);
            let mut exchange = Exchange::begin(&request).unwrap();
            exchange.answered(200, Some("text/event-stream"), |_| None);
            Observed::new(Frames(frames.into(), size), exchange, |error| error)
        })
    }

    fn poll(body: &mut Observed<Frames>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(body).poll_frame(&mut Waker::from_waker(std::task::Waker::noop()))
    }

    fn data(bytes: &Bytes) -> Poll<io::Result<Frame<Bytes>>> {
        Poll::Ready(Ok(Frame::data(bytes.clone())))
    }

    fn call(recorder: &Recorder) -> RecordedSpan {
        recorder.spans().into_iter().find(|span| span.kind == "llm").unwrap()
    }

    #[test]
    fn each_frame_is_given_in_the_poll_that_got_it_and_is_the_very_same() {
        let recorder = Recorder::install();
        let chunk = Bytes::from("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"tea\"}}]}\n\n".to_owned());
        let trailers = HeaderMap::from_iter([(http::header::ETAG, "x".parse().unwrap())]);
        let frames =
            vec![data(&chunk), Poll::Pending, data(&chunk), Poll::Ready(Ok(Frame::trailers(trailers.clone())))];
        let mut body = observed(&recorder, frames, SizeHint::default());
        for expected in [true, false, true] {
            match poll(&mut body) {
                Poll::Ready(Some(Ok(frame))) => {
                    assert_eq!(frame.into_data().unwrap().as_ptr(), chunk.as_ptr(), "not a copy");
                    assert!(expected);
                }
                pending => assert!(pending.is_pending() && !expected),
            }
        }
        let Poll::Ready(Some(Ok(frame))) = poll(&mut body) else { panic!("the trailers") };
        assert_eq!(frame.into_trailers().unwrap(), trailers);
        assert!(recorder.spans().iter().all(|span| span.kind != "llm"), "it has not ended");
        assert!(matches!(poll(&mut body), Poll::Ready(None)));
        // Whoever keeps the body keeps no span open.
        let call = call(&recorder);
        assert!(format!("{:?}", call.output).contains("teatea"), "{call:?}");
    }

    #[test]
    fn a_body_of_known_length_is_over_with_its_last_byte() {
        let recorder = Recorder::install();
        let chunk = Bytes::from("data: {\"choices\":[]}\n\n".to_owned());
        let size = SizeHint::with_exact(chunk.len() as u64);
        let mut body = observed(&recorder, vec![data(&chunk)], size);
        assert_eq!(body.size_hint().exact(), size.exact());
        assert!(poll(&mut body).is_ready());
        assert!(body.is_end_stream());
        assert!(!call(&recorder).call.stopped, "it has ended, as nobody asks such a body again");

        let empty = observed(&recorder, Vec::new(), SizeHint::with_exact(0));
        assert!(!call(&recorder).call.stopped);
        drop(empty);
    }

    #[test]
    fn an_error_passes_and_ends_the_call_with_its_causes() {
        let recorder = Recorder::install();
        let mut body = observed(&recorder, vec![Poll::Ready(Err(io::Error::other("cut")))], SizeHint::default());
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Err(error))) if error.to_string() == "cut"));
        assert_eq!(call(&recorder).error.as_deref(), Some("cut"));
    }

    #[test]
    fn a_body_that_is_dropped_half_way_says_so() {
        let recorder = Recorder::install();
        let chunk = Bytes::from("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"tea\"}}]}\n\n".to_owned());
        let mut body = observed(&recorder, vec![data(&chunk), data(&chunk)], SizeHint::default());
        assert!(poll(&mut body).is_ready());
        drop(body);
        assert!(call(&recorder).call.stopped);
    }
}
