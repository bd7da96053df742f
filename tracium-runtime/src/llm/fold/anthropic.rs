//! Events of Anthropic's messages.

use serde_json::{Value, json};

use super::{Room, Step, adopt, index_of, replace};

/// What is read of the counts: others that a stream brings, however many, are not kept.
const COUNTS: [&str; 5] = [
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens_details",
];

pub(super) fn event(whole: &mut Value, event: &Value, room: &mut Room) -> Step {
    match event["type"].as_str().unwrap_or_default() {
        "message_start" => {
            adopt(whole, &event["message"], &["id", "type", "role", "model", "usage"]);
            Step::NOTHING
        }
        "content_block_start" => {
            let block = &event["content_block"];
            let kind = block["type"].as_str().unwrap_or_default();
            room.at_index(&mut whole["content"], index_of(event, "index"), || block.clone());
            Step::content(!matches!(kind, "text" | "thinking"))
        }
        "content_block_delta" => delta(whole, event, room),
        "message_delta" => {
            replace(whole, &event["delta"], &["stop_reason"]);
            // The counts are those of the whole so far; those that it leaves out stand as they stood.
            if event["usage"].is_object() {
                replace(&mut whole["usage"], &event["usage"], &COUNTS);
            }
            Step::NOTHING
        }
        "message_stop" => Step::DONE,
        _ => Step::NOTHING,
    }
}

fn delta(whole: &mut Value, event: &Value, room: &mut Room) -> Step {
    let delta = &event["delta"];
    let (kind, name) = match delta["type"].as_str() {
        Some("text_delta") => ("text", "text"),
        Some("thinking_delta") => ("thinking", "thinking"),
        Some("input_json_delta") => ("tool_use", "partial_json"),
        _ => return Step::NOTHING,
    };
    let Some(text) = delta[name].as_str().filter(|text| !text.is_empty()) else { return Step::NOTHING };
    let new = || json!({"type": kind});
    if let Some(block) = room.at_index(&mut whole["content"], index_of(event, "index"), new) {
        // Arguments are JSON in a text until they are read.
        room.append(&mut block[if name == "partial_json" { "input" } else { name }], text);
    }
    Step::CONTENT
}
