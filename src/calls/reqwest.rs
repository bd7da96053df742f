//! Requests and responses of `reqwest`.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use reqwest::{Body, Request, Response, ResponseBuilderExt};

use super::{Observed, with_usage};
use crate::llm::Exchange;

/// The call of a model that `request` is, if it is one. A body that is not in memory is not looked at.
pub(crate) fn begin(request: &Request) -> Option<Exchange> {
    let url = request.url();
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let content_type = text(request.headers(), CONTENT_TYPE.as_str());
    let body = request.body().and_then(Body::as_bytes);
    super::begin(request.method().as_str(), &host, url.path(), content_type, body)
}

/// The response as it is, whose body is watched.
pub(crate) fn observed(response: Response, mut exchange: Exchange) -> Response {
    let headers = response.headers();
    let content_type = text(headers, CONTENT_TYPE.as_str());
    exchange.answered(response.status().as_u16(), content_type, |name| text(headers, name).map(str::to_owned));
    // All else travels in the parts.
    let url = http::Response::builder().url(response.url().clone()).body(());
    let (mut parts, body) = http::Response::<Body>::from(response).into_parts();
    if let Ok(url) = url {
        parts.extensions.extend(url.into_parts().0.extensions);
    }
    let body = Body::wrap(Observed::new(body, exchange, |error| error));
    http::Response::from_parts(parts, body).into()
}

/// Asks for the usage of a stream, where `request` is one that can be asked.
pub(crate) fn ask_for_usage(request: &mut Request) {
    let body = request.body().and_then(Body::as_bytes);
    let Some(body) = body.and_then(|body| with_usage(request.url().path(), body)) else { return };
    if request.headers().contains_key(CONTENT_LENGTH) {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    *request.body_mut() = Some(body.into());
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
