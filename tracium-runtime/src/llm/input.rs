//! What a model was asked, in whatever shape the request has.

use serde_json::{Map, Value};

use super::message::Message;
use super::parts::{parts, text};
use super::tools;

/// A request, as the conventions have it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Input {
    /// The parts of instructions that the request has beside the conversation. Those that are messages of it stay there,
    /// as the conventions ask for: backends that show both would show them twice.
    pub(crate) system: Vec<Value>,
    pub(crate) messages: Vec<Value>,
    /// The tools that were offered; empty where the request names none.
    pub(crate) tools: Vec<Value>,
}

impl Input {
    /// Reads a request: of OpenAI's chat or responses API, of Anthropic's, Google's or Bedrock's, a list of messages, a
    /// text, or any of these as the one argument of a function. Anything else is one message of the user's.
    pub(crate) fn of(value: &Value) -> Self {
        conversation(value).unwrap_or_else(|| Self::of_messages(&[Message::new("user", anything(value))]))
    }

    fn of_messages(messages: &[Message]) -> Self {
        Self { messages: messages.iter().map(Message::to_json).collect(), ..Self::default() }
    }
}

/// A text for itself, everything else as JSON.
pub(super) fn anything(value: &Value) -> Vec<Value> {
    match value {
        Value::String(_) | Value::Null => parts(value),
        other => vec![text(&other.to_string())],
    }
}

/// The conversation that `value` is, or has; `None` where there is none.
fn conversation(value: &Value) -> Option<Input> {
    match value {
        Value::String(_) => Some(Input::of_messages(&[Message::new("user", parts(value))])),
        Value::Array(items) => list(items).map(|messages| Input::of_messages(&messages)),
        Value::Object(fields) => request(fields).or_else(|| wrapped(fields)),
        _ => None,
    }
}

/// A list of messages, each of any API; `None` where one is none.
pub(super) fn list(items: &[Value]) -> Option<Vec<Message>> {
    if items.is_empty() {
        return None;
    }
    items.iter().map(Message::of).collect()
}

/// The body of a request.
fn request(fields: &Map<String, Value>) -> Option<Input> {
    let get = |name: &str| fields.get(name).filter(|value| !value.is_null());
    let message = Message::of(&Value::Object(fields.clone())).map(|message| vec![message]);
    let messages = message.or_else(|| {
        // Of the chat API and most others; of Google's; of OpenAI's responses; of completions.
        let turns = ["messages", "contents", "input", "prompt"].iter().find_map(|name| get(name))?;
        match turns {
            Value::Array(items) => list(items).or_else(|| {
                let texts = items.iter().map(|item| item.is_string().then(|| Message::new("user", parts(item))));
                texts.collect()
            }),
            Value::String(_) => Some(vec![Message::new("user", parts(turns))]),
            Value::Object(_) => Message::of(turns).map(|message| vec![message]),
            _ => None,
        }
    })?;
    let mut input = Input::of_messages(&messages);
    let config = get("config").or_else(|| get("generationConfig"));
    let system = ["system", "instructions", "system_instruction", "systemInstruction"];
    let system = system.iter().find_map(|name| get(name).or_else(|| config?.get(*name)));
    if let Some(system) = system {
        let content = system.get("parts").or_else(|| system.get("content")).unwrap_or(system);
        input.system = parts(content);
    }
    let offered = get("tools").or_else(|| get("functions")).or_else(|| config?.get("tools"));
    let offered = offered.or_else(|| get("toolConfig")?.get("tools"));
    input.tools = offered.map(tools::definitions).unwrap_or_default();
    Some(input)
}

/// The arguments of a function of which one is a conversation.
fn wrapped(fields: &Map<String, Value>) -> Option<Input> {
    let mut values = fields.values();
    if let (Some(only), None) = (values.next(), values.next()) {
        return conversation(only);
    }
    let mut found = fields.values().filter(|value| !value.is_string()).filter_map(conversation);
    match (found.next(), found.next()) {
        (Some(input), None) => Some(input),
        _ => None,
    }
}
