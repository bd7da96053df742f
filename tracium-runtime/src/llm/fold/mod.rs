//! A stream's events, folded into the answer that would have come whole: so there is one way to read answers.
//!
//! An event tells by its shape whose it is, whatever host it came from: gateways speak for others.

mod anthropic;
mod chat;
mod cohere;
mod converse;
mod gemini;
mod ollama;
mod pieces;
mod responses;

use serde_json::{Map, Value, json};

use super::framing::{base64, json};
use crate::content;

/// Bytes kept of one text, as many as of a captured string; and of all texts of an answer.
const LONGEST_TEXT: usize = 100_000;
const ROOM: usize = 448 << 10;
/// Answers, blocks, calls of tools: more than any model gives at once.
const MOST: usize = 256;
/// What an element is taken for beside its texts.
const PLACE: usize = 512;
/// Stands behind a text that was cut.
const CUT: &str = "…[more cut]";
/// What Bedrock adds to a stream's last event, whoever's model it is.
const METRICS: &str = "amazon-bedrock-invocationMetrics";

/// What an event meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// It had a piece of what the model says.
    pub(super) content: bool,
    /// It was the last one.
    pub(super) done: bool,
}

impl Step {
    const NOTHING: Self = Self { content: false, done: false };
    const CONTENT: Self = Self { content: true, done: false };
    const DONE: Self = Self { content: false, done: true };

    fn content(content: bool) -> Self {
        Self { content, done: false }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self { content: self.content || other.content, done: self.done || other.done }
    }
}

/// The answer so far.
#[derive(Debug)]
pub(super) struct Fold {
    whole: Value,
    room: Room,
    shape: Option<Shape>,
}

/// Whose events they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Chat,
    Responses,
    Anthropic,
    Gemini,
    Converse,
    Cohere,
    Ollama,
    Pieces,
}

/// The room for texts.
#[derive(Debug)]
struct Room(usize);

impl Default for Fold {
    fn default() -> Self {
        Self { whole: Value::Null, room: Room(ROOM), shape: None }
    }
}

impl Fold {
    /// Adds an event, which may be named beside its data.
    pub(super) fn event(&mut self, name: &str, event: Value) -> Step {
        // Bedrock's events of a model's own shape.
        if let Some(bytes) = event["bytes"].as_str() {
            return match json::read(&base64::decode(bytes)) {
                Some(inner) => self.event("", inner),
                None => Step::NOTHING,
            };
        }
        if !self.whole.is_object() {
            self.whole = Value::Object(Map::new());
        }
        replace(&mut self.whole, &event, &[METRICS]);
        if is_error(&event) {
            self.error(event);
            return Step::NOTHING;
        }
        let Some(shape) = self.shape.or_else(|| shape(name, &event)) else { return Step::NOTHING };
        self.shape = Some(shape);
        let (whole, room) = (&mut self.whole, &mut self.room);
        match shape {
            Shape::Chat => chat::event(whole, &event, room),
            Shape::Responses => responses::event(whole, event, room),
            Shape::Anthropic => anthropic::event(whole, &event, room),
            Shape::Gemini => gemini::event(whole, &event, room),
            Shape::Converse => converse::event(whole, name, &event, room),
            Shape::Cohere => cohere::event(whole, event, room),
            Shape::Ollama => ollama::event(whole, &event, room),
            Shape::Pieces => pieces::event(whole, &event, room),
        }
    }

    /// Adds a value that came by itself: a whole answer, or one of several in lines or in a list.
    pub(super) fn value(&mut self, value: Value, in_list: bool) -> Step {
        let is_line = value["done"] == Value::Bool(false) || self.shape == Some(Shape::Ollama);
        if is_line || (in_list && shape("", &value) == Some(Shape::Gemini)) {
            return self.event("", value);
        }
        self.whole(value);
        Step { content: false, done: true }
    }

    /// Takes the answer as a whole.
    pub(super) fn whole(&mut self, value: Value) {
        *self = Self { whole: value, ..Self::default() };
    }

    /// An exception of the stream itself, by its type.
    pub(super) fn exception(&mut self, kind: &str, event: Option<&Value>) {
        let message = event.and_then(|event| event["message"].as_str()).unwrap_or_default();
        self.error(json!({"type": kind, "message": message}));
    }

    fn error(&mut self, event: Value) {
        let Value::Object(mut event) = event else { return };
        let error = match event.remove("error").filter(|error| !error.is_null()) {
            Some(error) => error,
            None => Value::Object(event),
        };
        if !self.whole.is_object() {
            self.whole = Value::Object(Map::new());
        }
        self.whole["error"] = error;
    }

    /// The events are pieces of one answer.
    pub(super) fn is_stream(&self) -> bool {
        self.shape.is_some()
    }

    /// The answer as far as it came; null where no event said anything of it.
    pub(super) fn take(&mut self) -> Value {
        let whole = std::mem::take(&mut self.whole);
        if whole.as_object().is_some_and(Map::is_empty) { Value::Null } else { whole }
    }

    /// Bytes of text that were kept.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        ROOM - self.room.0
    }
}

fn is_error(event: &Value) -> bool {
    event["type"] == "error" || event["error"].is_object() || event["error"].is_string()
}

/// Whose event it is; `None` where it says nothing, as those that keep a connection open.
fn shape(name: &str, event: &Value) -> Option<Shape> {
    let has = |names: &[&str]| names.iter().any(|name| !event[*name].is_null());
    let kind = event["type"].as_str().unwrap_or_default();
    Some(match kind {
        "message_start" | "content_block_start" | "content_block_delta" | "message_delta" => Shape::Anthropic,
        "message-start" | "content-start" | "content-delta" | "tool-plan-delta" | "tool-call-start" => Shape::Cohere,
        _ if kind.starts_with("response.") || responses::is_medium(kind) => Shape::Responses,
        _ if event["choices"].is_array() => Shape::Chat,
        _ if has(&["candidates", "usageMetadata", "promptFeedback"]) => Shape::Gemini,
        _ if event["event_type"].is_string() => Shape::Cohere,
        _ if converse::is_event(name) || converse::inner(event).is_some() => Shape::Converse,
        _ if event["done"].is_boolean() => Shape::Ollama,
        _ if pieces::text(event).is_some() => Shape::Pieces,
        _ => return None,
    })
}

impl Room {
    /// Appends to the text in `slot`, which is made where it is none.
    fn append(&mut self, slot: &mut Value, more: &str) {
        if !slot.is_string() {
            *slot = json!("");
        }
        let Value::String(text) = slot else { return };
        let most = LONGEST_TEXT.saturating_sub(text.len()).min(self.0);
        if more.len() <= most {
            self.0 -= more.len();
            text.push_str(more);
        } else if !text.ends_with(CUT) {
            let mut at = most;
            while !more.is_char_boundary(at) {
                at -= 1;
            }
            self.0 -= at;
            text.push_str(&more[..at]);
            text.push_str(CUT);
        }
    }

    /// Appends the text that `from` has under `name` to the one that `to`, an object, has; whether there was any.
    fn move_text(&mut self, to: &mut Value, from: &Value, name: &str) -> bool {
        match from[name].as_str() {
            Some(text) if !text.is_empty() && to.is_object() => {
                self.append(&mut to[name], text);
                true
            }
            _ => false,
        }
    }

    /// Room for one more element, with what it comes with.
    fn admits(&mut self, element: &Value) -> bool {
        let bytes = PLACE + size(element);
        let admits = bytes <= self.0;
        if admits {
            self.0 -= bytes;
        }
        admits
    }

    /// The element of the list in `slot` whose `index` is that of `like`; made of `new` where there is none.
    fn at_index<'a>(&mut self, slot: &'a mut Value, index: u64, new: impl FnOnce() -> Value) -> Option<&'a mut Value> {
        let items = list(slot)?;
        if let Some(at) = items.iter().position(|item| item["index"].as_u64() == Some(index)) {
            return items.get_mut(at);
        }
        let mut new = new();
        if items.len() >= MOST || !self.admits(&new) {
            return None;
        }
        object(&mut new)["index"] = json!(index);
        items.push(new);
        items.last_mut()
    }

    /// Puts `item` to the list in `slot`.
    fn push(&mut self, slot: &mut Value, item: Value) {
        if let Some(items) = list(slot)
            && items.len() < MOST
            && self.admits(&item)
        {
            items.push(item);
        }
    }
}

/// The list in `slot`, which is made where it is none.
fn list(slot: &mut Value) -> Option<&mut Vec<Value>> {
    if !slot.is_array() {
        *slot = json!([]);
    }
    slot.as_array_mut()
}

/// Bytes of the texts in `value`.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| PLACE / 8 + size(item)).sum(),
        Value::Object(members) => members.iter().map(|(key, value)| key.len() + PLACE / 8 + size(value)).sum(),
        _ => 0,
    }
}

/// An event's index, or 0: whatever else a stream says in its place is not kept.
fn index_of(event: &Value, name: &str) -> u64 {
    event[name].as_u64().unwrap_or(0)
}

fn object(slot: &mut Value) -> &mut Value {
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot
}

/// Takes the short members that `to` does not have yet from `from`; what is null or empty, as in Azure's first chunks,
/// is not had.
fn adopt(to: &mut Value, from: &Value, names: &[&str]) {
    let is_none = |value: &Value| value.is_null() || *value == "";
    let to = object(to);
    for name in names {
        if is_none(&to[*name]) && !is_none(&from[*name]) && size(&from[*name]) <= 4 * PLACE {
            to[*name] = from[*name].clone();
        }
    }
}

/// Takes the short members that `from` has, whatever `to` has.
fn replace(to: &mut Value, from: &Value, names: &[&str]) {
    let to = object(to);
    for name in names {
        if !from[*name].is_null() && size(&from[*name]) <= 8 * PLACE {
            to[*name] = from[*name].clone();
        }
    }
}

/// `text`, the beginning of one of `bytes`, with a note of what was left out.
pub(super) fn cut(text: String, bytes: usize) -> String {
    content::shortened(text, bytes)
}
