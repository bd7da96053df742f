//! Chunks of Google's answers, each of which looks like a whole one.

use serde_json::{Value, json};

use super::{Room, Step, adopt, index_of, object, replace};

pub(super) fn event(whole: &mut Value, chunk: &Value, room: &mut Room) -> Step {
    adopt(whole, chunk, &["modelVersion", "responseId"]);
    replace(whole, chunk, &["usageMetadata", "promptFeedback"]);
    let mut content = false;
    for candidate in chunk["candidates"].as_array().into_iter().flatten() {
        let Some(ours) = room.at_index(&mut whole["candidates"], index_of(candidate, "index"), || json!({})) else {
            continue;
        };
        replace(ours, candidate, &["finishReason"]);
        let message = object(&mut ours["content"]);
        adopt(message, &candidate["content"], &["role"]);
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            content |= add(&mut message["parts"], part, room);
        }
    }
    Step::content(content)
}

/// Adds a part; a text goes on with the one before it, where both are said or both thought.
fn add(parts: &mut Value, part: &Value, room: &mut Room) -> bool {
    let Some(text) = part["text"].as_str() else {
        room.push(parts, part.clone());
        return true;
    };
    let goes_on = |last: &Value| last["text"].is_string() && last["thought"] == part["thought"];
    if !parts.as_array().and_then(|parts| parts.last()).is_some_and(goes_on) {
        let mut new = json!({"text": ""});
        if part["thought"].is_boolean() {
            new["thought"] = part["thought"].clone();
        }
        room.push(parts, new);
    }
    if let Some(last) = parts.as_array_mut().and_then(|parts| parts.last_mut()).filter(|last| last.is_object()) {
        room.append(&mut last["text"], text);
    }
    !text.is_empty()
}
