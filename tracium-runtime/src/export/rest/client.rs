//! Requests and answers of the API.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::super::http::{self, Content, secret_header};
use super::answer::Call;
use crate::config::{Endpoint, InitError};
use crate::panics;
use crate::tenant::TenantId;

#[derive(Debug)]
pub(super) struct Request {
    pub(super) call: Call,
    /// Behind the base URL.
    pub(super) path: String,
    pub(super) tenant: Option<TenantId>,
    pub(super) body: Bytes,
}

/// What came back.
#[derive(Debug)]
pub(super) enum Reply {
    Answer {
        status: u16,
        retry_after: Option<Duration>,
        body: Body,
    },
    /// No answer, and why.
    Nothing(String),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    Empty,
    /// JSON, with the `id` that it names.
    Json(Option<String>),
    /// Anything else: a login page.
    Other,
    /// The answer broke off.
    CutOff,
}

impl Reply {
    /// For people: without addresses' secrets, and without anything that was sent.
    pub(super) fn describe(&self, call: Call) -> String {
        match self {
            Self::Answer { status, body: Body::Other, .. } => format!("{call:?}: status {status}, and no JSON"),
            Self::Answer { status, .. } => format!("{call:?}: status {status}"),
            Self::Nothing(why) => format!("{call:?}: {why}"),
        }
    }

    fn of(reply: http::Reply) -> Self {
        match reply {
            http::Reply::Answer(http::Answer { status, retry_after, content_type, content }) => {
                Self::Answer { status, retry_after, body: classify(&content, content_type.contains("json")) }
            }
            http::Reply::Nothing(why) => Self::Nothing(why),
        }
    }
}

fn classify(content: &Content, json: bool) -> Body {
    match content {
        Content::Whole(bytes) if bytes.trim_ascii().is_empty() => Body::Empty,
        Content::Whole(bytes) => match serde_json::from_slice::<serde_json::Value>(bytes) {
            Ok(value) if json => Body::Json(value.get("id").and_then(|id| id.as_str()).map(str::to_owned)),
            _ => Body::Other,
        },
        Content::TooLong => Body::Other,
        Content::CutOff => Body::CutOff,
    }
}

#[derive(Clone, Debug)]
pub(super) struct Client {
    http: http::Client,
    base: String,
}

impl Client {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, InitError> {
        let mut headers = HeaderMap::new();
        let key = secret_header(&endpoint.api_key).ok_or(InitError::IllegalKey)?;
        headers.insert(HeaderName::from_static("x-api-key"), key);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let http = http::Client::new(&endpoint.connection, headers)?;
        Ok(Self { http, base: endpoint.base_url.clone() })
    }

    /// Sends `request`; the future waits for the whole answer.
    pub(super) fn send(&self, request: Request) -> impl Future<Output = Reply> + Send + use<> {
        let mut headers = HeaderMap::new();
        if let Some(tenant) = &request.tenant
            && let Ok(value) = HeaderValue::from_str(&tenant.to_header_value())
        {
            headers.insert(HeaderName::from_static("x-tenant-id"), value);
        }
        let sent = self.http.post(&format!("{}{}", self.base, request.path), headers, request.body.into());
        answer_to(sent)
    }
}

/// The answer to what is `sent`. A request that panics got none: whatever it is of goes on as it does then.
async fn answer_to(sent: impl Future<Output = http::Reply>) -> Reply {
    let mut sent = pin!(sent);
    let reply = poll_fn(|cx| {
        let polled = panics::contained(|| sent.as_mut().poll(cx));
        polled.unwrap_or_else(|| Poll::Ready(http::Reply::Nothing("the request panicked".to_owned())))
    });
    Reply::of(reply.await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_panics_is_one_without_an_answer() {
        panics::install_hook();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let reply = runtime.block_on(answer_to(async { panic!("planned") }));
        assert_eq!(reply.describe(Call::Create), "Create: the request panicked");
    }
}
