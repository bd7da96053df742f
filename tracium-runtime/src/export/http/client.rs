//! One HTTP client: our headers, our limits, no redirects.

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Body, Certificate, NoProxy, Proxy, Response, Url};

use super::retry_after::retry_after;
use crate::config::{Connection, InitError};
use crate::content::scrub_text;

/// More than any answer that means something has.
const MAX_BODY: usize = 64 * 1024;

/// What came back.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer(Answer),
    /// No answer, and why: for people, without secrets.
    Nothing(String),
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// In lower case; empty where the answer names none.
    pub(crate) content_type: String,
    pub(crate) content: Content,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Whole(Vec<u8>),
    /// More than is read.
    TooLong,
    /// The answer broke off.
    CutOff,
}

/// `value` as a header's that never shows; `None` where no header can carry it.
pub(crate) fn secret_header(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
}

impl Client {
    /// A client that sends `headers` with every request.
    pub(crate) fn new(connection: &Connection, mut headers: HeaderMap) -> Result<Self, InitError> {
        let failed = |reason: String| InitError::Client { reason };
        headers.insert(
            HeaderName::from_static("x-tracium-sdk-version"),
            HeaderValue::from_static(env!("CARGO_PKG_VERSION")),
        );
        let mut builder = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(concat!("tracium-rust/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            // Nothing of ours may be followed, compressed or retried behind our back.
            .retry(reqwest::retry::never())
            .connect_timeout(Duration::from_secs(5).min(connection.request_timeout))
            .timeout(connection.request_timeout)
            .pool_idle_timeout(Duration::from_secs(30));
        if let Some(url) = &connection.proxy {
            let proxy =
                Proxy::all(url).map_err(|error| failed(format!("`proxy`: {}", scrub_text(&error.to_string(), 500))))?;
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_string("localhost,127.0.0.0/8,::1")));
        }
        for pem in &connection.root_certificates {
            let certificate =
                Certificate::from_pem(pem).map_err(|error| failed(format!("`root_certificate`: {error}")))?;
            builder = builder.add_root_certificate(certificate);
        }
        let http = builder.build().map_err(|error| failed(error.to_string()))?;
        Ok(Self { http })
    }

    /// Posts `body`; the future waits for the whole answer.
    pub(crate) fn post(&self, url: &str, headers: HeaderMap, body: Body) -> impl Future<Output = Reply> + Send + use<> {
        let url = Url::parse(url);
        let http = self.http.clone();
        async move {
            let url = match url {
                Ok(url) => url,
                Err(error) => return Reply::Nothing(error.to_string()),
            };
            match http.post(url).headers(headers).body(body).send().await {
                Ok(response) => read(response).await,
                Err(error) => Reply::Nothing(scrub_text(&chain(&error.without_url()), 500)),
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

async fn read(mut response: Response) -> Reply {
    let status = response.status().as_u16();
    let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let retry_after = header(RETRY_AFTER).and_then(retry_after);
    let content_type = header(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let mut bytes = Vec::new();
    let content = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= MAX_BODY => bytes.extend_from_slice(&chunk),
            Ok(Some(_)) => break Content::TooLong,
            Ok(None) => break Content::Whole(bytes),
            Err(_) => break Content::CutOff,
        }
    };
    Reply::Answer(Answer { status, retry_after, content_type, content })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
