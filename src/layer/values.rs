//! Values as libraries record them: `tracing` has no lists and no objects, so they come as JSON in strings, or as Rust
//! shows them for debugging.

use serde_json::Value;

/// More than this is not read, but kept as a text that is cut.
const MOST_READ: usize = 4 << 20;
const MOST_KEPT: usize = 400_000;

/// What `text` stands for, where it is a list or an object; else the text.
pub(super) fn restored(text: &str) -> Value {
    if text.len() > MOST_READ {
        let mut at = MOST_KEPT;
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        return Value::String(text[..at].to_owned());
    }
    let trimmed = text.trim();
    if trimmed.starts_with(['[', '{'])
        && let Ok(value) = serde_json::from_str(trimmed)
    {
        return value;
    }
    if trimmed.starts_with('[')
        && let Some(value) = (Debug { rest: trimmed, depth: 0 }).whole()
    {
        return value;
    }
    Value::String(text.to_owned())
}

/// The parts of a message's content, where `text` is a list of such; else the text, whatever it looks like.
pub(super) fn restored_parts(text: &str) -> Value {
    match restored(text) {
        Value::Array(parts) if !parts.is_empty() && parts.iter().all(Value::is_object) => Value::Array(parts),
        _ => Value::String(text.to_owned()),
    }
}

/// The texts that `value` is or has: a list, a list in a string, or one text.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => match restored(text) {
            Value::String(text) if text.is_empty() => Vec::new(),
            Value::String(text) => vec![text],
            list => texts(&list),
        },
        other => vec![other.to_string()],
    }
}

/// Whether `text` is a word or the path of a type, as reasons and types of errors are: nothing that could hold what somebody
/// wrote.
pub(super) fn is_word(text: &str) -> bool {
    let is_name = |name: &str| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    };
    text.len() <= 128 && text.split("::").all(is_name)
}

/// A count, whether it came as a number or as a text.
pub(super) fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => {
            text.trim().strip_prefix("Some(").map_or(text.trim(), |text| text.trim_end_matches(')')).parse().ok()
        }
        _ => None,
    }
}

/// How Rust shows lists of plain values: `["stop", Some("length"), None, 1]`.
struct Debug<'a> {
    rest: &'a str,
    depth: usize,
}

impl Debug<'_> {
    fn whole(mut self) -> Option<Value> {
        let value = self.value()?;
        self.rest.trim().is_empty().then_some(value)
    }

    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        let found = self.rest.strip_prefix(token);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn value(&mut self) -> Option<Value> {
        const DEEPEST: usize = 32;
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let value = if self.take("[") {
            self.list()?
        } else if self.take("\"") {
            Value::String(self.text()?)
        } else if self.take("Some(") {
            let inner = self.value()?;
            self.take(")").then_some(inner)?
        } else if self.take("None") {
            Value::Null
        } else if self.take("true") {
            Value::Bool(true)
        } else if self.take("false") {
            Value::Bool(false)
        } else {
            self.number()?
        };
        self.depth -= 1;
        Some(value)
    }

    fn list(&mut self) -> Option<Value> {
        let mut items = Vec::new();
        while !self.take("]") {
            items.push(self.value()?);
            if !self.take(",") && !self.rest.trim_start().starts_with(']') {
                return None;
            }
        }
        Some(Value::Array(items))
    }

    /// The rest of a string, with Rust's escapes.
    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                '\\' => text.push(match chars.next()?.1 {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    '0' => '\0',
                    'u' => {
                        let hex: String = chars.by_ref().map(|(_, c)| c).skip(1).take_while(|c| *c != '}').collect();
                        char::from_u32(u32::from_str_radix(&hex, 16).ok()?)?
                    }
                    other => other,
                }),
                c => text.push(c),
            }
        }
        None
    }

    fn number(&mut self) -> Option<Value> {
        let end = self.rest.find([',', ']', ')']).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        serde_json::from_str::<serde_json::Number>(number.trim()).ok().map(Value::Number)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_in_a_string_and_lists_as_rust_shows_them_are_restored() {
        assert_eq!(restored(r#"["stop"]"#), json!(["stop"]));
        assert_eq!(restored(r#" {"a": [1]} "#), json!({"a": [1]}));
        assert_eq!(
            restored(&format!("{:?}", [Some("it's\n\u{1b} \"x\" \u{200b}"), None])),
            json!(["it's\n\u{1b} \"x\" \u{200b}", null])
        );
        assert_eq!(restored(&format!("{:?}", [(1.5_f32), 2.0])), json!([1.5, 2.0]));
        assert_eq!(restored(&format!("{:#?}", vec![vec![true, false], vec![]])), json!([[true, false], []]));
    }

    #[test]
    fn what_is_neither_stays_the_text_that_it_is() {
        for text in
            ["[INST] hello [/INST]", "{not json}", "[1, 2", "[User { name: \"x\" }]", "", "stop", "[\"a\" \"b\"]"]
        {
            assert_eq!(restored(text), json!(text));
        }
        let deep = "[".repeat(100_000);
        assert_eq!(restored(&deep), json!(deep));
    }

    #[test]
    fn a_text_that_is_too_long_to_be_read_is_cut_at_a_character() {
        let long = format!("[\"{}\"]", "é".repeat(3 << 20));
        let Value::String(kept) = restored(&long) else { panic!() };
        assert!(kept.len() <= MOST_KEPT && long.starts_with(&kept));
    }

    #[test]
    fn counts_and_texts_are_read_whatever_they_came_as() {
        assert_eq!(count(&json!(7)), Some(7));
        assert_eq!(count(&json!("7")), Some(7));
        assert_eq!(count(&json!("Some(7)")), Some(7));
        assert_eq!(count(&json!("None")), None);
        assert_eq!(count(&json!(-7)), None);
        assert_eq!(texts(&json!("[\"stop\", \"length\"]")), ["stop", "length"]);
        assert_eq!(texts(&json!("stop")), ["stop"]);
        assert!(texts(&json!(null)).is_empty());
    }
}
