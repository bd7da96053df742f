//! A thread's part of the collector: its own thread writes, the export thread takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::segment::{End, RawSpan, Segment};
use super::{Collector, Ticket};
use crate::SpanId;
use crate::id::IdSource;
use crate::trace::{RootEnd, TraceCore};

/// What the export thread sees of a thread.
#[derive(Debug, Default)]
pub(crate) struct ThreadBuffer {
    shared: Mutex<Shared>,
    /// Spans and traces that ended here, ever. Written by the thread itself only.
    emitted: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The segment that the thread writes into.
    pub(crate) current: Option<Arc<Segment>>,
    /// Segments that it is done with.
    pub(crate) full: Vec<Arc<Segment>>,
    /// Traces that started here, and those that ended here.
    pub(crate) starts: Vec<Arc<TraceCore>>,
    trace_ends: Vec<RootEnd>,
    /// Ends of spans whose records lie elsewhere: in a segment that was full, or in another thread's.
    pub(crate) ends: Vec<(SpanId, End)>,
    /// How many of `trace_ends` are outcomes that count.
    outcomes: usize,
}

impl ThreadBuffer {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts something that ended, before it can be seen to have.
    #[inline]
    fn count(&self) {
        self.emitted.store(self.emitted.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    pub(crate) fn emitted(&self) -> u64 {
        self.emitted.load(Ordering::Acquire)
    }

    /// What has ended and was not taken, counted where it lies; and the records that were admitted and not written.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let shared = self.lock();
        let mut counts = (shared.ends.len() + shared.outcomes, 0);
        for segment in shared.current.iter().chain(&shared.full) {
            counts.0 += segment.waiting();
            counts.1 += segment.admitted - segment.len();
        }
        counts
    }

    pub(crate) fn push_started(&self, trace: Arc<TraceCore>) {
        self.lock().starts.push(trace);
    }

    /// `counts` is false for a trace that was refused at once: it never was.
    pub(crate) fn push_ended(&self, root: RootEnd, counts: bool) {
        let mut shared = self.lock();
        if counts {
            self.count();
            shared.outcomes += 1;
        }
        shared.trace_ends.push(root);
    }

    pub(crate) fn count_lost(&self) {
        self.count();
    }
}

impl Shared {
    pub(crate) fn take_trace_ends(&mut self) -> Vec<RootEnd> {
        self.outcomes = 0;
        std::mem::take(&mut self.trace_ends)
    }
}

/// What a thread holds of itself.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) collector: &'static Collector,
    pub(crate) buffer: Arc<ThreadBuffer>,
    segment: Option<Arc<Segment>>,
    /// Where the next record goes, and where the last may.
    next: usize,
    limit: usize,
    /// Names `segment` in tickets; never the same for two segments.
    serial: u64,
    ids: IdSource,
}

impl Local {
    pub(crate) fn new(collector: &'static Collector) -> Self {
        Self {
            collector,
            buffer: collector.register(),
            segment: None,
            next: 0,
            limit: 0,
            serial: 0,
            ids: IdSource::new(),
        }
    }

    #[inline]
    pub(crate) fn next_span_id(&mut self) -> SpanId {
        SpanId::from_source(&mut self.ids)
    }

    #[inline]
    pub(crate) fn push(&mut self, span: &RawSpan) -> Ticket {
        if self.next == self.limit && !self.renew() {
            return Ticket::REFUSED;
        }
        let Some(segment) = &self.segment else { return Ticket::REFUSED };
        let index = self.next;
        segment.push(index, span);
        self.next += 1;
        Ticket::new(self.serial, index)
    }

    #[inline]
    pub(crate) fn end(&mut self, ticket: Ticket, span: SpanId, end: End) {
        self.buffer.count();
        match &self.segment {
            Some(segment) if ticket.serial() == self.serial => segment.end(ticket.index(), end),
            _ => self.buffer.lock().ends.push((span, end)),
        }
    }

    /// Hands the full segment over and begins another; false where the buffers have no room for one.
    #[cold]
    fn renew(&mut self) -> bool {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        let Some(segment) = self.collector.take_segment() else {
            return false;
        };
        let mut shared = self.buffer.lock();
        let full = shared.current.replace(Arc::clone(&segment));
        shared.full.extend(full);
        drop(shared);
        self.next = 0;
        self.limit = segment.admitted;
        self.segment = Some(segment);
        self.serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        true
    }
}
