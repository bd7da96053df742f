//! Calls of models through [async-openai](https://docs.rs/async-openai) 0.43, seen without being asked.
//!
//! ```
//! use async_openai::{Client, config::OpenAIConfig};
//! use tracium::async_openai::LlmLayer;
//!
//! let client = Client::with_config(OpenAIConfig::new())
//!     .with_http_service(LlmLayer::new().service(reqwest::Client::new()));
//! # drop(client);
//! ```
//!
//! Each call of the client is a span of kind `llm` in the current trace, under its tenant: see [`llm`](mod@crate::llm) for
//! what it records. Calls that are none of a model (files, lists of models) pass untouched, and so does a call outside any
//! trace. Requests and answers are what they are without it: each chunk of a stream reaches the client in the poll that
//! received it. API keys and headers are not looked at, but for the content type and the answer's request id.
//!
//! A client that is given a service loses the retries that it has by itself. [`LlmLayer::service`] puts them back: up to
//! three, on 429 (unless the quota is used up), 5xx and connections that fail, with backoff and `Retry-After`. Each attempt
//! is a span of its own. In a stack of one's own, [`LlmLayer`] is a layer like any other, and goes inside the one that
//! retries:
//!
//! ```
//! use async_openai::middleware::{ReqwestService, retry::OpenAIRetryLayer};
//! use tower::ServiceBuilder;
//! use tracium::async_openai::LlmLayer;
//!
//! let service = ServiceBuilder::new()
//!     .layer(OpenAIRetryLayer::new(1))
//!     .layer(LlmLayer::new().openai_include_usage())
//!     .service(ReqwestService::new(reqwest::Client::new()));
//! # async_openai::Client::new().with_http_service(service);
//! ```
//!
//! A layer outside that hands calls to a task of its own, such as tower's `buffer`, leaves the context behind, and with it
//! the trace. `Client::with_http_client`, called afterwards, puts the client's own service back.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Waker, Poll};

use ::async_openai::error::OpenAIError;
use ::async_openai::middleware::retry::{OpenAIRetry, OpenAIRetryLayer};
use ::async_openai::middleware::{HttpRequestFactory, ReqwestService};
use reqwest::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::calls::{Causes, ask_for_usage, begin_request, observed};

/// A tower layer that makes each call of a model a span. See the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct LlmLayer {
    include_usage: bool,
}

impl LlmLayer {
    /// Sees calls, and changes nothing of them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the token counts of streams, which chat completions leave out unless they are asked:
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

    /// What `async-openai` sends requests with by itself, its retries included, under this layer.
    pub fn service(&self, client: reqwest::Client) -> OpenAIRetry<LlmService<ReqwestService>> {
        OpenAIRetryLayer::default().layer(self.layer(ReqwestService::new(client)))
    }
}

impl<S> Layer<S> for LlmLayer {
    type Service = LlmService<S>;

    fn layer(&self, inner: S) -> LlmService<S> {
        LlmService { inner, include_usage: self.include_usage }
    }
}

/// The service that [`LlmLayer`] makes.
#[derive(Clone, Debug)]
pub struct LlmService<S> {
    inner: S,
    include_usage: bool,
}

impl<S> Service<HttpRequestFactory> for LlmService<S>
where
    S: Service<HttpRequestFactory, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<OpenAIError>,
{
    type Response = Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, waker: &mut Waker<'_>) -> Poll<Result<(), OpenAIError>> {
        self.inner.poll_ready(waker).map_err(Into::into)
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        // The one that is ready makes the call; its clone need not be.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let include_usage = self.include_usage;
        Box::pin(async move {
            let request = build(&factory, include_usage).await?;
            let exchange = begin_request(&request);
            let factory = built(request, factory, include_usage);
            let Some(exchange) = exchange else { return inner.call(factory).await.map_err(Into::into) };
            let context = exchange.context().clone();
            match context.scope(async move { inner.call(factory).await.map_err(Into::into) }).await {
                Ok(response) => Ok(observed(response, exchange)),
                Err(error) => {
                    exchange.failed(&Causes(&error));
                    Err(error)
                }
            }
        })
    }
}

async fn build(factory: &HttpRequestFactory, include_usage: bool) -> Result<Request, OpenAIError> {
    let mut request = factory.build().await?;
    if include_usage {
        ask_for_usage(&mut request);
    }
    Ok(request)
}

/// A factory that has built `request` already; a service inside that builds once more gets what `factory` builds.
fn built(request: Request, factory: HttpRequestFactory, include_usage: bool) -> HttpRequestFactory {
    let first = Arc::new(Mutex::new(Some(request)));
    HttpRequestFactory::new(move || {
        let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let factory = factory.clone();
        async move {
            match first {
                Some(request) => Ok(request),
                None => build(&factory, include_usage).await,
            }
        }
    })
}
