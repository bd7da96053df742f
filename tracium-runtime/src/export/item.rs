//! What the export thread holds of traces and spans.

use std::ops::Deref;
use std::sync::Arc;

use crate::SpanId;
use crate::clock::Timestamp;
use crate::collect::segment::End;
use crate::collect::shares::HolderId;
use crate::trace::details::SpanDetails;
use crate::trace::{SpanMeta, Status, TenantMark, TraceCore};

/// A trace as the export thread shares it: however many of these there are, they are one holder of the trace, so that
/// the thread can tell whether anybody else is left who may add to it.
#[derive(Debug)]
pub(crate) struct Tracked(Arc<TraceCore>);

impl Tracked {
    pub(crate) fn new(trace: Arc<TraceCore>) -> Arc<Self> {
        Arc::new(Self(trace))
    }

    pub(crate) fn into_inner(self) -> Arc<TraceCore> {
        self.0
    }

    /// Nobody but the export thread holds the trace.
    pub(crate) fn is_ours_alone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl Deref for Tracked {
    type Target = TraceCore;
    fn deref(&self) -> &TraceCore {
        &self.0
    }
}

/// A span, as it was collected. Its trace is known to whoever holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpanRecord {
    pub(crate) id: SpanId,
    pub(crate) parent: SpanId,
    pub(crate) meta: &'static SpanMeta,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) depth: u32,
    pub(crate) tenant: TenantMark,
    pub(crate) status: Status,
}

impl SpanRecord {
    /// The root of `trace`: still open, or as it ended.
    pub(crate) fn root(trace: &TraceCore, end: Option<End>) -> Self {
        Self {
            id: trace.root,
            parent: trace.root,
            meta: &trace.meta.span,
            started: trace.started,
            ended: end.map(|end| end.at),
            depth: 0,
            tenant: TenantMark::OfTrace,
            status: end.map_or(Status::Completed, |end| end.status),
        }
    }
}

/// A span that ended, with what was recorded on it. A million of them wait at once, so it has no byte too much.
#[derive(Debug)]
pub(crate) struct SpanItem {
    pub(crate) record: SpanRecord,
    pub(crate) details: Option<Box<SpanDetails>>,
    /// The sweep that brought it: a flush waits for all up to its own. There are ten a second.
    pub(crate) sweep: u32,
    /// Whose it is.
    pub(crate) holder: HolderId,
}

const _: () = assert!(size_of::<SpanItem>() == 64);

impl SpanItem {
    /// The bytes that its values were admitted with.
    pub(crate) fn captured(&self) -> usize {
        self.details.as_ref().map_or(0, |details| details.bytes)
    }
}

/// The outcome of a trace: its root, ended.
#[derive(Debug)]
pub(crate) struct TraceItem {
    pub(crate) root: SpanRecord,
    pub(crate) details: Option<Box<SpanDetails>>,
    pub(crate) sweep: u32,
    /// Whose it is.
    pub(crate) holder: HolderId,
    /// What the trace as a whole was admitted with. Of another exporter's copy nothing: it is given back once.
    pub(crate) of_trace: usize,
}
