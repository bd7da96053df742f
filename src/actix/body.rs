use std::pin::Pin;
use std::task::{Context as Waker, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use pin_project_lite::pin_project;

use crate::request::{Request, polled};
use crate::{ContextExt, InContext};

pin_project! {
    /// The body of a response under its request's tenant, until its last piece; or the empty one of a rejection.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: Option<InContext<B>>,
        request: Option<Request>,
        // How many bytes are still to come: servers do not ask for more. `None` where nobody knows.
        left: Option<u64>,
    }

    impl<B> PinnedDrop for ResponseBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // The stream before its trace: what it has open is part of that.
            this.inner.set(None);
            if let Some(request) = this.request.take().filter(|_| *this.left == Some(0)) {
                request.finish();
            }
        }
    }
}

impl<B: MessageBody> ResponseBody<B> {
    /// `is_read`: whether there is anyone who reads it to its end.
    pub(super) fn new(body: B, request: Request, is_read: bool) -> Self {
        let left = match body.size() {
            BodySize::None => Some(0),
            _ if !is_read => Some(0),
            BodySize::Sized(size) => Some(size),
            BodySize::Stream => None,
        };
        let inner = request.context().run(|| body.in_current_context());
        Self { inner: Some(inner), request: Some(request), left }
    }

    pub(super) fn empty() -> Self {
        Self { inner: None, request: None, left: Some(0) }
    }
}

impl<B: MessageBody> MessageBody for ResponseBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.inner.as_ref().and_then(InContext::get_ref).map_or(BodySize::Sized(0), MessageBody::size)
    }

    fn poll_next(self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else { return Poll::Ready(None) };
        let poll = polled(this.request, || inner.poll_with(|body| body.poll_next(waker)));
        let piece = ready!(poll.unwrap_or(Poll::Ready(None)));
        match &piece {
            Some(Ok(bytes)) => *this.left = this.left.map(|left| left.saturating_sub(bytes.len() as u64)),
            Some(Err(_)) => {
                if let Some(request) = this.request.take() {
                    request.fail("the response's body ended with an error");
                    request.finish();
                }
            }
            None => *this.left = Some(0),
        }
        Poll::Ready(piece)
    }
}
