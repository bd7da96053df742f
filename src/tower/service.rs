use std::task::{Context as Waker, Poll};

use http_body::Body;
use tower_service::Service;

use super::{ResponseBody, ResponseFuture, TenantLayer, grpc};
use crate::tenant::Parts;

/// A service whose requests run under their tenants; made by [`TenantLayer`].
#[derive(Clone, Debug)]
pub struct TenantService<S> {
    inner: S,
    layer: TenantLayer,
}

impl<S> TenantService<S> {
    pub(super) fn new(inner: S, layer: TenantLayer) -> Self {
        Self { inner, layer }
    }
}

impl<S, B, R> Service<http::Request<B>> for TenantService<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>>,
    R: Body,
{
    type Response = http::Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, waker: &mut Waker<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(waker)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        match self.layer.edge().admit(&Parts::of(&request), |parts| self.layer.route(parts)) {
            Ok(admitted) => {
                // An answer to HEAD has no body that anyone reads to its end.
                let head = request.method() == http::Method::HEAD;
                let future = admitted.context().run(|| self.inner.call(request));
                ResponseFuture::new(future, admitted, head)
            }
            Err(rejection) => ResponseFuture::rejected(rejection, grpc::is_call(request.headers())),
        }
    }
}
