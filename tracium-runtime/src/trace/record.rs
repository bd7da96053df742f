//! A span while it is open, and the end of a trace.

use std::sync::Arc;

use super::details::Error;
use super::{SpanMeta, TraceCore};
use crate::SpanId;
use crate::clock::Timestamp;
use crate::collect::Ticket;
use crate::tenant::TenantId;

/// How a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Completed,
    /// Failed, panicked or was cancelled; the details say which.
    Failed,
}

/// The tenant that a span opened under, told so that nothing is counted up or down for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TenantMark {
    /// It has none.
    None,
    /// Its trace's.
    OfTrace,
    /// One of its own, in a trace of none; noted in its details.
    Own,
}

impl TenantMark {
    /// The mark in the last two bits.
    #[inline(always)]
    pub(crate) fn from_bits(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::None,
            1 => Self::OfTrace,
            _ => Self::Own,
        }
    }

    /// The tenant of the span `span` of `trace`.
    pub(crate) fn resolve(self, trace: &TraceCore, span: SpanId) -> Option<TenantId> {
        match self {
            Self::None => None,
            Self::OfTrace => trace.tenant(),
            Self::Own => trace.state().span(span).and_then(|details| details.tenant.clone()),
        }
    }
}

/// A span that has not ended, held by the scope or the handle that opened it, beside its trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenSpan {
    pub(crate) id: SpanId,
    pub(crate) ticket: Ticket,
    pub(crate) depth: u32,
    pub(crate) tenant: TenantMark,
    /// The span opened its trace, which ends with it.
    pub(crate) owns_trace: bool,
    /// Its kind is that of a model's calls.
    pub(crate) is_llm: bool,
}

/// How a span began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    pub(crate) meta: &'static SpanMeta,
    pub(crate) parent: SpanId,
    pub(crate) started: Timestamp,
}

impl OpenSpan {
    /// Ends the span of `trace`; `failure` wins over a good end, and what the body said with `fail` over both.
    pub(crate) fn end(self, trace: &Arc<TraceCore>, failure: Option<Box<Error>>) {
        if failure.is_some() || trace.has_records() || self.owns_trace || self.id == trace.root {
            self.end_with_more(trace, failure);
        } else {
            trace.sink.span_closed(trace, self, Timestamp::now(), Status::Completed);
        }
    }

    #[cold]
    fn end_with_more(self, trace: &Arc<TraceCore>, failure: Option<Box<Error>>) {
        if let Some(error) = failure {
            trace.set_error(self.id, *error, self.tenant.resolve(trace, self.id).as_ref());
        }
        let status = if trace.has_error(self.id) { Status::Failed } else { Status::Completed };
        let at = Timestamp::now();
        if self.id == trace.root {
            trace.sink.trace_ended(trace, at, status);
            return;
        }
        // Before the span closes: from then on what is noted of it may be taken away.
        if self.owns_trace && status == Status::Failed {
            trace.copy_error(self.id, trace.root);
        }
        trace.sink.span_closed(trace, self, at, status);
        if self.owns_trace {
            trace.sink.trace_ended(trace, at, status);
        }
    }
}
