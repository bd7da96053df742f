use std::pin::Pin;
use std::task::{Context as Waker, Poll, ready};

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Response};
use pin_project_lite::pin_project;

use super::{ResponseBody, grpc};
use crate::request::{Request, polled};
use crate::tenant::Rejection;
use crate::{ContextExt, InContext};

pin_project! {
    /// The future of a [`TenantService`](super::TenantService): the inner one under its tenant, or a rejection.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: Option<InContext<F>>,
        request: Option<Request>,
        head: bool,
        rejection: Option<Refused>,
    }

    impl<F> PinnedDrop for ResponseFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            // The work before its trace: what it has open is part of that.
            this.project().inner.set(None);
        }
    }
}

/// The answer in place of the service's.
#[derive(Debug)]
struct Refused {
    rejection: Rejection,
    grpc: bool,
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(future: F, request: Request, head: bool) -> Self {
        let inner = request.context().run(|| future.in_current_context());
        Self { inner: Some(inner), request: Some(request), head, rejection: None }
    }

    /// `grpc`: whether it is a gRPC client that is refused.
    pub(super) fn rejected(rejection: Rejection, grpc: bool) -> Self {
        Self { inner: None, request: None, head: false, rejection: Some(Refused { rejection, grpc }) }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: http_body::Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return this.rejection.take().map_or(Poll::Pending, |refused| Poll::Ready(Ok(answer(&refused))));
        };
        let result = ready!(polled(this.request, || inner.poll(waker)));
        let Some(request) = this.request.take() else { return Poll::Pending };
        Poll::Ready(match result {
            Ok(response) => {
                let status = response.status();
                request.answered(status.as_u16());
                let (parts, body) = response.into_parts();
                let body = ResponseBody::new(body, request, !*this.head && may_have_body(status), &parts.headers);
                Ok(Response::from_parts(parts, body))
            }
            Err(error) => {
                request.fail("the service returned an error instead of a response");
                request.finish();
                Err(error)
            }
        })
    }
}

/// Whether the status allows a body: what is sent with others is never read.
fn may_have_body(status: http::StatusCode) -> bool {
    !status.is_informational() && status != http::StatusCode::NO_CONTENT && status != http::StatusCode::NOT_MODIFIED
}

fn answer<B>(Refused { rejection, grpc }: &Refused) -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = rejection.status();
    if let Some(challenge) = rejection.challenge() {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if *grpc {
        grpc::reject(&mut response);
    }
    response
}
