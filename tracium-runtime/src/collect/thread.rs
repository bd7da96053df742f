//! A thread's part of the collector: its own thread writes, the export thread takes.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::segment::{End, NewSpan, Segment};
use super::{Collector, Ticket};
use crate::SpanId;
use crate::trace::TraceCore;

/// What the export thread sees of a thread. When its thread has ended and all is taken, another one gets it.
#[derive(Debug, Default)]
pub(crate) struct ThreadBuffer {
    shared: Mutex<Shared>,
    /// Spans and traces that ended here, ever. Written by the thread itself only.
    emitted: AtomicU64,
    /// The thread has ended: nothing follows what is here now.
    ended: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The segment that the thread writes into.
    pub(crate) current: Option<&'static Segment>,
    /// Segments that it is done with.
    pub(crate) full: Vec<&'static Segment>,
    /// Traces that started here.
    pub(crate) starts: Vec<Arc<TraceCore>>,
    /// Ends of spans, and of the roots of traces, whose records lie elsewhere: in a segment that was full, or in another
    /// thread's.
    pub(crate) ends: Vec<(SpanId, End)>,
    pub(crate) root_ends: Vec<(u64, End)>,
}

impl Shared {
    pub(crate) fn is_empty(&self) -> bool {
        self.current.is_none()
            && self.full.is_empty()
            && self.starts.is_empty()
            && self.ends.is_empty()
            && self.root_ends.is_empty()
    }
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

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Makes it as good as new; what it counted.
    pub(crate) fn reset(&self) -> u64 {
        self.ended.store(false, Ordering::Relaxed);
        self.emitted.swap(0, Ordering::Relaxed)
    }

    /// What has ended and was not taken, counted where it lies; and the records that were admitted and not written.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let shared = self.lock();
        let mut counts = (shared.ends.len() + shared.root_ends.len(), 0);
        for segment in shared.current.iter().chain(&shared.full) {
            counts.0 += segment.waiting();
            counts.1 += segment.admitted() - segment.len();
        }
        counts
    }
}

/// The place of a record that is about to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) ticket: Ticket,
    pub(crate) id: SpanId,
}

/// What a thread writes with. It has no destructor of its own, so that reaching it needs no look at whether it is there.
#[derive(Debug)]
pub(crate) struct Writer {
    collector: Cell<Option<&'static Collector>>,
    buffer: Cell<Option<&'static ThreadBuffer>>,
    segment: Cell<Option<&'static Segment>>,
    /// Where the next record goes, and where none may any more.
    next: Cell<usize>,
    limit: Cell<usize>,
    /// Names the segment in tickets; never the same for two.
    serial: Cell<u64>,
    /// The place of the segment's first record, which its spans' ids are made of.
    first: Cell<u64>,
    /// The thread is past its end: what is written is handed over at once.
    late: Cell<bool>,
}

/// Hands over what its thread has, at the thread's end.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        Writer::with(Writer::hand_over);
    }
}

thread_local! {
    static WRITER: Writer = const {
        Writer {
            collector: Cell::new(None),
            buffer: Cell::new(None),
            segment: Cell::new(None),
            next: Cell::new(0),
            limit: Cell::new(0),
            serial: Cell::new(0),
            first: Cell::new(0),
            late: Cell::new(false),
        }
    };
    static LEAVE: Leave = const { Leave };
}

impl Writer {
    #[inline]
    pub(crate) fn with<R>(work: impl FnOnce(&Self) -> R) -> R {
        WRITER.with(work)
    }

    /// Whether the next record for `collector` has a place already.
    #[inline]
    fn is_ready(&self, collector: &'static Collector) -> bool {
        self.next.get() != self.limit.get() && self.is_of(collector)
    }

    #[inline]
    fn is_of(&self, collector: &'static Collector) -> bool {
        self.collector.get().is_some_and(|ours| std::ptr::eq(ours, collector))
    }

    /// Where the next record goes; `None` where the buffers have no room.
    #[inline]
    pub(crate) fn place(&self, collector: &'static Collector) -> Option<Place> {
        if !self.is_ready(collector) && !self.renew(collector) {
            return None;
        }
        let index = self.next.get() as u8;
        let id = SpanId::at(self.first.get() + u64::from(index));
        Some(Place { ticket: Ticket::new(self.serial.get(), index), id })
    }

    /// Writes the record of the place that was just asked for.
    #[inline]
    pub(crate) fn push(&self, span: &NewSpan) {
        if let Some(segment) = self.segment.get() {
            let index = self.next.get();
            self.next.set(index + 1);
            segment.push(index as u8, span);
        }
        if self.late.get() {
            self.hand_over();
        }
    }

    /// Ends the span at `ticket`, where its record lies in the segment that is being written; else false.
    #[inline]
    pub(crate) fn end_in_place(&self, ticket: Ticket, end: End) -> bool {
        if ticket.serial() != self.serial.get() {
            return false;
        }
        if let (Some(segment), Some(buffer)) = (self.segment.get(), self.buffer.get()) {
            buffer.count();
            segment.end(ticket.index(), end);
        }
        true
    }

    /// Ends a discarded trace's root: it never was, so it does not count.
    pub(crate) fn end_uncounted(&self, collector: &'static Collector, ticket: Ticket, trace: u64, end: End) {
        match self.segment.get() {
            Some(segment) if ticket.serial() == self.serial.get() => segment.end(ticket.index(), end),
            _ => self.with_buffer(collector, |buffer| buffer.lock().root_ends.push((trace, end))),
        }
    }

    /// Ends a span whose record lies elsewhere.
    #[cold]
    pub(crate) fn end_elsewhere(&self, collector: &'static Collector, span: SpanId, end: End) {
        self.with_buffer(collector, |buffer| {
            let mut shared = buffer.lock();
            buffer.count();
            shared.ends.push((span, end));
        });
    }

    /// Ends a trace whose root's record lies elsewhere.
    #[cold]
    pub(crate) fn end_root_elsewhere(&self, collector: &'static Collector, trace: u64, end: End) {
        self.with_buffer(collector, |buffer| {
            let mut shared = buffer.lock();
            buffer.count();
            shared.root_ends.push((trace, end));
        });
    }

    /// Counts what ended and is not kept.
    #[cold]
    pub(crate) fn count_lost(&self, collector: &'static Collector) {
        self.with_buffer(collector, ThreadBuffer::count);
    }

    pub(crate) fn trace_started(&self, collector: &'static Collector, trace: Arc<TraceCore>) {
        self.with_buffer(collector, |buffer| buffer.lock().starts.push(trace));
    }

    #[inline]
    fn with_buffer(&self, collector: &'static Collector, work: impl FnOnce(&'static ThreadBuffer)) {
        let buffer = match self.buffer.get() {
            Some(buffer) if self.is_of(collector) => buffer,
            _ => self.attach(collector),
        };
        work(buffer);
        if self.late.get() && self.segment.get().is_none() {
            self.hand_over();
        }
    }

    /// Registers the thread with `collector`, and takes leave of the one before.
    #[cold]
    fn attach(&self, collector: &'static Collector) -> &'static ThreadBuffer {
        self.hand_over();
        // Past the thread's end there is nobody left to hand over later.
        self.late.set(LEAVE.try_with(|_| ()).is_err());
        let buffer = collector.register();
        self.collector.set(Some(collector));
        self.buffer.set(Some(buffer));
        buffer
    }

    /// Begins another segment, and hands the full one over; false where the buffers have no room.
    #[cold]
    fn renew(&self, collector: &'static Collector) -> bool {
        let Some((segment, serial, first)) = collector.take_segment() else { return false };
        let buffer = match self.buffer.get() {
            Some(buffer) if self.is_of(collector) => buffer,
            _ => self.attach(collector),
        };
        let mut shared = buffer.lock();
        let full = shared.current.replace(segment);
        shared.full.extend(full);
        drop(shared);
        self.next.set(0);
        self.limit.set(segment.admitted());
        self.segment.set(Some(segment));
        self.serial.set(serial);
        self.first.set(first);
        true
    }

    /// Takes leave of the collector: what was written here is all there will be.
    fn hand_over(&self) {
        self.segment.set(None);
        self.next.set(0);
        self.limit.set(0);
        self.serial.set(0);
        self.collector.set(None);
        if let Some(buffer) = self.buffer.take() {
            buffer.ended.store(true, Ordering::Release);
        }
    }
}
