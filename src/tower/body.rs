use std::pin::Pin;
use std::task::{Context as Waker, Poll, ready};

use bytes::Buf;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::grpc;
use crate::request::{Request, polled};
use crate::{ContextExt, InContext};

pin_project! {
    /// The body of a response under its request's tenant, until its last frame; or the empty one of a rejection.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: Option<InContext<B>>,
        request: Option<Request>,
        progress: Progress,
        // A gRPC call whose status has not come yet.
        status_awaited: bool,
    }

    impl<B> PinnedDrop for ResponseBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // The stream before its trace: what it has open is part of that.
            this.inner.set(None);
            if let Some(request) = this.request.take().filter(|_| this.progress.is_done()) {
                if *this.status_awaited {
                    request.fail("the gRPC call ended without a status");
                }
                request.finish();
            }
        }
    }
}

/// How much of the body is still to come. Servers do not ask for more than was announced.
#[derive(Clone, Copy, Debug)]
enum Progress {
    Left(u64),
    Unknown,
    Done,
}

impl Progress {
    fn is_done(self) -> bool {
        matches!(self, Self::Left(0) | Self::Done)
    }
}

impl<B: Body> ResponseBody<B> {
    /// `is_read`: whether there is anyone who reads it to its end.
    pub(super) fn new(body: B, request: Request, is_read: bool, headers: &HeaderMap) -> Self {
        let status_awaited = is_read && grpc::is_call(headers) && !grpc::answered(&request, headers);
        let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let progress = match announced {
            _ if !is_read || body.is_end_stream() => Progress::Done,
            // Trailers come after the last byte.
            _ if status_awaited => Progress::Unknown,
            Some(length) => Progress::Left(length),
            None => body.size_hint().exact().map_or(Progress::Unknown, Progress::Left),
        };
        let inner = request.context().run(|| body.in_current_context());
        Self { inner: Some(inner), request: Some(request), progress, status_awaited }
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn empty() -> Self {
        Self { inner: None, request: None, progress: Progress::Done, status_awaited: false }
    }

    fn inner(&self) -> Option<&B> {
        self.inner.as_ref().and_then(InContext::get_ref)
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let poll = polled(this.request, || inner.poll_with(|body| body.poll_frame(waker)));
        let frame = ready!(poll.unwrap_or(Poll::Ready(None)));
        if let (true, Some(request), Some(Ok(frame))) = (*this.status_awaited, &*this.request, &frame) {
            let given = frame.trailers_ref().is_some_and(|trailers| grpc::answered(request, trailers));
            *this.status_awaited = !given;
        }
        match &frame {
            Some(Ok(frame)) => match (frame.data_ref(), &mut *this.progress) {
                (Some(data), Progress::Left(left)) => *left = left.saturating_sub(data.remaining() as u64),
                (Some(_), _) => {}
                // Trailers, which nothing follows.
                (None, progress) => *progress = Progress::Done,
            },
            Some(Err(_)) => {
                if let Some(request) = this.request.take() {
                    request.fail("the response's body ended with an error");
                    request.finish();
                }
            }
            None => *this.progress = Progress::Done,
        }
        if this.inner.as_ref().get_ref().as_ref().and_then(InContext::get_ref).is_some_and(Body::is_end_stream) {
            *this.progress = Progress::Done;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}
