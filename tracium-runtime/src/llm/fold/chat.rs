//! Chunks of `OpenAI`'s chat and completions, and of all who speak them.

use serde_json::{Value, json};

use super::{Room, Step, adopt, index_of, object, replace};

pub(super) fn event(whole: &mut Value, chunk: &Value, room: &mut Room) -> Step {
    let mut content = false;
    adopt(whole, chunk, &["id", "model", "object"]);
    // The tokens come last, beside an empty list of choices; Groq has them under a name of its own.
    replace(whole, chunk, &["usage", "x_groq"]);
    for choice in chunk["choices"].as_array().into_iter().flatten() {
        let Some(ours) = room.at_index(&mut whole["choices"], index_of(choice, "index"), || json!({})) else {
            continue;
        };
        replace(ours, choice, &["finish_reason"]);
        content |= room.move_text(ours, choice, "text");
        // Who was asked for a stream and answers in one piece has a message; Perplexity has all so far beside each piece.
        let delta = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
        if delta.is_object() {
            content |= message(&mut ours["message"], delta, room);
        }
    }
    Step::content(content)
}

fn message(ours: &mut Value, delta: &Value, room: &mut Room) -> bool {
    adopt(ours, delta, &["role"]);
    let mut content = false;
    for name in ["content", "reasoning_content", "reasoning", "refusal"] {
        content |= room.move_text(ours, delta, name);
    }
    // Mistral's content may be a list of parts.
    for part in delta["content"].as_array().into_iter().flatten() {
        if let Some(text) = part["text"].as_str() {
            room.append(&mut ours["content"], text);
            content |= !text.is_empty();
        }
    }
    for (at, call) in (0..).zip(delta["tool_calls"].as_array().into_iter().flatten()) {
        let index = call["index"].as_u64().unwrap_or(at);
        let Some(ours) = room.at_index(&mut ours["tool_calls"], index, || json!({"type": "function"})) else {
            continue;
        };
        content = true;
        adopt(ours, call, &["id"]);
        function(&mut ours["function"], &call["function"], room);
    }
    if delta["function_call"].is_object() {
        content = true;
        function(&mut ours["function_call"], &delta["function_call"], room);
    }
    content
}

fn function(ours: &mut Value, call: &Value, room: &mut Room) {
    adopt(ours, call, &["name"]);
    // Some servers give the arguments at once, and as what they are.
    if call["arguments"].is_object() {
        room.append(&mut object(ours)["arguments"], &call["arguments"].to_string());
    }
    room.move_text(ours, call, "arguments");
}
