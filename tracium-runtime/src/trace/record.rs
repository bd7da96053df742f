//! A span as it is collected.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::tenant::TenantId;
use crate::trace::{SpanMeta, TraceCore};
use crate::{SpanId, collect};

/// How a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Completed,
    /// Failed, panicked or was cancelled; the details say which.
    Failed,
}

/// A span: what is known when it opens, and its end.
#[derive(Clone, Debug)]
pub(crate) struct SpanRecord {
    pub(crate) trace: Arc<TraceCore>,
    pub(crate) id: SpanId,
    pub(crate) parent: SpanId,
    pub(crate) meta: &'static SpanMeta,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) depth: u32,
    pub(crate) status: Status,
}

/// A span that has not ended, held by the scope or the handle that opened it.
#[derive(Debug)]
pub(crate) struct OpenSpan {
    pub(crate) record: SpanRecord,
    pub(crate) ticket: collect::Ticket,
    /// The span opened its trace, which ends with it.
    pub(crate) owns_trace: bool,
}

impl OpenSpan {
    /// Ends the span; `failure` wins over what the body said with `fail`, which wins over `completed`.
    pub(crate) fn close(mut self, failure: Option<super::details::Error>) {
        let trace = Arc::clone(&self.record.trace);
        if let Some(error) = failure {
            trace.set_error(self.record.id, error, self.record.tenant.as_ref());
        }
        if trace.has_error(self.record.id) {
            self.record.status = Status::Failed;
        }
        self.record.ended = Some(Timestamp::now());
        let owns_trace = self.owns_trace;
        let (ended, status) = (self.record.ended, self.record.status);
        if self.record.id == trace.root {
            trace.sink.trace_ended(self.record);
            return;
        }
        if owns_trace && status == Status::Failed {
            trace.copy_error(self.record.id, trace.root);
        }
        trace.sink.span_closed(self.ticket, self.record);
        if owns_trace {
            let mut root = trace.root_record(trace.started);
            root.ended = ended;
            root.status = status;
            trace.sink.trace_ended(root);
        }
    }
}
