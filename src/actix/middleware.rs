use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context as Waker, Poll, ready};

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{HeaderValue, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpResponse};
use pin_project_lite::pin_project;

use super::ResponseBody;
use crate::edge::{Edge, continue_traces};
use crate::request::{Request, polled};
use crate::tenant::{Parts, Rejection, Tenants};
use crate::{ContextExt, InContext};

/// Puts a [`TenantService`] around an application, a scope or a resource. See the [module](super).
#[derive(Clone, Debug)]
pub struct TenantMiddleware {
    edge: Edge,
}

impl TenantMiddleware {
    /// Requests run under the tenant that `tenants` finds.
    pub fn new(tenants: Tenants) -> Self {
        Self { edge: Edge::new(tenants) }
    }

    /// Each request that is let in, and not exempt, is a trace of `agent`, named after its method and the pattern that it
    /// matched, such as `/chat/{room}`; never after the path itself. What matches none has the agent's name.
    #[must_use]
    pub fn trace(mut self, agent: impl Into<String>) -> Self {
        self.edge.set_agent(agent);
        self
    }

    continue_traces!();
}

impl<S, B> Transform<S, ServiceRequest> for TenantMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<ResponseBody<B>>;
    type Error = Error;
    type Transform = TenantService<S>;
    type InitError = ();
    type Future = Ready<Result<TenantService<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(TenantService { inner, edge: self.edge.clone() }))
    }
}

/// A service whose requests run under their tenants; made by [`TenantMiddleware`].
#[derive(Debug)]
pub struct TenantService<S> {
    inner: S,
    edge: Edge,
}

impl<S, B> Service<ServiceRequest> for TenantService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<ResponseBody<B>>;
    type Error = Error;
    type Future = ResponseFuture<S::Future, B>;

    fn poll_ready(&self, waker: &mut Waker<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(waker)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        match self.edge.admit(&Parts::of_actix(request.request()), |_| request.match_pattern()) {
            Ok(admitted) => {
                // An answer to HEAD has no body that anyone reads to its end.
                let head = request.method() == Method::HEAD;
                let context = admitted.context().clone();
                let inner = context.run(|| self.inner.call(request).in_current_context());
                ResponseFuture { inner: Some(inner), request: Some(admitted), head, rejected: None }
            }
            Err(rejection) => {
                let rejected = Some(Box::new(answer(request, rejection)));
                ResponseFuture { inner: None, request: None, head: false, rejected }
            }
        }
    }
}

fn answer<B: MessageBody>(request: ServiceRequest, rejection: Rejection) -> ServiceResponse<ResponseBody<B>> {
    // The same code in the version of `http` that actix has.
    let status = StatusCode::from_u16(rejection.status().as_u16()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = HttpResponse::with_body(status, ResponseBody::empty());
    if let Some(challenge) = rejection.challenge() {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    request.into_response(response)
}

pin_project! {
    /// The future of a [`TenantService`]: the inner one under its tenant, or a rejection.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, B> {
        #[pin]
        inner: Option<InContext<F>>,
        request: Option<Request>,
        head: bool,
        rejected: Option<Box<ServiceResponse<ResponseBody<B>>>>,
    }

    impl<F, B> PinnedDrop for ResponseFuture<F, B> {
        fn drop(this: Pin<&mut Self>) {
            // The work before its trace: what it has open is part of that.
            this.project().inner.set(None);
        }
    }
}

impl<F, B> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<ResponseBody<B>>, Error>;

    fn poll(self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return this.rejected.take().map_or(Poll::Pending, |rejected| Poll::Ready(Ok(*rejected)));
        };
        let result = ready!(polled(this.request, || inner.poll(waker)));
        let Some(request) = this.request.take() else { return Poll::Pending };
        Poll::Ready(match result {
            Ok(response) => {
                request.answered(response.status().as_u16());
                let is_read = !*this.head;
                Ok(response.map_body(|_, body| ResponseBody::new(body, request, is_read)))
            }
            Err(error) => {
                // Of a middleware inside; actix makes the response of it further out.
                request.answered(error.as_response_error().status_code().as_u16());
                request.finish();
                Err(error)
            }
        })
    }
}

impl<F, B> std::fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").field("request", &self.request).finish_non_exhaustive()
    }
}
