//! Events of Bedrock's converse stream; Amazon's own models have the same ones, each under its name.

use serde_json::{Value, json};

use super::{METRICS, Room, Step, adopt, index_of, object, replace};

const EVENTS: [&str; 6] =
    ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"];

pub(super) fn is_event(name: &str) -> bool {
    EVENTS.contains(&name)
}

/// The event under its name, of Amazon's models.
pub(super) fn inner(event: &Value) -> Option<(&'static str, &Value)> {
    EVENTS.iter().find_map(|name| event[*name].is_object().then(|| (*name, &event[*name])))
}

pub(super) fn event(whole: &mut Value, name: &str, event: &Value, room: &mut Room) -> Step {
    let (name, body) = inner(event).unwrap_or((name, event));
    // It comes with the last event, where Bedrock adds it.
    let done = event[METRICS].is_object();
    let message = |whole: &mut Value| -> Value { object(&mut object(whole)["output"])["message"].take() };
    let step = match name {
        "messageStart" => {
            adopt(&mut object(&mut whole["output"])["message"], body, &["role"]);
            Step::NOTHING
        }
        "contentBlockStart" | "contentBlockDelta" => {
            let mut ours = message(whole);
            let content = block(object(&mut ours), body, room);
            whole["output"]["message"] = ours;
            Step::content(content)
        }
        "messageStop" => {
            replace(whole, body, &["stopReason"]);
            Step::NOTHING
        }
        "metadata" => {
            replace(whole, body, &["usage"]);
            Step::DONE
        }
        _ => Step::NOTHING,
    };
    Step { done: step.done || done, ..step }
}

/// The beginning of a block, or a piece of one.
fn block(message: &mut Value, body: &Value, room: &mut Room) -> bool {
    let index = index_of(body, "contentBlockIndex");
    let Some(ours) = room.at_index(&mut message["content"], index, || json!({})) else { return true };
    let (start, delta) = (&body["start"]["toolUse"], &body["delta"]);
    if start.is_object() {
        adopt(&mut ours["toolUse"], start, &["toolUseId", "name"]);
        return true;
    }
    if let Some(input) = delta["toolUse"]["input"].as_str() {
        room.append(&mut object(&mut ours["toolUse"])["input"], input);
        return true;
    }
    if let Some(text) = delta["reasoningContent"]["text"].as_str() {
        let thought = object(&mut object(&mut ours["reasoningContent"])["reasoningText"]);
        room.append(&mut thought["text"], text);
        return true;
    }
    room.move_text(ours, delta, "text")
}
