//! What an answer means for the spans of a request, as the OTLP specification has it
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>).

use std::time::Duration;

use serde_json::Value;

use super::super::http::{Answer, Content, Reply};
use super::wire::{Read, read_fields};
use crate::collect::ledger::DropReason;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Taken, but for so many spans, which are never sent again; and why not.
    Delivered { rejected: u64, why: String },
    /// The same again, later; a `strike` is a failure that is not borne without end.
    Again { after: Option<Duration>, backend_down: bool, strike: bool },
    /// The same in smaller pieces.
    Split,
    /// Never again.
    Drop(DropReason),
}

/// How often a key that is refused is tried again: the backend's own check of it may be down.
const STRIKES: u32 = 4;

/// Judges the answer to a request that had `strikes` before.
pub(super) fn judge(reply: &Reply, strikes: u32) -> Verdict {
    let Reply::Answer(answer) = reply else {
        // Nothing came back: the same ids make a resend harmless.
        return Verdict::Again { after: None, backend_down: true, strike: false };
    };
    let after = answer.retry_after;
    match answer.status {
        200..=299 => match (&answer.content, taken(answer)) {
            (Content::CutOff, _) => Verdict::Again { after, backend_down: false, strike: false },
            (_, Some((rejected, why))) => Verdict::Delivered { rejected, why },
            (_, None) => Verdict::Drop(DropReason::BadResponse),
        },
        300..=399 => Verdict::Drop(DropReason::BadResponse),
        401 if strikes < STRIKES => Verdict::Again { after, backend_down: true, strike: true },
        401 => Verdict::Drop(DropReason::Unauthorized),
        413 => Verdict::Split,
        429 | 502 | 503 | 504 => Verdict::Again { after, backend_down: true, strike: false },
        500..=599 => Verdict::Drop(DropReason::ServerError),
        _ => Verdict::Drop(DropReason::Rejected),
    }
}

/// How many spans the answer says were rejected, and why; `None` where it is none of OTLP's.
fn taken(answer: &Answer) -> Option<(u64, String)> {
    let Content::Whole(bytes) = &answer.content else { return None };
    if bytes.is_empty() {
        return Some((0, String::new()));
    }
    if answer.content_type.contains("protobuf") {
        return of_protobuf(bytes);
    }
    // Some backends answer in JSON whatever they were sent.
    answer.content_type.contains("json").then(|| of_json(bytes)).flatten()
}

/// `ExportTraceServiceResponse`: field 1 is the partial success, of it field 1 the count and field 2 the text.
fn of_protobuf(bytes: &[u8]) -> Option<(u64, String)> {
    let (mut rejected, mut why) = (0, String::new());
    for (field, value) in read_fields(bytes)? {
        let (1, Read::Bytes(partial)) = (field, value) else { continue };
        for (field, value) in read_fields(partial)? {
            match (field, value) {
                (1, Read::Varint(count)) => rejected = count,
                (2, Read::Bytes(text)) => why = String::from_utf8_lossy(text).into_owned(),
                _ => {}
            }
        }
    }
    // A negative count, as protobuf writes it, is nonsense.
    Some((if i64::try_from(rejected).is_ok() { rejected } else { 0 }, why))
}

fn of_json(bytes: &[u8]) -> Option<(u64, String)> {
    let answer: Value = serde_json::from_slice(bytes).ok()?;
    let partial = &answer.as_object()?.get("partialSuccess").unwrap_or(&Value::Null);
    // 64-bit numbers are texts in protobuf's JSON.
    let rejected = match &partial["rejectedSpans"] {
        Value::String(text) => text.parse().unwrap_or(0),
        number => number.as_u64().unwrap_or(0),
    };
    Some((rejected, partial["errorMessage"].as_str().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
    use prost::Message;

    use super::*;

    fn answer(status: u16, content_type: &str, body: &[u8]) -> Reply {
        Reply::Answer(Answer {
            status,
            retry_after: None,
            content_type: content_type.to_owned(),
            content: Content::Whole(body.to_vec()),
        })
    }

    fn delivered(rejected: u64, why: &str) -> Verdict {
        Verdict::Delivered { rejected, why: why.to_owned() }
    }

    #[test]
    fn a_partial_success_is_read_in_protobuf_and_in_json() {
        let partial = ExportTracePartialSuccess { rejected_spans: 300, error_message: "too old".to_owned() };
        let body = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        assert_eq!(judge(&answer(200, "application/x-protobuf", &body), 0), delivered(300, "too old"));
        let body = br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"no"}}"#;
        assert_eq!(judge(&answer(200, "application/json", body), 0), delivered(2, "no"));
        assert_eq!(judge(&answer(200, "application/json", b"{}"), 0), delivered(0, ""));
        assert_eq!(judge(&answer(200, "", b""), 0), delivered(0, ""));
    }

    #[test]
    fn nothing_but_an_answer_of_otlp_counts_as_delivered() {
        let bad = Verdict::Drop(DropReason::BadResponse);
        assert_eq!(judge(&answer(200, "text/html", b"<html>please log in</html>"), 0), bad);
        assert_eq!(judge(&answer(200, "application/x-protobuf", b"<html>"), 0), bad);
        assert_eq!(judge(&answer(200, "application/json", b"\"ok\""), 0), bad);
        assert_eq!(judge(&answer(307, "", b""), 0), bad);
    }

    #[test]
    fn what_is_tried_again_and_what_is_not_is_as_the_mapping_says() {
        for status in [429, 502, 503, 504] {
            assert!(matches!(judge(&answer(status, "", b""), 99), Verdict::Again { strike: false, .. }), "{status}");
        }
        for status in [400, 403, 404, 405, 408, 422] {
            assert_eq!(judge(&answer(status, "", b""), 0), Verdict::Drop(DropReason::Rejected), "{status}");
        }
        for status in [500, 501, 505] {
            assert_eq!(judge(&answer(status, "", b""), 0), Verdict::Drop(DropReason::ServerError), "{status}");
        }
        assert!(matches!(judge(&answer(401, "", b""), 3), Verdict::Again { strike: true, .. }));
        assert_eq!(judge(&answer(401, "", b""), 4), Verdict::Drop(DropReason::Unauthorized));
        assert_eq!(judge(&answer(413, "", b""), 0), Verdict::Split);
        assert!(matches!(judge(&Reply::Nothing(String::new()), 99), Verdict::Again { backend_down: true, .. }));
    }
}
