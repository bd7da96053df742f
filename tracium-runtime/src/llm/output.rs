//! What a model answered, in whatever shape the response has.

use serde_json::{Map, Value, json};

use super::families;
use super::input::{anything, list};
use super::message::Message;
use super::parts::parts;

/// A response, as the conventions have it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Output {
    /// Each with its `finish_reason`.
    pub(crate) messages: Vec<Value>,
    /// In the provider's words, where the response says so.
    pub(crate) finish_reasons: Vec<String>,
    /// The model that answered.
    pub(crate) model: Option<String>,
    pub(crate) id: Option<String>,
}

/// One of the answers that a response has.
struct Answer {
    message: Message,
    reason: Option<String>,
}

impl Output {
    /// Reads a response: of OpenAI's chat or responses API, of Anthropic's, Google's or Bedrock's, a message, a text, or
    /// any of these as what a function returned. Anything else is one message. `calls` are tools that were asked for,
    /// said apart; those that the response has are not there twice.
    pub(crate) fn of(value: Option<&Value>, calls: Option<&Value>) -> Self {
        let value = value.map(unwrap);
        let mut answers = value.map(answers).unwrap_or_default();
        if let Some(calls) = calls {
            add_calls(&mut answers, parts(calls));
        }
        let text = |names: &[&str]| {
            let fields = value?.as_object()?;
            names.iter().find_map(|name| fields.get(*name)?.as_str()).map(str::to_owned)
        };
        let is_response = value.is_some_and(Self::is_response);
        Self {
            finish_reasons: answers.iter().filter_map(|answer| answer.reason.clone()).collect(),
            messages: answers.iter().map(Answer::to_json).collect(),
            model: text(&["model", "modelVersion", "model_version"]).filter(|_| is_response),
            id: text(&["id", "responseId", "response_id"]).filter(|_| is_response),
        }
    }
}

impl Output {
    /// Whether `value` is a response of one of the known APIs.
    pub(crate) fn is_response(value: &Value) -> bool {
        response(value).is_some()
    }
}

impl Answer {
    fn to_json(&self) -> Value {
        let mut message = self.message.to_json();
        let reason = self.reason.as_deref().map(normal_reason);
        message["finish_reason"] =
            json!(reason.unwrap_or(if self.message.calls_tools() { "tool_call" } else { "stop" }));
        message
    }
}

/// What a function returned stands alone in an object.
fn unwrap(value: &Value) -> &Value {
    match value.as_object() {
        Some(fields) if fields.len() == 1 && fields.contains_key("return") => &fields["return"],
        _ => value,
    }
}

fn answers(value: &Value) -> Vec<Answer> {
    let of = |message: Message| Answer { message, reason: None };
    if let Some(answers) = response(value) {
        return answers;
    }
    if let Some(messages) = value.as_array().and_then(|items| list(items)) {
        return messages.into_iter().map(of).collect();
    }
    let parts = anything(value);
    if parts.is_empty() { Vec::new() } else { vec![of(Message::new("assistant", parts))] }
}

/// The answers of a response of one of the known APIs.
fn response(value: &Value) -> Option<Vec<Answer>> {
    let fields = value.as_object()?;
    let get = |name: &str| fields.get(name).unwrap_or(&Value::Null);
    if let Some(choices) = get("choices").as_array().or_else(|| get("candidates").as_array()) {
        return choices.iter().map(choice).collect();
    }
    let reason = ["stop_reason", "stopReason", "finish_reason", "finishReason", "done_reason"];
    let reason = reason.iter().find_map(|name| fields.get(*name)?.as_str()).map(str::to_owned);
    if let Some(items) = get("output").as_array() {
        let parts = items_of(items, get("object") == "response")?;
        let message = Message::new("assistant", parts);
        return Some(vec![Answer { reason: of_status(fields), message }]);
    }
    if let Some((text, reason)) = families::text(value) {
        let mut parts = parts(&json!({"type": "thinking", "thinking": get("thinking")}));
        parts.extend(super::parts::parts(text));
        parts.extend(super::parts::parts(get("tool_calls")));
        return Some(vec![Answer { message: Message::new("assistant", parts), reason }]);
    }
    let nested = [get("message"), &get("output")["message"]].into_iter().find(|message| message.is_object());
    let message = match nested {
        Some(message) => assistant(message)?,
        None => Message::of(value)?,
    };
    Some(vec![Answer { message, reason }])
}

/// OpenAI's choice, Google's candidate.
fn choice(choice: &Value) -> Option<Answer> {
    let fields = choice.as_object()?;
    let reason = fields.get("finish_reason").or_else(|| fields.get("finishReason"));
    let reason = reason.and_then(Value::as_str).map(str::to_owned);
    let get = |name: &&str| fields.get(*name).filter(|value| !value.is_null());
    let message = match (["message", "delta", "content"].iter().find_map(get), fields.get("text")) {
        (Some(message), _) => assistant(message)?,
        (None, Some(text)) => Message::new("assistant", parts(text)),
        // Google's, where the answer was held back.
        (None, None) => reason.as_ref().map(|_| Message::new("assistant", Vec::new()))?,
    };
    Some(Answer { message, reason })
}

/// The parts of the items that one of OpenAI's responses has. Those of a type that nobody knew when this was written stay
/// as they are, where it `is_response` or others of them are known.
fn items_of(items: &[Value], is_response: bool) -> Option<Vec<Value>> {
    let messages: Vec<_> = items.iter().map(Message::of).collect();
    let some_known = is_response || messages.iter().any(Option::is_some);
    if items.is_empty() {
        return is_response.then(Vec::new);
    }
    if !some_known || !items.iter().all(|item| item["type"].is_string() || item["role"].is_string()) {
        return None;
    }
    let of = |(message, item): (Option<Message>, &Value)| message.map_or_else(|| parts(item), |message| message.parts);
    Some(messages.into_iter().zip(items).flat_map(of).collect())
}

/// A message that may leave out whose it is, since a response is nobody's but the model's.
fn assistant(message: &Value) -> Option<Message> {
    let mut fields: Map<String, Value> = message.as_object()?.clone();
    fields.entry("role").or_insert_with(|| json!("assistant"));
    Message::of(&Value::Object(fields))
}

/// Why one of OpenAI's responses ended, which says no more than that it did where all is well.
fn of_status(fields: &Map<String, Value>) -> Option<String> {
    match fields.get("status")?.as_str()? {
        "incomplete" => {
            let reason = fields.get("incomplete_details")?.get("reason")?;
            reason.as_str().map(str::to_owned)
        }
        "failed" => Some("error".to_owned()),
        _ => None,
    }
}

/// The conventions' names of reasons; one that they do not have stays.
pub(crate) fn normal_reason(reason: &str) -> &str {
    match reason.to_ascii_lowercase().as_str() {
        "stop" | "end_turn" | "stop_sequence" | "complete" | "completed" | "eos" => "stop",
        "length" | "max_tokens" | "max_output_tokens" | "model_length" => "length",
        "content_filter"
        | "content_filtered"
        | "guardrail_intervened"
        | "refusal"
        | "safety"
        | "recitation"
        | "blocklist"
        | "prohibited_content"
        | "spii" => "content_filter",
        "tool_call" | "tool_calls" | "tool_use" | "function_call" => "tool_call",
        "error" | "failed" => "error",
        _ => reason,
    }
}

/// Puts calls to the last answer, unless the answers have them.
fn add_calls(answers: &mut Vec<Answer>, calls: Vec<Value>) {
    let same = |a: &Value, b: &Value| {
        if a["id"].is_null() || b["id"].is_null() {
            a["name"] == b["name"] && a["arguments"] == b["arguments"]
        } else {
            a["id"] == b["id"]
        }
    };
    let known = |call: &Value| answers.iter().flat_map(|answer| &answer.message.parts).any(|part| same(part, call));
    let missing: Vec<Value> = calls.into_iter().filter(|call| call["type"] == "tool_call" && !known(call)).collect();
    if missing.is_empty() {
        return;
    }
    match answers.last_mut() {
        Some(last) => last.message.parts.extend(missing),
        None => answers.push(Answer { message: Message::new("assistant", missing), reason: None }),
    }
}
