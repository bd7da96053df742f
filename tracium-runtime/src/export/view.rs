//! A span as a reader sees it: what was recorded at run time wins over what was known while compiling.

use std::time::Duration;

use super::SpanRecord;
use crate::content::Json;
use crate::tenant::TenantId;
use crate::trace::details::{CallFacts, Error, Key, SpanDetails};
use crate::trace::{TenantMark, TokenUsage, TraceCore};

/// A span and its details, read as one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) trace: &'a TraceCore,
    pub(crate) record: &'a SpanRecord,
    details: Option<&'a SpanDetails>,
}

impl<'a> View<'a> {
    pub(crate) fn new(trace: &'a TraceCore, record: &'a SpanRecord, details: Option<&'a SpanDetails>) -> Self {
        Self { trace, record, details }
    }

    /// The tenant that the span opened under.
    pub(crate) fn tenant(self) -> Option<TenantId> {
        match (self.record.tenant, self.details) {
            // It may have been taken from beside the trace with the rest of the details.
            (TenantMark::Own, Some(details)) => details.tenant.clone(),
            (mark, _) => mark.resolve(self.trace, self.record.id),
        }
    }

    pub(crate) fn kind(self) -> &'a str {
        self.details.and_then(|details| details.kind.as_deref()).unwrap_or(self.record.meta.kind)
    }

    /// The root is named after its agent where nobody named it.
    pub(crate) fn name(self) -> &'a str {
        let named = self.details.and_then(|details| details.name.as_deref());
        let meta = self.record.meta.name;
        named.unwrap_or(if meta.is_empty() { self.trace.agent() } else { meta })
    }

    /// The span's own model, without its trace's.
    pub(crate) fn model(self) -> Option<&'a str> {
        self.details.and_then(|details| details.model.as_deref()).or(self.record.meta.model)
    }

    /// The tokens of the span; where a call beneath it has those that were told, what was seen of others.
    pub(crate) fn usage(self) -> Option<TokenUsage> {
        let details = self.details?;
        match &details.llm {
            Some(facts) if facts.usage_below => facts.exchanges.usage(),
            _ => details.usage,
        }
    }

    /// What is known of the model's call that the span is.
    pub(crate) fn call(self) -> Option<&'a CallFacts> {
        self.details?.llm.as_deref()
    }

    /// Whether the span is a call of a model, and none beneath it is the same one.
    pub(crate) fn is_call(self) -> bool {
        !self.call().is_some_and(|facts| facts.call_below)
    }

    pub(crate) fn error(self) -> Option<&'a Error> {
        self.details.and_then(|details| details.error.as_ref())
    }

    /// Whether anything was recorded beside the bare span.
    pub(crate) fn has_details(self) -> bool {
        self.details.is_some()
    }

    pub(crate) fn input(self) -> Option<&'a Json> {
        self.details.and_then(|details| details.input.as_ref())
    }

    pub(crate) fn output(self) -> Option<&'a Json> {
        self.details.and_then(|details| details.output.as_ref())
    }

    pub(crate) fn tools(self) -> Option<&'a Json> {
        self.details.and_then(|details| details.tools.as_ref())
    }

    pub(crate) fn tool_calls(self) -> Option<&'a Json> {
        self.details.and_then(|details| details.tool_calls.as_ref())
    }

    pub(crate) fn metadata(self) -> &'a [(Key, Json)] {
        self.details.map_or(&[], |details| &details.metadata)
    }

    pub(crate) fn has_metadata(self, key: &str) -> bool {
        self.metadata().iter().any(|(known, _)| **known == *key)
    }

    /// The constant tags, then those that were added.
    pub(crate) fn tags(self) -> impl Iterator<Item = &'a str> {
        let added = self.details.map_or(&[][..], |details| &details.tags);
        self.record.meta.tags.iter().copied().chain(added.iter().map(|tag| &**tag))
    }

    /// How long the span took; `None` while it is open.
    pub(crate) fn duration(self) -> Option<Duration> {
        Some(self.record.ended?.since(self.record.started))
    }
}

impl Error {
    /// The text that a reader sees: the message, or the error's type where content is not captured.
    pub(crate) fn text(&self) -> &str {
        if self.message.is_empty() { &self.type_name } else { &self.message }
    }
}
