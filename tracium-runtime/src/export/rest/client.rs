//! One HTTP client: our headers, our limits, no redirects.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, NoProxy, Proxy, Response, Url};

use super::answer::Call;
use crate::config::{Endpoint, InitError};
use crate::content::scrub_text;
use crate::tenant::TenantId;

/// More than any answer of the API has.
const MAX_BODY: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Request {
    pub(super) call: Call,
    /// Behind the base URL.
    pub(super) path: String,
    pub(super) tenant: Option<TenantId>,
    pub(super) body: Vec<u8>,
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
            Self::Nothing(why) => format!("{call:?}: {}", scrub_text(why, 500)),
        }
    }
}

#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, InitError> {
        let failed = |reason: String| InitError::Client { reason };
        let mut key = HeaderValue::from_str(&endpoint.api_key).map_err(|_| InitError::IllegalKey)?;
        key.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("x-api-key"), key);
        headers.insert(
            HeaderName::from_static("x-tracium-sdk-version"),
            HeaderValue::from_static(env!("CARGO_PKG_VERSION")),
        );
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut builder = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(concat!("tracium-rust/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            // Nothing of ours may be followed, compressed or retried behind our back.
            .retry(reqwest::retry::never())
            .connect_timeout(Duration::from_secs(5).min(endpoint.request_timeout))
            .timeout(endpoint.request_timeout)
            .pool_idle_timeout(Duration::from_secs(30));
        if let Some(url) = &endpoint.proxy {
            let proxy =
                Proxy::all(url).map_err(|error| failed(format!("`proxy`: {}", scrub_text(&error.to_string(), 500))))?;
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_string("localhost,127.0.0.0/8,::1")));
        }
        for pem in &endpoint.root_certificates {
            let certificate =
                Certificate::from_pem(pem).map_err(|error| failed(format!("`root_certificate`: {error}")))?;
            builder = builder.add_root_certificate(certificate);
        }
        let http = builder.build().map_err(|error| failed(error.to_string()))?;
        Ok(Self { http, base: endpoint.base_url.clone() })
    }

    /// Sends `request`; the future waits for the whole answer.
    pub(super) fn send(&self, request: Request) -> impl Future<Output = Reply> + Send + use<> {
        let url = Url::parse(&format!("{}{}", self.base, request.path));
        let http = self.http.clone();
        async move {
            let url = match url {
                Ok(url) => url,
                Err(error) => return Reply::Nothing(error.to_string()),
            };
            let mut post = http.post(url).body(request.body);
            if let Some(tenant) = &request.tenant
                && let Ok(value) = HeaderValue::from_str(&tenant.to_header_value())
            {
                post = post.header("x-tenant-id", value);
            }
            match post.send().await {
                Ok(response) => read(response).await,
                Err(error) => Reply::Nothing(chain(&error.without_url())),
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

async fn read(mut response: Response) -> Reply {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
    let json = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("json"));
    let mut bytes = Vec::new();
    let body = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= MAX_BODY => bytes.extend_from_slice(&chunk),
            Ok(Some(_)) => break Body::Other,
            Ok(None) => break classify(&bytes, json),
            Err(_) => break Body::CutOff,
        }
    };
    Reply::Answer { status, retry_after, body }
}

fn classify(bytes: &[u8], json: bool) -> Body {
    if bytes.trim_ascii().is_empty() {
        return Body::Empty;
    }
    match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(value) if json => Body::Json(value.get("id").and_then(|id| id.as_str()).map(str::to_owned)),
        _ => Body::Other,
    }
}

/// `Retry-After`: seconds, or a date as RFC 9110 writes it.
fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = super::text::parse_http_date(value)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(at.saturating_sub(now)))
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
