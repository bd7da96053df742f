//! What a model's call has that the protocol has no field for, as metadata.

use crate::content::{self, Json, Limits};
use crate::trace::details::CallFacts;

/// Tells `put` of each entry; `model` is the one that the span says.
pub(super) fn metadata(call: &CallFacts, model: Option<&str>, mut put: impl FnMut(&str, Json)) {
    let text = |text: &str| content::to_json(text, &Limits::CAPTURE);
    if let Some(provider) = call.provider {
        put("provider", text(provider));
    }
    if let Some(asked) = call.asked.as_deref().filter(|asked| Some(*asked) != model) {
        put("requested_model", text(asked));
    }
    if !call.finish_reasons.is_empty() {
        put("finish_reasons", content::to_json(&call.finish_reasons, &Limits::CAPTURE));
    }
    for (key, id) in [("response_id", &call.response_id), ("request_id", &call.request_id)] {
        if let Some(id) = id {
            put(key, text(id));
        }
    }
    if let Some(first) = call.first_token {
        put("time_to_first_token_ms", content::to_json(&(first.as_secs_f64() * 1e3), &Limits::CAPTURE));
    }
    if let Some(status) = call.status {
        put("http_status", content::to_json(&status, &Limits::CAPTURE));
    }
    if call.stopped {
        put("stream_stopped", content::to_json(&true, &Limits::CAPTURE));
    }
}
