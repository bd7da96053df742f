//! Tokens, calls and failures per tenant and model, as they pass.

use std::collections::BTreeMap;
use std::time::Duration;

use super::view::View;
use crate::TenantId;

/// How many pairs of tenant and model are told apart; what comes after is counted as one.
const MOST: usize = 10_000;

/// What was used, per tenant and model, since the start. Made by [`usage`](crate::usage).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// A row for each tenant and model, sorted by both. No tenant comes first.
    pub rows: Vec<TenantUsage>,
    /// What belongs to none of the rows, since there are 10,000 already.
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
    /// Model calls.
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
    /// The time that the calls took.
    pub time: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Totals {
    rows: BTreeMap<(Option<TenantId>, Option<String>), TenantUsage>,
    others: TenantUsage,
}

impl Totals {
    /// Counts a span that called a model: one of kind `llm`, or one that knows its tokens.
    pub(crate) fn count(&mut self, span: View<'_>) {
        let usage = span.usage();
        let is_call = span.is_call();
        if usage.is_none() && (span.kind() != "llm" || !is_call) {
            return;
        }
        let model = span.model().map(str::to_owned).or_else(|| span.trace.model());
        let key = (span.tenant(), model);
        let row = if self.rows.len() < MOST || self.rows.contains_key(&key) {
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

    pub(crate) fn snapshot(&self) -> Usage {
        Usage { rows: self.rows.values().cloned().collect(), others: self.others.clone() }
    }
}
