//! Events of Cohere's chat, in its second version and in its first.

use serde_json::{Value, json};

use super::{Room, Step, adopt, index_of, object, replace};

pub(super) fn event(whole: &mut Value, event: Value, room: &mut Room) -> Step {
    if event["event_type"].is_string() {
        return first_version(whole, event, room);
    }
    let (index, delta) = (index_of(&event, "index"), &event["delta"]);
    let theirs = &delta["message"];
    match event["type"].as_str().unwrap_or_default() {
        "message-start" => {
            adopt(whole, &event, &["id"]);
            adopt(&mut whole["message"], theirs, &["role"]);
            Step::NOTHING
        }
        "content-start" | "content-delta" => {
            let new = || json!({"type": "text"});
            let content = &theirs["content"];
            let Some(ours) = room.at_index(&mut object(&mut whole["message"])["content"], index, new) else {
                return Step::CONTENT;
            };
            replace(ours, content, &["type"]);
            let said = room.move_text(ours, content, "text");
            Step::content(room.move_text(ours, content, "thinking") || said)
        }
        "tool-plan-delta" => Step::content(room.move_text(object(&mut whole["message"]), theirs, "tool_plan")),
        "tool-call-start" | "tool-call-delta" => {
            let call = &theirs["tool_calls"];
            let new = || json!({"type": "function"});
            if let Some(ours) = room.at_index(&mut object(&mut whole["message"])["tool_calls"], index, new) {
                adopt(ours, call, &["id"]);
                adopt(&mut ours["function"], &call["function"], &["name"]);
                room.move_text(&mut ours["function"], &call["function"], "arguments");
            }
            Step::CONTENT
        }
        "message-end" => {
            replace(whole, delta, &["finish_reason", "usage"]);
            Step::DONE
        }
        _ => Step::NOTHING,
    }
}

fn first_version(whole: &mut Value, mut event: Value, room: &mut Room) -> Step {
    match event["event_type"].as_str().unwrap_or_default() {
        "stream-start" => {
            adopt(whole, &event, &["generation_id"]);
            Step::NOTHING
        }
        "text-generation" => Step::content(room.move_text(object(whole), &event, "text")),
        "tool-calls-generation" => {
            for call in event["tool_calls"].as_array().into_iter().flatten() {
                room.push(&mut object(whole)["tool_calls"], call.clone());
            }
            Step::CONTENT
        }
        "stream-end" => {
            let reason = event["finish_reason"].take();
            let response = event["response"].take();
            if response.is_object() {
                *whole = response;
            }
            object(whole)["finish_reason"] = reason;
            Step::DONE
        }
        _ => Step::NOTHING,
    }
}
