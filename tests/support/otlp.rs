//! OTLP requests, read with the published types: they know nothing of our encoder.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value, json};

use super::server::{Request, Response, Server};

/// The request's message.
pub(crate) fn decode(request: &Request) -> ExportTraceServiceRequest {
    let mut body = Vec::new();
    if request.header("content-encoding") == Some("gzip") {
        GzDecoder::new(request.raw.as_slice()).read_to_end(&mut body).unwrap();
    } else {
        body.clone_from(&request.raw);
    }
    ExportTraceServiceRequest::decode(body.as_slice()).unwrap()
}

/// The spans of one request.
pub(crate) fn spans_of(request: &Request) -> Vec<Span> {
    let resources = decode(request).resource_spans;
    resources.into_iter().flat_map(|of| of.scope_spans).flat_map(|of| of.spans).collect()
}

/// All spans that `server` was sent.
pub(crate) fn spans(server: &Server) -> Vec<Span> {
    server.requests().iter().flat_map(spans_of).collect()
}

/// A span's attributes, each of which may be there once only.
pub(crate) fn attributes(of: &[KeyValue]) -> BTreeMap<String, Value> {
    let mut map = BTreeMap::new();
    for pair in of {
        let value = json_of(pair.value.as_ref().unwrap());
        assert_eq!(map.insert(pair.key.clone(), value), None, "{} is there twice", pair.key);
    }
    map
}

fn json_of(value: &AnyValue) -> Value {
    match value.value.as_ref().unwrap() {
        Any::StringValue(text) => json!(text),
        Any::BoolValue(value) => json!(value),
        Any::IntValue(value) => json!(value),
        Any::DoubleValue(value) => json!(value),
        Any::ArrayValue(array) => array.values.iter().map(json_of).collect(),
        other => panic!("nothing of ours is {other:?}"),
    }
}

/// What an OTLP backend answers when all is well.
pub(crate) fn accept(_: &Request) -> Response {
    answer(200, Vec::new())
}

/// An answer in protobuf.
pub(crate) fn answer(status: u16, body: Vec<u8>) -> Response {
    let mut response = Response::status(status);
    response.headers = vec![("content-type", "application/x-protobuf".to_owned())];
    response.body = body;
    response
}
