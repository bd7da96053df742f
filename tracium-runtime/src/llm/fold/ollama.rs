//! Lines of Ollama's own API.

use serde_json::Value;

use super::{Room, Step, adopt, object, replace};

pub(super) fn event(whole: &mut Value, line: &Value, room: &mut Room) -> Step {
    adopt(whole, line, &["model"]);
    replace(whole, line, &["done", "done_reason", "prompt_eval_count", "eval_count"]);
    let mut content = room.move_text(whole, line, "response");
    let delta = &line["message"];
    if delta.is_object() {
        let ours = object(&mut whole["message"]);
        adopt(ours, delta, &["role"]);
        content |= room.move_text(ours, delta, "content");
        content |= room.move_text(ours, delta, "thinking");
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            room.push(&mut ours["tool_calls"], call.clone());
            content = true;
        }
    }
    Step { content, done: line["done"] == Value::Bool(true) }
}
