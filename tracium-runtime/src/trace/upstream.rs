//! A trace that another process opened.

use std::sync::OnceLock;

use crate::collect::Sink;
use crate::tenant::TenantId;
use crate::{SpanId, TraceId};

/// What came with a context from another process.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) id: TraceId,
    /// The application's own id of the trace.
    pub(crate) external_id: Option<Box<str>>,
    pub(crate) agent: Option<Box<str>>,
    /// The trace's, which may be another than the context's.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) parent: SpanId,
    pub(crate) sampled: bool,
    /// Of W3C Trace Context: other vendors', to be handed on.
    pub(crate) trace_state: Option<Box<str>>,
    pub(crate) sink: Sink,
}

/// What a trace keeps of where it came from.
#[derive(Debug, Default)]
pub(crate) struct Upstream {
    pub(crate) sampled: bool,
    pub(crate) trace_state: Option<Box<str>>,
    /// The first agent that ran in it here, where upstream did not say whose trace it is.
    pub(crate) first_agent: OnceLock<Box<str>>,
}
