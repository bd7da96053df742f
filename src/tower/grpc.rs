//! gRPC: HTTP's status is 200 whatever becomes of a call, whose own stands in the headers or in the trailers.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::request::Request;

const STATUS: &str = "grpc-status";
const UNKNOWN: u16 = 2;

/// Whether headers, a request's or a response's, are of a gRPC call. gRPC-Web is not: its trailers are in its body.
pub(super) fn is_call(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"));
    kind.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Notes the status that `fields` (headers or trailers) give: whether there is one.
pub(super) fn answered(request: &Request, fields: &HeaderMap) -> bool {
    let Some(status) = fields.get(STATUS) else { return false };
    // What is no number is what clients make of it.
    let status = status.to_str().ok().and_then(|status| status.parse().ok()).unwrap_or(UNKNOWN);
    request.noted("rpc.grpc.status_code", status);
    if let Some(name) = failure(status) {
        request.fail(format_args!("answered with gRPC status {name}"));
    }
    true
}

/// The name of a status that is the server's failure, by OpenTelemetry's rule; of others the caller is the cause.
fn failure(status: u16) -> Option<&'static str> {
    Some(match status {
        UNKNOWN => "UNKNOWN",
        4 => "DEADLINE_EXCEEDED",
        12 => "UNIMPLEMENTED",
        13 => "INTERNAL",
        14 => "UNAVAILABLE",
        15 => "DATA_LOSS",
        _ => return None,
    })
}

/// Makes a rejection's response, which has its status and no body, one that gRPC clients read: nothing but trailers.
pub(super) fn reject<B>(response: &mut Response<B>) {
    let status = HeaderValue::from(status_of(response.status()));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response.headers_mut().insert(STATUS, status);
}

/// gRPC's status for HTTP's, as Google's API errors have it. Clients that are left to guess take 400 for INTERNAL and 404
/// for UNIMPLEMENTED.
fn status_of(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 | 422 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        409 => 10,
        429 => 8,
        500 => 13,
        501 => 12,
        502 | 503 => 14,
        504 => 4,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_itself_is_a_call() {
        let is = |kind: &'static str| is_call(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]));
        assert!(is("application/grpc") && is("application/grpc+proto") && is("application/grpc;charset=utf-8"));
        assert!(!is("application/grpc-web") && !is("application/grpc-web+proto") && !is("application/json"));
        assert!(!is_call(&HeaderMap::new()));
    }

    #[test]
    fn the_servers_failures_are_six() {
        let failed: Vec<_> = (0..=17).filter(|status| failure(*status).is_some()).collect();
        assert_eq!(failed, [2, 4, 12, 13, 14, 15]);
    }
}
