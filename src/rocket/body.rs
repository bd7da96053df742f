use std::io;
use std::pin::Pin;
use std::task::{Context as Waker, Poll, ready};

use pin_project_lite::pin_project;
use rocket::response::Body;
use rocket::tokio::io::{AsyncRead, ReadBuf};

use crate::request::{Request, polled};
use crate::{ContextExt, InContext};

pin_project! {
    /// A streamed body under its request's tenant, until its end.
    pub(super) struct Streamed<'r> {
        #[pin]
        inner: Option<InContext<Body<'r>>>,
        request: Option<Request>,
        begun: bool,
    }

    impl<'r> PinnedDrop for Streamed<'r> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // The stream before its trace: what it has open is part of that.
            this.inner.set(None);
            // Nobody asked for any of it: Rocket answers a HEAD by the route for GET, and drops the body.
            if let Some(request) = this.request.take().filter(|_| !*this.begun) {
                request.finish();
            }
        }
    }
}

impl<'r> Streamed<'r> {
    pub(super) fn new(body: Body<'r>, request: Request) -> Self {
        let inner = request.context().run(|| body.in_current_context());
        Self { inner: Some(inner), request: Some(request), begun: false }
    }
}

impl AsyncRead for Streamed<'_> {
    fn poll_read(self: Pin<&mut Self>, waker: &mut Waker<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(Ok(())) };
        *this.begun = true;
        let before = buffer.filled().len();
        let poll = polled(this.request, || inner.poll_with(|body| body.poll_read(waker, buffer)));
        let result = ready!(poll.unwrap_or(Poll::Ready(Ok(()))));
        match &result {
            Ok(()) if buffer.filled().len() == before => {
                this.inner.set(None);
                if let Some(request) = this.request.take() {
                    request.finish();
                }
            }
            Ok(()) => {}
            Err(_) => {
                if let Some(request) = this.request.take() {
                    request.fail("the response's body ended with an error");
                    request.finish();
                }
            }
        }
        Poll::Ready(result)
    }
}
