//! What the end of a trace says of its model calls.

use serde_json::Value;

use super::super::text::cut;
use super::super::{SpanItem, View};
use crate::trace::TraceCore;

/// More steps than this are one agent's loop, not a summary.
const MOST_STEPS: usize = 100;
const MOST_PROMPT: usize = 10_000;

/// A model call, as far as the summary tells it apart from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) model: Option<String>,
    pub(super) system_prompt: Option<String>,
}

/// The model calls of a trace, in order and without repeats.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) steps: Vec<Step>,
}

impl Summary {
    pub(super) fn add(&mut self, trace: &TraceCore, span: &SpanItem) {
        let view = View::new(trace, &span.record, span.details.as_deref());
        // Where a call beneath the span is the same one, that one knows more of it.
        if view.kind() != "llm" || !view.is_call() || self.steps.len() >= MOST_STEPS {
            return;
        }
        let step = Step {
            name: view.name().to_owned(),
            model: view.model().map(str::to_owned).or_else(|| trace.model()),
            system_prompt: view.input().and_then(|input| system_prompt(input.as_str())),
        };
        if !self.steps.contains(&step) {
            self.steps.push(step);
        }
    }

    pub(super) fn models(&self) -> Option<String> {
        join(self.steps.iter().filter_map(|step| step.model.as_deref()))
    }

    pub(super) fn system_prompts(&self) -> Option<String> {
        join(self.steps.iter().filter_map(|step| step.system_prompt.as_deref()))
    }
}

/// The values in order, without repeats, joined with ` | `.
fn join<'a>(values: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut seen: Vec<&str> = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    (!seen.is_empty()).then(|| seen.join(" | "))
}

/// The system prompt in a model's input: a message with the role `system`, or a key of its own.
fn system_prompt(input: &str) -> Option<String> {
    let input: Value = serde_json::from_str(input).ok()?;
    let of_messages = |messages: &Value| {
        let message = messages.as_array()?.iter().find(|message| message["role"] == "system")?;
        text(&message["content"])
    };
    let prompt = of_messages(&input)
        .or_else(|| of_messages(input.get("messages")?))
        .or_else(|| text(input.get("system")?))
        .or_else(|| text(input.get("system_instruction")?))
        .or_else(|| text(input.get("systemInstruction")?))
        .or_else(|| text(input.get("instructions")?))?;
    Some(cut(&prompt, MOST_PROMPT).to_owned())
}

/// A text, or the texts of its parts.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts: Vec<String> = parts.iter().filter_map(text).collect();
            (!texts.is_empty()).then(|| texts.join("\n"))
        }
        Value::Object(part) => part.get("text").or_else(|| part.get("parts")).and_then(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_prompt_is_found_in_every_common_shape() {
        for input in [
            r#"[{"role":"system","content":"be nice"},{"role":"user","content":"hi"}]"#,
            r#"{"messages":[{"role":"system","content":[{"type":"text","text":"be nice"}]}]}"#,
            r#"{"system":"be nice","messages":[]}"#,
            r#"{"system":[{"type":"text","text":"be nice"}]}"#,
            r#"{"system_instruction":{"parts":[{"text":"be nice"}]}}"#,
            r#"{"systemInstruction":{"parts":[{"text":"be nice"}]}}"#,
            r#"{"instructions":"be nice","input":"hi"}"#,
        ] {
            assert_eq!(system_prompt(input).as_deref(), Some("be nice"), "{input}");
        }
        assert_eq!(system_prompt(r#"{"question":"who?"}"#), None);
        assert_eq!(system_prompt("\"plain\""), None);
    }

    #[test]
    fn values_are_joined_in_order_without_repeats() {
        assert_eq!(join(["a", "b", "a"].into_iter()).as_deref(), Some("a | b"));
        assert_eq!(join([].into_iter()), None);
    }
}
