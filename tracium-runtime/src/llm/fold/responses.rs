//! Events of `OpenAI`'s responses, and of its transcripts, speech and pictures that come in pieces.

use serde_json::{Value, json};

use super::{Room, Step, adopt, index_of, object, replace};

/// Events of what is no text.
pub(super) fn is_medium(kind: &str) -> bool {
    ["transcript.text.", "speech.audio.", "image_generation.", "image_edit."]
        .iter()
        .any(|start| kind.starts_with(start))
}

pub(super) fn event(whole: &mut Value, mut event: Value, room: &mut Room) -> Step {
    let kind = event["type"].as_str().unwrap_or_default().to_owned();
    if is_medium(&kind) {
        return medium(whole, &kind, &event, room);
    }
    if let "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" = kind.as_str() {
        finish(whole, event["response"].take());
        return Step::DONE;
    }
    adopt(whole, &event["response"], &["id", "model", "object"]);
    let item = &event["item"];
    let index = index_of(&event, "output_index");
    match kind.as_str() {
        "response.output_item.added" | "response.output_item.done" if item.is_object() => {
            let done = kind.ends_with("done");
            let had = room.at_index(&mut whole["output"], index, || item.clone());
            if let Some(ours) = had.filter(|_| done) {
                // What it has as a whole is what came in pieces; where those were cut, they stay so.
                replace(ours, item, &["content", "arguments", "summary", "status", "encrypted_content"]);
            }
            Step::content(item["type"] != "reasoning" && item["type"] != "message")
        }
        "response.output_text.delta" => text(whole, &event, room, ["content", "content_index", "output_text", "text"]),
        "response.refusal.delta" => text(whole, &event, room, ["content", "content_index", "refusal", "refusal"]),
        "response.reasoning_text.delta" => {
            text(whole, &event, room, ["content", "content_index", "reasoning_text", "text"])
        }
        "response.reasoning_summary_text.delta" => {
            text(whole, &event, room, ["summary", "summary_index", "summary_text", "text"])
        }
        "response.function_call_arguments.delta" => {
            let item = room.at_index(&mut whole["output"], index, || json!({"type": "function_call"}));
            if let (Some(item), Some(delta)) = (item, event["delta"].as_str()) {
                room.append(&mut item["arguments"], delta);
            }
            Step::CONTENT
        }
        _ => Step::NOTHING,
    }
}

/// A piece of text: of the list `parts` of an item, at the place that `at` names, in a part of type `kind` under `name`.
fn text(whole: &mut Value, event: &Value, room: &mut Room, [parts, at, kind, name]: [&str; 4]) -> Step {
    let Some(delta) = event["delta"].as_str().filter(|delta| !delta.is_empty()) else { return Step::NOTHING };
    let item_type = if kind.starts_with("summary") || kind.starts_with("reasoning") { "reasoning" } else { "message" };
    let new = || json!({"type": item_type, "role": "assistant"});
    if let Some(item) = room.at_index(&mut whole["output"], index_of(event, "output_index"), new)
        && let Some(part) = room.at_index(&mut item[parts], index_of(event, at), || json!({"type": kind}))
    {
        room.append(&mut part[name], delta);
    }
    Step::CONTENT
}

/// The response as a whole: what came in pieces stays only where it has nothing.
fn finish(whole: &mut Value, response: Value) {
    if !response.is_object() {
        return;
    }
    let pieces = whole["output"].take();
    *whole = response;
    let has_output = whole["output"].as_array().is_some_and(|items| !items.is_empty());
    if !has_output && pieces.is_array() {
        whole["output"] = pieces;
    }
}

fn medium(whole: &mut Value, kind: &str, event: &Value, room: &mut Room) -> Step {
    replace(whole, event, &["usage"]);
    if let Some((_, "done" | "completed")) = kind.rsplit_once('.') {
        if let Some(text) = event["text"].as_str() {
            object(whole)["text"] = Value::Null;
            room.append(&mut whole["text"], text);
        }
        return Step::DONE;
    }
    if kind == "transcript.text.delta"
        && let Some(delta) = event["delta"].as_str()
    {
        room.append(&mut object(whole)["text"], delta);
    }
    Step::CONTENT
}
