//! Chunks of `OpenAI`'s chat and completions, and of all who speak them.

use serde_json::{Value, json};

use super::{Room, Step, adopt, at_index, replace};

pub(super) fn event(whole: &mut Value, chunk: Value, room: &mut Room) -> Step {
    let mut step = Step::default();
    adopt(whole, &chunk, &["id", "model", "object"]);
    // The tokens come last, beside an empty list of choices; Groq has them under a name of its own.
    replace(whole, &chunk, &["usage", "error", "x_groq"]);
    for choice in chunk["choices"].as_array().into_iter().flatten() {
        let index = if choice["index"].is_null() { json!(0) } else { choice["index"].clone() };
        let Some(ours) = at_index(&mut whole["choices"], &index) else { continue };
        replace(ours, choice, &["finish_reason"]);
        step.content |= room.move_text(ours, choice, "text");
        // Who was asked for a stream and answers in one piece has a message.
        let delta = if choice["message"].is_object() { &choice["message"] } else { &choice["delta"] };
        if delta.is_object() {
            step.content |= message(&mut ours["message"], delta, room);
        }
    }
    step
}

fn message(ours: &mut Value, delta: &Value, room: &mut Room) -> bool {
    adopt(ours, delta, &["role"]);
    let mut content = false;
    for name in ["content", "reasoning_content", "reasoning", "refusal"] {
        content |= room.move_text(ours, delta, name);
    }
    // Mistral's content may be a list of parts.
    for part in delta["content"].as_array().into_iter().flatten() {
        content |= part["text"].as_str().is_some_and(|text| {
            room.append(&mut ours["content"], text);
            !text.is_empty()
        });
    }
    for (at, call) in delta["tool_calls"].as_array().into_iter().flatten().enumerate() {
        let index = if call["index"].is_null() { json!(at) } else { call["index"].clone() };
        let Some(ours) = at_index(&mut ours["tool_calls"], &index) else { continue };
        content = true;
        adopt(ours, call, &["id", "type"]);
        adopt(&mut ours["function"], &call["function"], &["name"]);
        room.move_text(&mut ours["function"], &call["function"], "arguments");
    }
    let call = &delta["function_call"];
    if call.is_object() {
        content = true;
        adopt(&mut ours["function_call"], call, &["name"]);
        room.move_text(&mut ours["function_call"], call, "arguments");
    }
    content
}
