//! A stream's events, folded into the answer that would have come whole: so there is one way to read answers.
//!
//! An event tells by its shape whose it is, whatever host it came from: gateways speak for others.

mod chat;

use serde_json::{Map, Value, json};

use crate::content;

/// Bytes kept of one text, as many as of a captured string; and of all texts of an answer.
const LONGEST_TEXT: usize = 100_000;
const ROOM: usize = 1 << 20;
/// Answers, blocks, calls of tools: more than any model gives at once.
const MOST: usize = 256;
/// Stands behind a text that was cut.
const CUT: &str = "…[more cut]";

/// What an event meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// It had a piece of what the model says.
    pub(super) content: bool,
    /// It was the last one.
    pub(super) done: bool,
}

/// The answer so far.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) whole: Value,
    room: Room,
    shape: Option<Shape>,
}

/// Whose events they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Chat,
    /// Whole answers, and whatever we do not know.
    Whole,
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
        let shape = *self.shape.get_or_insert_with(|| shape(name, &event));
        match shape {
            Shape::Chat => chat::event(&mut self.whole, event, &mut self.room),
            Shape::Whole => {
                self.whole = event;
                Step { content: true, done: false }
            }
        }
    }

    /// The events are pieces of one answer.
    pub(super) fn is_stream(&self) -> bool {
        self.shape.is_some_and(|shape| shape != Shape::Whole)
    }

    /// Bytes of text that were kept.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        ROOM - self.room.0
    }
}

fn shape(_name: &str, event: &Value) -> Shape {
    if event["choices"].is_array() { Shape::Chat } else { Shape::Whole }
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

    /// Appends the text that `from` has under `name` to the one that `to` has; whether there was any.
    fn move_text(&mut self, to: &mut Value, from: &Value, name: &str) -> bool {
        match from[name].as_str() {
            Some(text) if !text.is_empty() => {
                self.append(&mut to[name], text);
                true
            }
            _ => false,
        }
    }
}

/// The element of the list in `slot` whose `index` is that of `like`; made where there is none, up to [`MOST`].
fn at_index<'a>(slot: &'a mut Value, index: &Value) -> Option<&'a mut Value> {
    if !slot.is_array() {
        *slot = json!([]);
    }
    let items = slot.as_array_mut()?;
    let found = items.iter().position(|item| item["index"] == *index);
    let at = match found {
        Some(at) => at,
        None if items.len() < MOST => {
            items.push(json!({ "index": index }));
            items.len() - 1
        }
        None => return None,
    };
    items.get_mut(at)
}

/// Takes the members that `to` does not have yet, or has as null, from `from`.
fn adopt(to: &mut Value, from: &Value, names: &[&str]) {
    if !to.is_object() {
        *to = Value::Object(Map::new());
    }
    for name in names {
        if to[*name].is_null() && !from[*name].is_null() {
            to[*name] = from[*name].clone();
        }
    }
}

/// Takes the members that `from` has, whatever `to` has.
fn replace(to: &mut Value, from: &Value, names: &[&str]) {
    if !to.is_object() {
        *to = Value::Object(Map::new());
    }
    for name in names {
        if !from[*name].is_null() {
            to[*name] = from[*name].clone();
        }
    }
}

/// `text`, the beginning of one of `bytes`, with a note of what was left out.
pub(super) fn cut(text: String, bytes: usize) -> String {
    content::shortened(text, bytes)
}
