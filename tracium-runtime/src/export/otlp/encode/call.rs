//! What only calls of models have, and is no content.

use super::super::names::{gen_ai, general, ours};
use super::super::wire::{put_bool, put_double, put_int, put_text, put_texts};
use super::ATTRIBUTE;
use crate::trace::details::CallFacts;

pub(super) fn put(out: &mut Vec<u8>, call: &CallFacts) {
    if !call.finish_reasons.is_empty() {
        put_texts(out, ATTRIBUTE, gen_ai::FINISH_REASONS, &call.finish_reasons);
    }
    for (name, text) in [
        (gen_ai::RESPONSE_ID, &call.response_id),
        (gen_ai::RESPONSE_MODEL, &call.answered),
        (ours::REQUEST_ID, &call.request_id),
    ] {
        if let Some(text) = text {
            put_text(out, ATTRIBUTE, name, text);
        }
    }
    if call.stream {
        put_bool(out, ATTRIBUTE, gen_ai::REQUEST_STREAM, true);
    }
    if let Some(first) = call.first_token {
        put_double(out, ATTRIBUTE, gen_ai::TIME_TO_FIRST_CHUNK, first.as_secs_f64());
    }
    if let Some(status) = call.status {
        put_int(out, ATTRIBUTE, general::HTTP_STATUS, i64::from(status));
    }
    if call.stopped {
        put_bool(out, ATTRIBUTE, ours::STOPPED, true);
    }
}
