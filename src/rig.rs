//! Calls of models through [rig](https://docs.rs/rig-core) 0.44 to 0.46, seen without being asked.
//!
//! An HTTP client that goes into every provider of rig's, around the one that sends:
//!
//! ```
//! use rig_http::http_client::HttpClientExt;
//! use tracium::rig::LlmClient;
//!
//! /// `OpenAI::from_env()?.with_http(seen(rig_reqwest::shared()))`, and the same with every other provider.
//! fn seen(client: impl HttpClientExt) -> impl HttpClientExt {
//!     LlmClient::new(client)
//! }
//! ```
//!
//! Each call is a span of kind `llm` in the current trace, under its tenant: see [`llm`](mod@crate::llm) for the APIs that it
//! knows and what it records. Every other request passes untouched, and so does a call outside any trace. Requests and
//! answers are what they are without it: each chunk of a stream reaches rig in the poll that received it. Headers are not
//! looked at, but for the content type and the answer's request id. Sessions over web sockets are not seen.
//!
//! rig's crates need a newer Rust than this one: 0.44 needs 1.95. Where cargo chooses another `rig-http` for this crate than
//! for rig's own, the compiler says that the trait `HttpClientExt` is not implemented; with the versions that it names,
//! `cargo update -p rig-http@0.44.0 --precise 0.46.0` brings the two together.

use std::pin::Pin;
use std::task::{Context as Waker, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response};
use rig_http::http_client::{BoxedStream, Error, HttpClientExt, LazyBody, MultipartForm, Result, StreamingResponse};
use rig_http::wasm_compat::WasmCompatSend;

use crate::calls::{Causes, begin, with_usage};
use crate::llm::Exchange;

/// An HTTP client of rig's that makes each call of a model a span. See the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct LlmClient<H> {
    inner: H,
    include_usage: bool,
}

impl<H> LlmClient<H> {
    /// Sends through `inner`, and changes nothing of what it sends.
    pub fn new(inner: H) -> Self {
        Self { inner, include_usage: false }
    }

    /// Asks for the token counts of streams, which OpenAI's chat completions leave out unless they are asked:
    /// `stream_options.include_usage` is added to requests that stream and do not say themselves whether they want it.
    ///
    /// rig asks by itself where it knows that the provider can. The last chunk of a stream then has the usage and an empty
    /// list of `choices`. Some servers that speak OpenAI's protocol refuse the field. Nothing else of a body is changed,
    /// not a byte.
    #[must_use]
    pub fn openai_include_usage(mut self) -> Self {
        self.include_usage = true;
        self
    }

    /// The request with its body in memory, and what the parser is shown of it.
    fn read<T: Into<Bytes>>(&self, request: Request<T>) -> (Request<Bytes>, Asked) {
        let (mut parts, body) = request.into_parts();
        let mut body: Bytes = body.into();
        if self.include_usage
            && let Some(asked) = with_usage(parts.uri.path(), &body)
        {
            if parts.headers.contains_key(CONTENT_LENGTH) {
                parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(asked.len()));
            }
            body = asked.into();
        }
        let request = Request::from_parts(parts, body);
        let asked = Asked::new(&request, Some(request.body().clone()));
        (request, asked)
    }
}

impl<H: HttpClientExt> HttpClientExt for LlmClient<H> {
    fn send<T, U>(
        &self,
        request: Request<T>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>>> + WasmCompatSend + 'static
    where
        T: Into<Bytes> + WasmCompatSend,
        U: From<Bytes> + WasmCompatSend + 'static,
    {
        let (request, asked) = self.read(request);
        answered_once(asked, self.inner.send::<Bytes, Bytes>(request))
    }

    fn send_multipart<U>(
        &self,
        request: Request<MultipartForm>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>>> + WasmCompatSend + 'static
    where
        U: From<Bytes> + WasmCompatSend + 'static,
    {
        let asked = Asked::new(&request, None);
        answered_once(asked, self.inner.send_multipart::<Bytes>(request))
    }

    fn send_streaming<T>(&self, request: Request<T>) -> impl Future<Output = Result<StreamingResponse>> + WasmCompatSend
    where
        T: Into<Bytes> + WasmCompatSend,
    {
        let (request, asked) = self.read(request);
        let sent = self.inner.send_streaming::<Bytes>(request);
        async move {
            let (response, exchange) = asked.answer(sent).await?;
            let Some(exchange) = exchange else { return Ok(response) };
            Ok(response.map(|stream| -> BoxedStream { Box::pin(Observed { stream, exchange: Some(exchange) }) }))
        }
    }
}

/// The answer whose body comes as one.
async fn answered_once<U: From<Bytes> + Send + 'static>(
    asked: Asked,
    sent: impl Future<Output = Result<Response<LazyBody<Bytes>>>>,
) -> Result<Response<LazyBody<U>>> {
    let (response, exchange) = asked.answer(sent).await?;
    Ok(response.map(|body| -> LazyBody<U> {
        Box::pin(async move {
            match (body.await, exchange) {
                (Ok(bytes), Some(mut exchange)) => {
                    exchange.chunk(&bytes);
                    exchange.end();
                    Ok(bytes.into())
                }
                (Err(error), Some(exchange)) => {
                    exchange.failed(&Causes(&error));
                    Err(error)
                }
                (body, None) => body.map(Into::into),
            }
        })
    }))
}

/// What the parser is shown of a request, once that is first polled.
struct Asked {
    method: http::Method,
    uri: http::Uri,
    content_type: Option<HeaderValue>,
    body: Option<Bytes>,
}

impl Asked {
    fn new<T>(request: &Request<T>, body: Option<Bytes>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            content_type: request.headers().get(CONTENT_TYPE).cloned(),
            body,
        }
    }

    fn begin(&self) -> Option<Exchange> {
        let host = self.uri.authority().map_or("", |authority| {
            // Without the user, who may have a password.
            let authority = authority.as_str();
            authority.rsplit_once('@').map_or(authority, |(_, host)| host)
        });
        let content_type = self.content_type.as_ref().and_then(|kind| kind.to_str().ok());
        begin(self.method.as_str(), host, self.uri.path(), content_type, self.body.as_deref())
    }

    /// What `sent` comes to; and the call, if it is one of a model, until its answer's body has been read.
    async fn answer<B>(
        self,
        sent: impl Future<Output = Result<Response<B>>>,
    ) -> Result<(Response<B>, Option<Exchange>)> {
        let Some(mut exchange) = self.begin() else { return Ok((sent.await?, None)) };
        drop(self);
        match exchange.context().clone().scope(sent).await {
            Ok(response) => {
                answered(&mut exchange, response.status().as_u16(), response.headers());
                Ok((response, Some(exchange)))
            }
            // rig's clients make errors of answers that are none of success.
            Err(Error::InvalidStatusCodeWithDetails { status, body, headers }) => {
                answered(&mut exchange, status.as_u16(), &headers);
                exchange.chunk(body.as_bytes());
                exchange.end();
                Err(Error::InvalidStatusCodeWithDetails { status, body, headers })
            }
            Err(error) => {
                exchange.failed(&Causes(&error));
                Err(error)
            }
        }
    }
}

fn answered(exchange: &mut Exchange, status: u16, headers: &HeaderMap) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    exchange.answered(status, text(CONTENT_TYPE.as_str()), |name| text(name).map(str::to_owned));
}

/// Passes each chunk on in the poll that received it. Dropped before its end, whoever read it has stopped.
struct Observed {
    stream: BoxedStream,
    exchange: Option<Exchange>,
}

impl Stream for Observed {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<Option<Result<Bytes>>> {
        let item = ready!(self.stream.as_mut().poll_next(waker));
        match (&item, self.exchange.take()) {
            (Some(Ok(chunk)), Some(mut exchange)) => {
                exchange.chunk(chunk);
                self.exchange = Some(exchange);
            }
            (Some(Err(error)), Some(exchange)) => exchange.failed(&Causes(error)),
            (None, Some(exchange)) => exchange.end(),
            (_, None) => {}
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}
