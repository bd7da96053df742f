//! Middleware for clients of [reqwest-middleware](https://docs.rs/reqwest-middleware): calls of models that are seen
//! without being asked, and the context in requests on their way out.
//!
//! ```
//! use reqwest_middleware::{ClientBuilder, reqwest};
//! use tracium::reqwest_middleware::{ContextMiddleware, LlmMiddleware};
//!
//! // Headers go along where a redirect leads, to hosts that nobody allowed: better not to follow any.
//! let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
//! let client = ClientBuilder::new(client)
//!     .with(LlmMiddleware::new()) // behind a middleware that retries: each attempt is a call
//!     .with(ContextMiddleware)
//!     .build();
//! # drop(client);
//! # Ok::<(), reqwest::Error>(())
//! ```
//!
//! # Calls of models
//!
//! [`LlmMiddleware`] makes each call of a model a span of kind `llm` in the current trace, under its tenant: see
//! [`llm`](mod@crate::llm) for the APIs that it knows and what it records. Every other request passes untouched, and so does
//! a call outside any trace. Headers are not looked at, but for the content type and the answer's request id.
//!
//! A request's body is read where it is in memory; one that is a stream itself (an upload) is not. The response is the
//! one that came: status, headers, version, extensions, URL, trailers and size are kept, and each chunk reaches the
//! caller in the poll that received it. What `reqwest` does not let through: the error of a body that breaks off is a
//! source of the one that the caller gets, one level deeper than it would be; `is_timeout()` and its like find it.
//!
//! # The context
//!
//! With [`ContextMiddleware`] every host gets `traceparent`, so that its spans become part of the trace. Only hosts that
//! `tracium::builder().allow_tenant_host(..)` names are told the tenant, in `baggage` and `X-Tenant-ID`: see
//! [`Context::inject_for_host`].

use ::reqwest_middleware::{Middleware, Next, Result};
use http::Extensions;
use reqwest::{Request, Response};

use crate::Context;
use crate::calls::{Causes, ask_for_usage, begin_request, observed};

/// Makes each call of a model a span. See the [module](self).
///
/// The span is the one that the request's own spans and headers have as their parent, where middleware behind this one
/// asks. A request that is dropped before its answer ends its span as cancelled.
#[derive(Clone, Copy, Debug, Default)]
pub struct LlmMiddleware {
    include_usage: bool,
}

impl LlmMiddleware {
    /// Sees calls, and changes nothing of them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the token counts of streams, which OpenAI's chat completions leave out unless they are asked:
    /// `stream_options.include_usage` is added to requests that stream and do not say themselves whether they want it.
    ///
    /// **The application sees the difference:** the last chunk of a stream then has the usage and an empty list of
    /// `choices`, and code that takes the first choice of every chunk fails on it. Some servers that speak OpenAI's
    /// protocol refuse the field. Nothing else of a body is changed, not a byte.
    #[must_use]
    pub fn openai_include_usage(mut self) -> Self {
        self.include_usage = true;
        self
    }
}

#[async_trait::async_trait]
impl Middleware for LlmMiddleware {
    async fn handle(&self, mut request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        if self.include_usage {
            ask_for_usage(&mut request);
        }
        let Some(exchange) = begin_request(&request) else { return next.run(request, extensions).await };
        let context = exchange.context().clone();
        match context.scope(next.run(request, extensions)).await {
            Ok(response) => Ok(observed(response, exchange)),
            Err(error) => {
                exchange.failed(&Causes(&error));
                Err(error)
            }
        }
    }
}

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
