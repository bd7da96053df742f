//! Middleware for clients of [reqwest-middleware](https://docs.rs/reqwest-middleware) that sends the context along.
//!
//! Every host gets `traceparent`, so that its spans become part of the trace. Only hosts that
//! `tracium::builder().allow_tenant_host(..)` names are told the tenant, in `baggage` and `X-Tenant-ID`: see
//! [`Context::inject_for_host`].
//!
//! ```
//! use reqwest_middleware::{ClientBuilder, reqwest};
//! use tracium::reqwest_middleware::ContextMiddleware;
//!
//! // Headers go along where a redirect leads, to hosts that nobody allowed: better not to follow any.
//! let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
//! let client = ClientBuilder::new(client).with(ContextMiddleware).build();
//! # drop(client);
//! # Ok::<(), reqwest::Error>(())
//! ```

use ::reqwest_middleware::reqwest::{Request, Response};
use ::reqwest_middleware::{Middleware, Next, Result};
use http::Extensions;

use crate::Context;

/// Writes the current context into each request's headers. See the [module](self).
///
/// The context is that of the code which awaits the request. A retry inside this middleware sends the same headers again.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs)] // What there is to say is said to the builder, once for the process.
pub struct ContextMiddleware;

#[async_trait::async_trait]
impl Middleware for ContextMiddleware {
    async fn handle(&self, mut request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        if let Some(host) = request.url().host_str().map(str::to_owned) {
            Context::current().inject_for_host(&host, request.headers_mut());
        }
        next.run(request, extensions).await
    }
}
