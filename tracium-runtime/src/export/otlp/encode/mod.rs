//! A span as OTLP has it.

mod call;
mod content;
mod tenant;

use std::borrow::Cow;

use super::super::View;
use super::super::mask::Masked;
use super::super::text::{cut, unique_tags};
use super::batch::SPAN;
use super::names::{Kind, gen_ai, general, is_ours, openinference, ours};
use super::wire::{
    fixed64_tag, len_tag, put_bool, put_bytes, put_double, put_fixed64, put_int, put_message, put_text, put_texts,
    varint_tag,
};
use crate::config::Mask;
use crate::content::Json;
use crate::tenant::TenantId;
use crate::trace::details::Error;
use crate::trace::{TokenUsage, TraceCore};

/// Fields of `Span`.
mod field {
    use super::{fixed64_tag, len_tag, varint_tag};

    pub(super) const TRACE_ID: u8 = len_tag(1);
    pub(super) const SPAN_ID: u8 = len_tag(2);
    pub(super) const TRACE_STATE: u8 = len_tag(3);
    pub(super) const PARENT: u8 = len_tag(4);
    pub(super) const NAME: u8 = len_tag(5);
    pub(super) const KIND: u8 = varint_tag(6);
    pub(super) const START: u8 = fixed64_tag(7);
    pub(super) const END: u8 = fixed64_tag(8);
    pub(super) const ATTRIBUTE: u8 = len_tag(9);
    pub(super) const EVENT: u8 = len_tag(11);
    pub(super) const STATUS: u8 = len_tag(15);
}
use field::ATTRIBUTE;

const INTERNAL: u8 = 1;
const CLIENT: u8 = 3;
const STATUS_ERROR: u8 = 2;
/// The most bytes of a metadata value.
const METADATA_BYTES: usize = 256;
const NAME_CHARS: usize = 512;
/// What the span of a stream says of its first item, in seconds.
const FIRST_ITEM: &str = "stream.time_to_first_item";

pub(super) struct Encoder {
    mask: Masked,
    /// What all spans of a trace have in common, encoded, of the trace that was last.
    of_trace: Option<(u64, Vec<u8>)>,
    /// The same of a tenant.
    of_tenant: Option<(TenantId, Vec<u8>)>,
}

impl Encoder {
    pub(super) fn new(mask: Option<Mask>) -> Self {
        Self { mask: Masked(mask), of_trace: None, of_tenant: None }
    }

    /// Appends an ended span of `tenant`; `root` is that of its trace.
    pub(super) fn span(&mut self, out: &mut Vec<u8>, view: View<'_>, tenant: Option<&TenantId>, root: bool) {
        put_message(out, SPAN, |out| {
            let record = view.record;
            let kind = Kind::of(view.kind());
            put_bytes(out, field::TRACE_ID, &view.trace.id.to_bytes());
            put_bytes(out, field::SPAN_ID, &record.id.to_bytes());
            if let Some(state) = view.trace.trace_state() {
                put_bytes(out, field::TRACE_STATE, state.as_bytes());
            }
            if !root {
                put_bytes(out, field::PARENT, &record.parent.to_bytes());
            }
            let model = request_model(view, kind);
            put_name(out, view, kind, root, model.as_deref());
            out.extend_from_slice(&[field::KIND, if kind.is_client() { CLIENT } else { INTERNAL }]);
            put_fixed64(out, field::START, record.started.unix_nanos());
            put_fixed64(out, field::END, record.ended.unwrap_or(record.started).unix_nanos());
            if let Some(tenant) = tenant {
                self.put_tenant(out, tenant);
            }
            self.attributes(out, view, kind, root, model.as_deref());
            if let Some(error) = view.error() {
                self.error(out, view, error);
            }
        });
    }

    fn attributes(&mut self, out: &mut Vec<u8>, view: View<'_>, kind: Kind, root: bool, model: Option<&str>) {
        self.put_trace(out, view, kind, root);
        put_text(out, ATTRIBUTE, openinference::KIND, kind.openinference());
        match operation(view, kind) {
            Some(operation) => put_text(out, ATTRIBUTE, gen_ai::OPERATION, operation),
            None => put_text(out, ATTRIBUTE, ours::KIND, cut(view.kind(), 128)),
        }
        if let Some(model) = model {
            put_text(out, ATTRIBUTE, gen_ai::REQUEST_MODEL, model);
        }
        let known = view.call().and_then(|call| call.provider);
        if let Some(provider) = known.or_else(|| crate::llm::provider(model?))
            && !view.has_metadata(gen_ai::PROVIDER)
        {
            put_text(out, ATTRIBUTE, gen_ai::PROVIDER, provider);
        }
        if kind == Kind::Tool {
            put_text(out, ATTRIBUTE, gen_ai::TOOL_NAME, cut(view.name(), NAME_CHARS));
        }
        if let Some(usage) = view.usage() {
            put_usage(out, usage, model, view.call().and_then(|call| call.cached_apart));
        }
        if let Some(call) = view.call() {
            call::put(out, call);
        }
        put_tags(out, view, root);
        if root {
            self.put_trace_metadata(out, view.trace);
        }
        for (key, value) in view.metadata() {
            // The conventions have a name for it where the stream is a model's.
            let is_known = view.call().is_some_and(|call| call.first_token.is_some());
            let is_first_chunk = kind == Kind::Llm && !is_known && **key == *FIRST_ITEM;
            self.put_metadata(out, if is_first_chunk { gen_ai::TIME_TO_FIRST_CHUNK } else { key }, value);
        }
        content::put(out, view, kind, &self.mask, model);
    }

    /// The agent, the session and the user: collectors inherit nothing, so every span has them.
    fn put_trace(&mut self, out: &mut Vec<u8>, view: View<'_>, kind: Kind, root: bool) {
        if kind == Kind::Agent && !root {
            // An agent that another one called has a name of its own.
            put_text(out, ATTRIBUTE, gen_ai::AGENT_NAME, view.name());
            put_of_trace(out, view.trace);
            return;
        }
        let trace = view.trace;
        match &mut self.of_trace {
            Some((key, encoded)) if *key == trace.key => out.extend_from_slice(encoded),
            other => {
                let Some(agent) = trace.known_agent() else {
                    // It came from another process, which did not say; it may yet be found out.
                    put_of_trace(out, trace);
                    return;
                };
                let mut encoded = other.take().map(|(_, encoded)| encoded).unwrap_or_default();
                encoded.clear();
                put_text(&mut encoded, ATTRIBUTE, gen_ai::AGENT_NAME, agent);
                put_of_trace(&mut encoded, trace);
                out.extend_from_slice(&encoded);
                *other = Some((trace.key, encoded));
            }
        }
    }

    fn put_tenant(&mut self, out: &mut Vec<u8>, tenant: &TenantId) {
        match &mut self.of_tenant {
            Some((known, encoded)) if known.same(tenant) => out.extend_from_slice(encoded),
            other => {
                let mut encoded = other.take().map(|(_, encoded)| encoded).unwrap_or_default();
                encoded.clear();
                put_text(&mut encoded, ATTRIBUTE, ours::METERED_TENANT, &tenant::metered(tenant.as_str()));
                put_text(&mut encoded, ATTRIBUTE, ours::TENANT, tenant.as_str());
                out.extend_from_slice(&encoded);
                *other = Some((tenant.clone(), encoded));
            }
        }
    }

    /// What was recorded on the trace as a whole stands on its root.
    fn put_trace_metadata(&self, out: &mut Vec<u8>, trace: &TraceCore) {
        let state = trace.state();
        let details = state.details();
        for (key, value) in &details.metadata {
            self.put_metadata(out, key, value);
        }
        if let Some(summary) = &details.summary {
            put_text(out, ATTRIBUTE, ours::SUMMARY, &self.mask.text("summary", summary));
        }
    }

    /// A metadata entry under its own key, unless that would pass for an attribute of ours.
    fn put_metadata(&self, out: &mut Vec<u8>, key: &str, value: &Json) {
        let key = if is_ours(key) { Cow::Owned(format!("metadata.{key}")) } else { Cow::Borrowed(key) };
        let value = self.mask.json("metadata", value);
        match serde_json::from_str(&value) {
            Ok(serde_json::Value::String(text)) => put_text(out, ATTRIBUTE, &key, cut_bytes(&text, METADATA_BYTES)),
            Ok(serde_json::Value::Bool(value)) => put_bool(out, ATTRIBUTE, &key, value),
            Ok(serde_json::Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => put_int(out, ATTRIBUTE, &key, value),
                (None, Some(value)) => put_double(out, ATTRIBUTE, &key, value),
                (None, None) => put_text(out, ATTRIBUTE, &key, &value),
            },
            _ => put_text(out, ATTRIBUTE, &key, cut_bytes(&value, METADATA_BYTES)),
        }
    }

    /// A failure: the status, `error.type`, and the event that OpenTelemetry has for it.
    fn error(&self, out: &mut Vec<u8>, view: View<'_>, error: &Error) {
        let text = self.mask.text("error", error.text());
        let text = cut(&text, Error::MAX_CHARS);
        put_text(out, ATTRIBUTE, general::ERROR_TYPE, &error.type_name);
        put_message(out, field::EVENT, |out| {
            put_fixed64(out, fixed64_tag(1), view.record.ended.unwrap_or(view.record.started).unix_nanos());
            put_bytes(out, len_tag(2), general::EXCEPTION.as_bytes());
            put_text(out, len_tag(3), general::EXCEPTION_TYPE, &error.type_name);
            if !error.message.is_empty() {
                put_text(out, len_tag(3), general::EXCEPTION_MESSAGE, text);
            }
        });
        put_message(out, field::STATUS, |out| {
            put_bytes(out, len_tag(2), text.as_bytes());
            out.extend_from_slice(&[varint_tag(3), STATUS_ERROR]);
        });
    }
}

/// `invoke_agent {agent}`, `chat {model}`, `execute_tool {tool}`; else the function's name.
fn put_name(out: &mut Vec<u8>, view: View<'_>, kind: Kind, root: bool, model: Option<&str>) {
    let called = match kind {
        Kind::Agent if root => Some(view.trace.agent()),
        Kind::Agent | Kind::Tool => Some(view.name()),
        Kind::Llm | Kind::Embedding => model,
        Kind::Retrieval | Kind::Other => None,
    };
    match (operation(view, kind), called) {
        (Some(operation), Some(called)) => {
            let called = cut(called, NAME_CHARS);
            put_bytes_of(out, &[operation, " ", called]);
            // A call that was seen by an adapter is no function's, and is named as it is here.
            let is_named = view.name().strip_prefix(operation).and_then(|name| name.strip_prefix(' ')) == Some(called);
            if called != view.name() && !is_named {
                put_text(out, ATTRIBUTE, general::FUNCTION, cut(view.name(), NAME_CHARS));
            }
        }
        _ => put_bytes_of(out, &[cut(view.name(), NAME_CHARS)]),
    }
}

fn put_bytes_of(out: &mut Vec<u8>, pieces: &[&str]) {
    out.push(field::NAME);
    super::wire::put_varint(out, pieces.iter().map(|piece| piece.len() as u64).sum());
    pieces.iter().for_each(|piece| out.extend_from_slice(piece.as_bytes()));
}

/// What a call of a model did, where that is known; else what the kind of span does.
fn operation(view: View<'_>, kind: Kind) -> Option<&'static str> {
    let known = view.call().map(|call| call.operation).filter(|operation| !operation.is_empty() && kind.is_client());
    known.or_else(|| kind.operation())
}

/// The model that was asked: the span's own; for a call of a model and for the root, also its trace's.
fn request_model(view: View<'_>, kind: Kind) -> Option<Cow<'_, str>> {
    let known = view.call().and_then(|call| call.asked.as_deref());
    let asked = known.or(view.record.meta.model).or_else(|| view.model()).map(Cow::Borrowed);
    let inherits = matches!(kind, Kind::Llm | Kind::Embedding | Kind::Agent);
    asked.or_else(|| if inherits { view.trace.model().map(Cow::Owned) } else { None })
}

/// What all spans of a trace share, but for the agent's name.
fn put_of_trace(out: &mut Vec<u8>, trace: &TraceCore) {
    if let Some(version) = trace.version() {
        put_text(out, ATTRIBUTE, gen_ai::AGENT_VERSION, version);
    }
    let state = trace.state();
    let details = state.details();
    if let Some(session) = &details.session {
        put_text(out, ATTRIBUTE, general::SESSION_ID, session);
        put_text(out, ATTRIBUTE, gen_ai::CONVERSATION_ID, session);
    }
    if let Some(user) = &details.user {
        put_text(out, ATTRIBUTE, general::USER_ID, user);
    }
}

/// The conventions count what came from a cache among the tokens read.
fn put_usage(out: &mut Vec<u8>, usage: TokenUsage, model: Option<&str>, cached_apart: Option<bool>) {
    let number = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    let input = crate::llm::inclusive_input(usage, model, cached_apart);
    put_int(out, ATTRIBUTE, gen_ai::INPUT_TOKENS, number(input));
    put_int(out, ATTRIBUTE, gen_ai::OUTPUT_TOKENS, number(usage.output));
    if let Some(cached) = usage.cached_input {
        put_int(out, ATTRIBUTE, gen_ai::CACHE_READ_TOKENS, number(cached));
    }
    if let Some(created) = usage.cache_creation_input {
        put_int(out, ATTRIBUTE, gen_ai::CACHE_CREATION_TOKENS, number(created));
    }
    if let Some(reasoning) = usage.reasoning {
        put_int(out, ATTRIBUTE, gen_ai::REASONING_TOKENS, number(reasoning));
    }
}

/// The span's tags; on the root, the trace's as well.
fn put_tags(out: &mut Vec<u8>, view: View<'_>, root: bool) {
    if root {
        let state = view.trace.state();
        let of_trace = state.details().tags.iter().map(|tag| &**tag);
        let tags = unique_tags(view.tags().chain(of_trace));
        if !tags.is_empty() {
            put_texts(out, ATTRIBUTE, ours::TAGS, &tags);
        }
    } else if view.tags().next().is_some() {
        put_texts(out, ATTRIBUTE, ours::TAGS, &unique_tags(view.tags()));
    }
}

/// Cuts `text` after at most `most` bytes, where no character is split.
fn cut_bytes(text: &str, most: usize) -> &str {
    let mut at = most.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    &text[..at]
}
