//! What a whole answer says, whoever gave it: the model, the tokens, why it stopped, what it said and what went wrong.

use serde_core::Serialize;
use serde_json::Value;

use super::framing::json;
use super::{Output, tokens};
use crate::SpanId;
use crate::content::{self, Json, Limits};
use crate::trace::details::{CallFacts, Error, SpanDetails};
use crate::trace::{TokenUsage, TraceCore};

/// Bytes kept of what an answer names: its model, its id, a reason.
const LONGEST_NAME: usize = 256;
const MOST_REASONS: usize = 128;

/// A whole answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    value: Value,
    /// The model that answered.
    model: Option<Box<str>>,
    id: Option<Box<str>>,
    finish_reasons: Vec<Box<str>>,
    pub(crate) usage: Option<TokenUsage>,
    /// The tokens that a cache had are counted beside the others, not among them.
    pub(super) cached_apart: bool,
}

impl Answer {
    /// Reads `value`, an answer of any API that we know; of another one, it says nothing but itself.
    pub(crate) fn of(value: Value) -> Self {
        let counted = tokens::of(&value);
        let (usage, cached_apart) =
            counted.map_or((None, false), |counted| (Some(counted.usage), counted.cached_apart));
        Self {
            model: name(&value, &["model", "modelVersion", "model_version"]),
            id: name(&value, &["id", "responseId", "response_id", "generation_id"]).filter(|id| is_id(id)),
            finish_reasons: finish_reasons(&value),
            usage,
            cached_apart,
            value,
        }
    }

    /// Whether it has the shape of an answer.
    pub(crate) fn is_known(&self) -> bool {
        let says = || {
            let messages = Output::of(Some(&self.value), None).messages;
            messages.iter().any(|message| message["parts"].as_array().is_some_and(|parts| !parts.is_empty()))
        };
        self.usage.is_some() || self.has_ended() || (Output::is_response(&self.value) && says())
    }

    /// Whether the model said why it stopped.
    pub(super) fn has_ended(&self) -> bool {
        !self.finish_reasons.is_empty()
    }

    /// What the model said: its text alone, where that is all; else its messages as the conventions have them.
    pub(crate) fn output(&self) -> Option<Json> {
        let value = &self.value;
        if value.is_null() || (is_error(value) && !Output::is_response(value)) {
            return None;
        }
        // Vectors and sounds are not for reading.
        if value["embedding"].is_array() || value["embeddings"].is_array() || value["embeddings"].is_object() {
            return None;
        }
        if let Some(items) = value["data"].as_array() {
            let vectors = items.iter().any(|item| !item["embedding"].is_null());
            return (!vectors).then(|| captured(&value["data"]));
        }
        for name in ["text", "results", "predictions"] {
            // A response's own `text` is how it was asked for.
            let is_said = if name == "text" { value[name].is_string() } else { !value[name].is_null() };
            if is_said && !Output::is_response(value) {
                return Some(captured(&value[name]));
            }
        }
        let messages = Output::of(Some(value), None).messages;
        match messages.as_slice() {
            [] => None,
            [only]
                if only["parts"] == Value::Array(Vec::new()) && (self.finish_reasons.is_empty() || is_error(value)) =>
            {
                None
            }
            [only] => Some(match only["parts"].as_array().map(Vec::as_slice) {
                Some([part]) if part["type"] == "text" => captured(&part["content"]),
                _ => captured(&messages),
            }),
            several => Some(captured(several)),
        }
    }

    /// The tools that the model asked for.
    pub(crate) fn tool_calls(&self) -> Option<Json> {
        let messages = Output::of(Some(&self.value), None).messages;
        let parts = messages.iter().filter_map(|message| message["parts"].as_array()).flatten();
        let calls: Vec<&Value> = parts.filter(|part| part["type"] == "tool_call").collect();
        (!calls.is_empty() && self.is_known()).then(|| captured(&calls))
    }

    /// Why there is no answer, if there is none: by `status`, what the provider says, and `text`, the words of whatever
    /// else answered in its place.
    pub(crate) fn error(&self, status: Option<u16>, text: Option<&str>) -> Option<Error> {
        let failed = status.filter(|status| *status >= 400);
        if failed.is_none() && !is_error(&self.value) {
            return None;
        }
        let (kind, message) = error_of(&self.value);
        let type_name = match (kind, failed) {
            (Some(kind), _) => kind.into(),
            (None, Some(status)) => status.to_string().into(),
            (None, None) => "error".into(),
        };
        let message = message.or(text.map(str::to_owned)).unwrap_or_default();
        let message = match failed {
            Some(status) if message.is_empty() => format!("HTTP status {status}"),
            _ => message,
        };
        Some(Error { type_name, message: message.into() })
    }
}

fn captured(value: &(impl Serialize + ?Sized)) -> Json {
    content::to_json(value, &Limits::CAPTURE)
}

/// Says of `span` what `answer` says, but for the tokens; of its content only where it `says` so.
pub(super) fn note(trace: &TraceCore, span: SpanId, says: bool, answer: &Answer) {
    trace.with_span(span, |details| answer.note(details));
    if says {
        if let Some(output) = answer.output() {
            trace.record(span, output, |details| &mut details.output);
        }
        if let Some(calls) = answer.tool_calls() {
            trace.record(span, calls, |details| &mut details.tool_calls);
        }
    }
}

/// Says of `span` what a client's `response` says; where it is no answer that we know, it is the output.
pub(crate) fn record(trace: &TraceCore, span: SpanId, captures: bool, response: &(impl Serialize + ?Sized)) {
    let answer = Answer::of(json::of(response).unwrap_or_default());
    if answer.is_known() {
        note(trace, span, captures, &answer);
        if let Some(usage) = answer.usage {
            trace.with_span(span, |details| {
                details.usage = Some(usage);
                details.facts_mut().cached_apart = Some(answer.cached_apart);
            });
        }
    } else if captures {
        trace.record(span, captured(&answer.value), |details| &mut details.output);
    }
}

impl Answer {
    fn note(&self, details: &mut SpanDetails) {
        if let Some(model) = &self.model {
            details.model = Some(model.clone());
        }
        let facts = details.facts_mut();
        let known = std::mem::take(facts);
        *facts = CallFacts {
            answered: self.model.clone().or(known.answered),
            response_id: self.id.clone().or(known.response_id),
            finish_reasons: if self.finish_reasons.is_empty() {
                known.finish_reasons
            } else {
                self.finish_reasons.clone()
            },
            ..known
        };
    }
}

/// A short text under one of `names`.
fn name(value: &Value, names: &[&str]) -> Option<Box<str>> {
    let text = names.iter().find_map(|name| value[*name].as_str())?;
    short(text)
}

fn short(text: &str) -> Option<Box<str>> {
    let text = content::scrub_text(text, LONGEST_NAME);
    (!text.is_empty()).then(|| text.into())
}

/// Why each answer ended, in the provider's words; or why there is none, where Google blocks what was asked.
fn finish_reasons(value: &Value) -> Vec<Box<str>> {
    let reasons = Output::of(Some(value), None).finish_reasons;
    let blocked = value["promptFeedback"]["blockReason"].as_str().filter(|_| reasons.is_empty());
    reasons
        .iter()
        .map(String::as_str)
        .chain(blocked)
        .filter(|reason| is_word(reason))
        .map(Into::into)
        .take(MOST_REASONS)
        .collect()
}

fn is_error(value: &Value) -> bool {
    let error = &value["error"];
    error.is_object() || error.is_string() || value["type"] == "error"
}

/// The type of an error that the provider names, and its words.
fn error_of(value: &Value) -> (Option<String>, Option<String>) {
    let error = if value["error"].is_null() { value } else { &value["error"] };
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let kind = ["code", "type", "status", "__type"].iter().filter_map(|name| error[*name].as_str());
    let kind =
        kind.map(|kind| kind.rsplit('#').next().unwrap_or_default()).find(|kind| is_word(kind) && *kind != "error");
    let message = text(error).or_else(|| text(&error["message"])).or_else(|| text(&error["detail"]));
    (kind.map(str::to_owned), message)
}

/// A word, as reasons and types of errors are: nothing that could hold what somebody wrote.
fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

fn is_id(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
