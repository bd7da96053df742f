//! Tokens, calls and failures per tenant and model, as they pass.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_core::ser::{Serialize, SerializeStruct, Serializer};

use super::view::View;
use crate::TenantId;

/// How many pairs of tenant and model are told apart; what comes after is counted as one.
const MOST: usize = 10_000;
/// How many models of one tenant: where its users name them, it takes no other tenant's rows.
const MOST_OF_TENANT: usize = 100;

/// What was used, per tenant and model, since the start. Made by [`usage`](crate::usage).
///
/// It is serde data as well: `{"rows": [..], "others": {..}}`, where a row has its fields under their names, and its time
/// as `time_ms`, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// A row for each tenant and model, sorted by both. No tenant comes first.
    pub rows: Vec<TenantUsage>,
    /// What belongs to none of the rows, since there are 10,000 already, or 100 of its tenant.
    pub others: TenantUsage,
}

/// What one tenant used of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TenantUsage {
    /// The tenant; `None` for work without one.
    pub tenant: Option<TenantId>,
    /// The model; `None` where no span named one.
    pub model: Option<String>,
    /// Model calls: spans of kind `llm` or `embedding`, and others that know their tokens. A call that is seen in several
    /// ways, one beneath the other, is counted once.
    pub calls: u64,
    /// Model calls that failed.
    pub errors: u64,
    /// Tokens read, as the providers report them.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Of those, tokens of the models' reasoning.
    pub reasoning_tokens: u64,
    /// Tokens read from providers' caches.
    pub cached_input_tokens: u64,
    /// Tokens written into providers' caches.
    pub cache_creation_input_tokens: u64,
    /// The time that the calls took, each until its last byte; calls at one time count each for itself.
    pub time: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Totals {
    rows: BTreeMap<(Option<TenantId>, Option<String>), TenantUsage>,
    others: TenantUsage,
}

impl Totals {
    /// Counts a span that called a model: one of kind `llm` or `embedding`, or one that knows its tokens.
    pub(crate) fn count(&mut self, span: View<'_>) {
        let usage = span.usage();
        let is_call = span.is_call();
        if usage.is_none() && !(is_call && matches!(span.kind(), "llm" | "embedding")) {
            return;
        }
        let model = span.model().map(str::to_owned).or_else(|| span.trace.model());
        let key = (span.tenant(), model);
        let row = if self.rows.contains_key(&key) || self.has_room(key.0.as_ref()) {
            self.rows.entry(key.clone()).or_insert_with(|| TenantUsage {
                tenant: key.0,
                model: key.1,
                ..TenantUsage::default()
            })
        } else {
            &mut self.others
        };
        let tokens = usage.unwrap_or_default();
        if is_call {
            row.calls += 1;
            row.errors += u64::from(span.error().is_some());
            row.time = row.time.saturating_add(span.duration().unwrap_or_default());
        }
        row.input_tokens = row.input_tokens.saturating_add(tokens.input);
        row.output_tokens = row.output_tokens.saturating_add(tokens.output);
        row.reasoning_tokens = row.reasoning_tokens.saturating_add(tokens.reasoning.unwrap_or(0));
        row.cached_input_tokens = row.cached_input_tokens.saturating_add(tokens.cached_input.unwrap_or(0));
        row.cache_creation_input_tokens =
            row.cache_creation_input_tokens.saturating_add(tokens.cache_creation_input.unwrap_or(0));
    }

    /// Whether there may be one more row, of `tenant`.
    fn has_room(&self, tenant: Option<&TenantId>) -> bool {
        // No model comes first.
        let from = self.rows.range((tenant.cloned(), None)..);
        let of_tenant = from.take_while(|((whose, _), _)| whose.as_ref() == tenant);
        self.rows.len() < MOST && of_tenant.count() < MOST_OF_TENANT
    }

    pub(crate) fn snapshot(&self) -> Usage {
        Usage { rows: self.rows.values().cloned().collect(), others: self.others.clone() }
    }
}

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut usage = serializer.serialize_struct("Usage", 2)?;
        usage.serialize_field("rows", &self.rows)?;
        usage.serialize_field("others", &self.others)?;
        usage.end()
    }
}

impl Serialize for TenantUsage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_struct("TenantUsage", 10)?;
        row.serialize_field("tenant", &self.tenant)?;
        row.serialize_field("model", &self.model)?;
        row.serialize_field("calls", &self.calls)?;
        row.serialize_field("errors", &self.errors)?;
        row.serialize_field("input_tokens", &self.input_tokens)?;
        row.serialize_field("output_tokens", &self.output_tokens)?;
        row.serialize_field("cached_input_tokens", &self.cached_input_tokens)?;
        row.serialize_field("cache_creation_input_tokens", &self.cache_creation_input_tokens)?;
        row.serialize_field("reasoning_tokens", &self.reasoning_tokens)?;
        row.serialize_field("time_ms", &u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX))?;
        row.end()
    }
}
