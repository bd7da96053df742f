//! The fields of a span, as they are recorded one after the other.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use tracing_core::Field;
use tracing_core::field::Visit;

/// The most of one span's texts that is kept until its end, in bytes.
const MOST_BYTES: usize = 4 << 20;
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

    pub(super) fn put(&mut self, name: &'static str, value: Value) {
        let bytes = value.as_str().map_or(0, str::len);
        if self.bytes + bytes > MOST_BYTES || self.values.len() >= MOST {
            return;
        }
        self.bytes += bytes;
        self.values.insert(name, value);
    }

    /// Takes in what else was recorded, under the names that `name` gives; nothing where it gives none.
    pub(super) fn add(&mut self, more: Self, name: impl Fn(&'static str, &Value) -> Option<&'static str>) {
        for (field, value) in more.values {
            if let Some(name) = name(field, &value) {
                self.put(name, value);
            }
        }
    }
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
