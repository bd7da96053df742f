//! The fields of a span, as they are recorded one after the other.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use tracing_core::Field;
use tracing_core::field::Visit;

/// The most of one span's texts that is kept until its end, in bytes; it counts among what the buffers hold.
pub(super) const MOST_BYTES: usize = 4 << 20;
/// The most fields of one span.
const MOST: usize = 1_000;

/// What was recorded on a span, the last value of each field.
#[derive(Debug, Default)]
pub(super) struct Fields {
    values: BTreeMap<&'static str, Value>,
    bytes: usize,
}

impl Fields {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The first of these that is a text with something in it.
    pub(super) fn text(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name)?.as_str().filter(|text| !text.is_empty()))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.values.iter().map(|(name, value)| (*name, value))
    }

    /// The fields whose names begin with `prefix`, without it.
    pub(super) fn under<'a>(&'a self, prefix: &'static str) -> impl Iterator<Item = (&'static str, &'a Value)> {
        self.values.range(prefix..).map_while(move |(name, value)| Some((name.strip_prefix(prefix)?, value)))
    }

    /// Keeps the value; in place of a text for which there is no room, a note that says so. The bytes of the text that it
    /// replaces, and of the one that is kept.
    pub(super) fn put(&mut self, name: &'static str, mut value: Value) -> (usize, usize) {
        let length = |value: &Value| value.as_str().map_or(0, str::len);
        let before = self.values.get(name).map(length);
        if before.is_none() && self.values.len() >= MOST {
            return (0, 0);
        }
        let before = before.unwrap_or(0);
        self.bytes -= before;
        if self.bytes + length(&value) > MOST_BYTES {
            value = left_out(length(&value));
        }
        let kept = length(&value);
        self.bytes += kept;
        self.values.insert(name, value);
        (before, kept)
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = (&'static str, Value)> {
        self.values.into_iter()
    }

    /// Takes in what else was recorded, as `keep` has it: under what name, and what; `None` for what is not kept.
    pub(super) fn add(&mut self, more: Self, keep: impl Fn(&'static str, Value) -> Option<(&'static str, Value)>) {
        for (name, value) in more.into_values() {
            if let Some((name, value)) = keep(name, value) {
                self.put(name, value);
            }
        }
    }
}

/// In place of a text of so many bytes.
pub(super) fn left_out(bytes: usize) -> Value {
    Value::String(format!("[dropped: {bytes} bytes, buffers full]"))
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), Value::String(value.to_owned()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field.name(), Value::String(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_for_which_there_is_no_room_is_a_note_and_a_later_one_takes_its_place() {
        let mut fields = Fields::default();
        fields.put("a", json!("x".repeat(MOST_BYTES)));
        fields.put("b", json!("y".repeat(10)));
        assert_eq!(fields.get("b"), Some(&json!("[dropped: 10 bytes, buffers full]")));
        fields.put("a", json!("short"));
        fields.put("b", json!("y"));
        assert_eq!((fields.get("a"), fields.get("b")), (Some(&json!("short")), Some(&json!("y"))));
        fields.put("a", json!("z".repeat(MOST_BYTES - 1)));
        assert_eq!(fields.bytes, MOST_BYTES, "what was replaced is not counted");
    }
}
