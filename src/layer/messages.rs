//! Messages, in the forms that libraries record them in: one field that is a list, fields of a message each
//! (`gen_ai.prompt.0.role`), or one text.

use serde_json::{Map, Value, json};

use super::fields::{Fields, MOST_BYTES};
use super::values::{restored, restored_parts};

/// The most messages of one span that came as events.
const MOST: usize = 10_000;
/// What a value is taken for beside its text.
const PLACE: usize = 32;

/// Messages that were events each, as far as there was room for them.
#[derive(Debug, Default)]
pub(super) struct Messages {
    asked: Vec<Value>,
    answered: Vec<Value>,
    bytes: usize,
    /// Those for which there was none, of either side.
    left_out: [usize; 2],
}

impl Messages {
    /// Keeps `message`, where there is room and `hold` has it for so many bytes.
    pub(super) fn put(&mut self, message: Value, is_answer: bool, hold: impl FnOnce(usize) -> bool) {
        let bytes = size(&message);
        let fits = self.asked.len() + self.answered.len() < MOST && self.bytes + bytes <= MOST_BYTES;
        if !fits || !hold(bytes) {
            self.left_out[usize::from(is_answer)] += 1;
            return;
        }
        self.bytes += bytes;
        if is_answer { &mut self.answered } else { &mut self.asked }.push(message);
    }

    /// Those that went in and those that came out, each with a note of what was left out.
    pub(super) fn into_lists(self) -> (Vec<Value>, Vec<Value>) {
        let with_note = |mut messages: Vec<Value>, left_out: usize, role: &str| {
            if left_out > 0 {
                let note = format!("[dropped: {left_out} messages, buffers full]");
                messages.push(json!({"role": role, "content": note}));
            }
            messages
        };
        let [asked, answered] = self.left_out;
        (with_note(self.asked, asked, "user"), with_note(self.answered, answered, "assistant"))
    }
}

fn size(value: &Value) -> usize {
    PLACE
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(size).sum(),
            Value::Object(members) => members.iter().map(|(key, value)| key.len() + size(value)).sum(),
            _ => 0,
        }
}

/// What went in.
pub(super) fn input(fields: &Fields, said: &[Value]) -> Option<Value> {
    let messages = first(fields, &["gen_ai.input.messages", "gen_ai.prompt", "langfuse.input"])
        .or_else(|| indexed(fields, "gen_ai.prompt."))
        .or_else(|| (!said.is_empty()).then(|| Value::Array(said.to_vec())));
    let system = first(fields, &["gen_ai.system_instructions"]);
    match (system, messages) {
        (None, messages) => messages,
        (Some(system), None) => Some(json!({"system": system})),
        (Some(system), Some(messages)) => Some(json!({"system": system, "messages": as_messages(messages)})),
    }
}

/// What came out.
pub(super) fn output(fields: &Fields, said: &[Value]) -> Option<Value> {
    first(fields, &["gen_ai.output.messages", "gen_ai.completion", "langfuse.output"])
        .or_else(|| indexed(fields, "gen_ai.completion."))
        .or_else(|| (!said.is_empty()).then(|| Value::Array(said.to_vec())))
}

pub(super) fn first(fields: &Fields, names: &[&str]) -> Option<Value> {
    let value = names.iter().find_map(|name| fields.get(name).filter(|value| !is_empty(value)))?;
    Some(value.as_str().map_or_else(|| value.clone(), restored))
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

fn as_messages(messages: Value) -> Value {
    match messages {
        Value::String(text) => json!([{"role": "user", "content": text}]),
        other => other,
    }
}

/// A list whose members are fields: `0.role`, `0.tool_calls.1.name`.
fn indexed(fields: &Fields, prefix: &'static str) -> Option<Value> {
    let mut root = Value::Null;
    for (path, value) in fields.under(prefix) {
        let restore = if path.ends_with(".content") { restored_parts } else { restored };
        put(&mut root, path, value.as_str().map_or_else(|| value.clone(), restore));
    }
    root.is_array().then_some(root)
}

/// Puts `value` where `path` says; a path that contradicts another one is left out.
fn put(node: &mut Value, path: &str, value: Value) {
    /// No conversation has as many messages, and a number that is no place in one must not become memory.
    const MOST: usize = 10_000;
    let (step, rest) = path.split_once('.').map_or((path, None), |(step, rest)| (step, Some(rest)));
    let child = if let Ok(at) = step.parse::<usize>() {
        if node.is_null() {
            *node = Value::Array(Vec::new());
        }
        let Value::Array(items) = node else { return };
        if at >= MOST {
            return;
        }
        if at >= items.len() {
            items.resize(at + 1, Value::Null);
        }
        &mut items[at]
    } else {
        if node.is_null() {
            *node = Value::Object(Map::new());
        }
        let Value::Object(members) = node else { return };
        members.entry(step).or_insert(Value::Null)
    };
    match rest {
        Some(rest) => put(child, rest, value),
        None => *child = value,
    }
}

/// The message that an event of the conventions' first versions is (`gen_ai.user.message`, `gen_ai.choice`), and whether
/// it came from the model that was called.
pub(super) fn of_event(name: &str, fields: &Fields) -> Option<(Value, bool)> {
    let role = match name {
        "gen_ai.choice" => "assistant",
        _ => name.strip_prefix("gen_ai.")?.strip_suffix(".message")?,
    };
    let get = |name: &str| fields.get(name).map(|value| value.as_str().map_or_else(|| value.clone(), restored));
    // The message stands for itself, or is one field of the event.
    let mut message = match get("gen_ai.event.content").or_else(|| get("message")) {
        Some(Value::Object(nested)) if nested.contains_key("message") => {
            let mut message = nested["message"].as_object().cloned().unwrap_or_default();
            if let Some(reason) = nested.get("finish_reason") {
                message.insert("finish_reason".to_owned(), reason.clone());
            }
            message
        }
        Some(Value::Object(message)) => message,
        Some(text @ Value::String(_)) => Map::from_iter([("content".to_owned(), text)]),
        _ => Map::new(),
    };
    for (field, value) in fields.iter() {
        let member = field.strip_prefix("gen_ai.").unwrap_or(field);
        let member = if member == "id" { "tool_call_id" } else { member };
        if matches!(member, "content" | "role" | "tool_calls" | "tool_call_id" | "name" | "finish_reason") {
            let restore = if member == "tool_calls" { restored } else { restored_parts };
            message.insert(member.to_owned(), value.as_str().map_or_else(|| value.clone(), restore));
        }
    }
    message.entry("role").or_insert_with(|| json!(role));
    Some((Value::Object(message), name == "gen_ai.choice"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(all: &[(&'static str, Value)]) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in all {
            fields.put(name, value.clone());
        }
        fields
    }

    #[test]
    fn messages_for_which_there_is_no_room_are_a_note_of_how_many_they_are() {
        let mut held = 0;
        let mut messages = Messages::default();
        for at in 0..100 {
            let message = json!({"role": "user", "content": "x".repeat(MOST_BYTES / 10)});
            messages.put(message, at % 2 == 1, |bytes| {
                held += bytes;
                true
            });
        }
        assert!((MOST_BYTES / 2..=MOST_BYTES).contains(&held));
        messages.put(json!({"role": "user"}), false, |_| false);
        let (asked, answered) = messages.into_lists();
        assert_eq!((asked.len(), answered.len()), (6, 5));
        assert_eq!(asked[5], json!({"role": "user", "content": "[dropped: 46 messages, buffers full]"}));
        assert_eq!(answered[4]["content"], "[dropped: 46 messages, buffers full]");
    }

    #[test]
    fn fields_of_a_message_each_become_a_list_of_messages() {
        let fields = fields(&[
            ("gen_ai.prompt.0.role", json!("system")),
            ("gen_ai.prompt.0.content", json!("be brief")),
            ("gen_ai.prompt.1.role", json!("user")),
            ("gen_ai.prompt.1.content", json!(r#"[{"type": "text", "text": "hi"}]"#)),
            ("gen_ai.prompt.10.role", json!("assistant")),
            ("gen_ai.prompt.10.tool_calls.0.name", json!("search")),
            ("gen_ai.prompt.10.tool_calls.0.arguments", json!(r#"{"q": 1}"#)),
            ("gen_ai.prompt.99999999999.role", json!("nobody")),
            ("gen_ai.prompts.0.role", json!("not one of them")),
        ]);
        let input = input(&fields, &[]).unwrap();
        assert_eq!(input[0], json!({"role": "system", "content": "be brief"}));
        assert_eq!(input[1], json!({"role": "user", "content": [{"type": "text", "text": "hi"}]}));
        assert_eq!(input[10]["tool_calls"], json!([{"name": "search", "arguments": {"q": 1}}]));
        assert_eq!(input.as_array().unwrap().len(), 11);
    }

    #[test]
    fn instructions_stand_beside_the_messages() {
        let system = ("gen_ai.system_instructions", json!(r#"[{"type":"text","content":"be brief"}]"#));
        let text = fields(&[system.clone(), ("gen_ai.prompt", json!("tea?"))]);
        assert_eq!(
            input(&text, &[]).unwrap(),
            json!({"system": [{"type": "text", "content": "be brief"}], "messages": [{"role": "user", "content": "tea?"}]})
        );
        assert_eq!(input(&fields(&[system]), &[]).unwrap()["system"][0]["content"], "be brief");
        assert_eq!(input(&fields(&[("gen_ai.prompt", json!("")), ("gen_ai.completion", json!("x"))]), &[]), None);
    }

    #[test]
    fn events_of_the_first_conventions_are_messages() {
        let said = |name, all: &[(&'static str, Value)]| of_event(name, &fields(all)).unwrap();
        assert_eq!(
            said("gen_ai.user.message", &[("content", json!("tea?"))]),
            (json!({"role": "user", "content": "tea?"}), false)
        );
        let choice = json!({"index": 0, "finish_reason": "stop", "message": {"content": "Earl Grey"}}).to_string();
        assert_eq!(
            said("gen_ai.choice", &[("gen_ai.event.content", json!(choice))]),
            (json!({"role": "assistant", "content": "Earl Grey", "finish_reason": "stop"}), true)
        );
        assert_eq!(
            said("gen_ai.tool.message", &[("id", json!("call_1")), ("content", json!("[1]"))]).0,
            json!({"role": "tool", "tool_call_id": "call_1", "content": "[1]"})
        );
        assert!(of_event("gen_ai.evaluation.result", &fields(&[])).is_none());
    }
}
