//! A message of a conversation, whoever's API it is of.

use serde_json::{Map, Value, json};

use super::parts::{parts, tool_call, tool_call_response};

/// A message as the conventions have it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) role: String,
    pub(super) name: Option<String>,
    pub(super) parts: Vec<Value>,
}

impl Message {
    pub(super) fn new(role: &str, parts: Vec<Value>) -> Self {
        Self { role: role.to_owned(), name: None, parts }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut message = json!({"role": self.role, "parts": self.parts});
        if let Some(name) = &self.name {
            message["name"] = json!(name);
        }
        message
    }

    pub(super) fn calls_tools(&self) -> bool {
        self.parts.iter().any(|part| part["type"] == "tool_call")
    }

    /// The message that `value` is, where it is one of any API.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let fields = value.as_object()?;
        let get = |name: &str| fields.get(name).unwrap_or(&Value::Null);
        // Frameworks name the role by the type of the message.
        let role = get("role").as_str().or_else(|| {
            let kind = get("type").as_str()?;
            matches!(kind, "human" | "ai" | "system" | "tool").then_some(kind)
        });
        match role {
            Some(role) => Some(of_role(&normal_role(role), fields)),
            None if get("parts").is_array() => Some(Self::new("user", parts(get("parts")))),
            None => of_item(get("type").as_str()?, value),
        }
    }
}

fn of_role(role: &str, fields: &Map<String, Value>) -> Message {
    let get = |name: &str| fields.get(name).unwrap_or(&Value::Null);
    let content = if get("parts").is_array() { get("parts") } else { get("content") };
    let id = get("tool_call_id");
    let mut all = if role == "tool" && (!id.is_null() || content.is_string()) {
        let id = if id.is_null() { get("name") } else { id };
        vec![tool_call_response(id, content)]
    } else {
        let thoughts = ["reasoning_content", "reasoning", "thinking", "tool_plan"];
        let thought = thoughts.iter().map(|name| get(name)).find(|thought| thought.is_string());
        let mut all = parts(&json!({"type": "thinking", "thinking": thought.unwrap_or(&Value::Null)}));
        all.extend(parts(content));
        all
    };
    all.extend(parts(get("refusal")));
    all.extend(parts(get("tool_calls")));
    let call = get("function_call");
    if call.is_object() {
        all.push(tool_call(&Value::Null, &call["name"], &call["arguments"]));
    }
    let name = get("name").as_str().filter(|_| role != "tool").map(str::to_owned);
    Message { role: role.to_owned(), name, parts: all }
}

/// An item of OpenAI's responses that is no message.
fn of_item(kind: &str, value: &Value) -> Option<Message> {
    let role = match kind {
        "reasoning" | "function_call" | "output_text" => "assistant",
        "function_call_output" => "tool",
        "input_text" | "input_image" | "input_file" | "input_audio" => "user",
        // Calls of tools that the API runs itself.
        _ if kind.ends_with("_call") => "assistant",
        _ => return None,
    };
    Some(Message::new(role, parts(value)))
}

/// The conventions' names of roles; one that they do not have stays.
pub(super) fn normal_role(role: &str) -> String {
    match role.to_ascii_lowercase().as_str() {
        "model" | "ai" | "bot" | "chatbot" => "assistant".to_owned(),
        "human" => "user".to_owned(),
        "developer" => "system".to_owned(),
        "function" => "tool".to_owned(),
        other => other.to_owned(),
    }
}
