//! A thread's part of the collector: its own thread writes, the export thread takes.

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, thread_local};
use std::cell::Cell;
use std::sync::{Arc, PoisonError, TryLockError};

use super::collector::Whose;
use super::segment::{End, NewSpan, PackedSpan, Segment};
use super::{Collector, Ticket};
use crate::trace::TraceCore;
use crate::{SpanId, id};

/// What the export thread sees of a thread. When its thread has ended and all is taken, another one gets it.
#[derive(Debug)]
pub(crate) struct ThreadBuffer {
    shared: Mutex<Shared>,
    /// Spans and traces that ended here, ever. Written by the thread itself only.
    emitted: AtomicU64,
    /// The thread has ended: nothing follows what is here now.
    ended: AtomicBool,
}

#[derive(Debug)]
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
    pub(crate) const fn new() -> Self {
        Self {
            shared: Mutex::new(Shared {
                current: None,
                full: Vec::new(),
                starts: Vec::new(),
                ends: Vec::new(),
                root_ends: Vec::new(),
            }),
            emitted: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`lock`](Self::lock) for the thread itself; `None` in a process that was forked off while the export thread held it.
    #[inline]
    fn lock_of(&self, collector: &Collector) -> Option<MutexGuard<'_, Shared>> {
        if cfg!(all(test, tracium_loom)) {
            return Some(self.lock());
        }
        match self.shared.try_lock() {
            Ok(shared) => Some(shared),
            Err(TryLockError::Poisoned(shared)) => Some(shared.into_inner()),
            Err(TryLockError::WouldBlock) => self.wait_for(collector),
        }
    }

    #[cold]
    fn wait_for(&self, collector: &Collector) -> Option<MutexGuard<'_, Shared>> {
        (!collector.is_forked()).then(|| self.lock())
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
    /// Of that collector; without one, nobody's, and never written to.
    buffer: Cell<&'static ThreadBuffer>,
    segment: Cell<&'static Segment>,
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

/// No segment's serial number, and no ticket's.
const NOWHERE: u64 = u64::MAX;
static NO_SEGMENT: Segment = Segment::new();
static NO_BUFFER: ThreadBuffer = ThreadBuffer::new();

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
            buffer: Cell::new(&NO_BUFFER),
            segment: Cell::new(&NO_SEGMENT),
            next: Cell::new(0),
            limit: Cell::new(0),
            serial: Cell::new(NOWHERE),
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

    /// Writes the record that `span` makes, where the thread is ready to write for
    /// `collector`; `None` where it has to make ready first.
    #[inline(always)]
    pub(crate) fn write_if_ready(collector: &'static Collector, span: impl FnOnce() -> PackedSpan) -> Option<Place> {
        // Each look at what is the thread's own is a small one, so that the compiler makes one of all.
        let (next, limit) = WRITER.with(|writer| (writer.next.get(), writer.limit.get()));
        let (ours, segment) = WRITER.with(|writer| (writer.collector.get(), writer.segment.get()));
        if next == limit || !ours.is_some_and(|ours| std::ptr::eq(ours, collector)) {
            return None;
        }
        let (first, serial) = WRITER.with(|writer| (writer.first.get(), writer.serial.get()));
        WRITER.with(|writer| writer.next.set(next + 1));
        let index = next as u8;
        segment.push(index, span());
        Some(Place { ticket: Ticket::new(serial, index), id: SpanId::at(first + u64::from(index)) })
    }

    /// Writes a record; where it lies, or `None` where the buffers have no room.
    pub(crate) fn write(collector: &'static Collector, span: &NewSpan, whose: Whose<'_>) -> Option<Place> {
        Self::with(|writer| {
            let place = writer.place(collector, whose)?;
            writer.push(span.packed());
            Some(place)
        })
    }

    /// Where the next record goes; `None` where the buffers have no room.
    #[inline]
    pub(crate) fn place(&self, collector: &'static Collector, whose: Whose<'_>) -> Option<Place> {
        let is_ready = self.next.get() != self.limit.get() && self.is_of(collector);
        if !is_ready && !self.renew(collector, whose) {
            return None;
        }
        let index = self.next.get() as u8;
        let id = SpanId::at(self.first.get() + u64::from(index));
        Some(Place { ticket: Ticket::new(self.serial.get(), index), id })
    }

    /// Writes the record of the place that was just asked for.
    #[inline]
    pub(crate) fn push(&self, span: PackedSpan) {
        let index = self.next.get();
        self.next.set(index + 1);
        self.segment.get().push(index as u8, span);
        if self.late.get() {
            self.hand_over();
        }
    }

    #[inline]
    fn is_of(&self, collector: &'static Collector) -> bool {
        self.collector.get().is_some_and(|ours| std::ptr::eq(ours, collector))
    }

    /// Ends the span at `ticket`, where its record lies in the segment that is being written; else false.
    #[inline(always)]
    pub(crate) fn end_in_place(ticket: Ticket, end: End) -> bool {
        let (serial, segment) = WRITER.with(|writer| (writer.serial.get(), writer.segment.get()));
        if ticket.serial() != serial {
            return false;
        }
        WRITER.with(|writer| writer.buffer.get()).count();
        segment.end(ticket.index(), end);
        true
    }

    /// Ends a discarded trace's root: it never was, so it does not count.
    pub(crate) fn end_uncounted(&self, collector: &'static Collector, ticket: Ticket, trace: u64, end: End) {
        if ticket.serial() == self.serial.get() {
            self.segment.get().end(ticket.index(), end);
        } else {
            self.with_buffer(collector, |buffer| {
                if let Some(mut shared) = buffer.lock_of(collector) {
                    shared.root_ends.push((trace, end));
                }
            });
        }
    }

    /// Ends a span whose record lies elsewhere.
    #[cold]
    pub(crate) fn end_elsewhere(&self, collector: &'static Collector, span: SpanId, end: End) {
        self.with_buffer(collector, |buffer| {
            if let Some(mut shared) = buffer.lock_of(collector) {
                buffer.count();
                shared.ends.push((span, end));
            }
        });
    }

    /// Ends a trace whose root's record lies elsewhere.
    #[cold]
    pub(crate) fn end_root_elsewhere(&self, collector: &'static Collector, trace: u64, end: End) {
        self.with_buffer(collector, |buffer| {
            if let Some(mut shared) = buffer.lock_of(collector) {
                buffer.count();
                shared.root_ends.push((trace, end));
            }
        });
    }

    /// Counts what ended and is not kept.
    #[cold]
    pub(crate) fn count_lost(&self, collector: &'static Collector) {
        self.with_buffer(collector, ThreadBuffer::count);
    }

    #[inline]
    pub(crate) fn trace_started(&self, collector: &'static Collector, trace: Arc<TraceCore>) {
        self.with_buffer(collector, |buffer| {
            if let Some(mut shared) = buffer.lock_of(collector) {
                shared.starts.push(trace);
            }
        });
    }

    #[inline]
    fn with_buffer(&self, collector: &'static Collector, work: impl FnOnce(&'static ThreadBuffer)) {
        let Some(buffer) = self.buffer_of(collector) else { return };
        work(buffer);
        if self.late.get() && self.serial.get() == NOWHERE {
            self.hand_over();
        }
    }

    #[inline]
    fn buffer_of(&self, collector: &'static Collector) -> Option<&'static ThreadBuffer> {
        if self.is_of(collector) { Some(self.buffer.get()) } else { self.attach(collector) }
    }

    /// Registers the thread with `collector`, and takes leave of the one before; `None` where the collector is one of the
    /// process that this one was forked off.
    #[cold]
    fn attach(&self, collector: &'static Collector) -> Option<&'static ThreadBuffer> {
        if collector.is_forked() {
            return None;
        }
        if self.collector.get().is_some_and(Collector::is_abandoned) {
            id::begin_anew();
        }
        self.hand_over();
        // Past the thread's end there is nobody left to hand over later.
        self.late.set(LEAVE.try_with(|_| ()).is_err());
        let buffer = collector.register();
        self.collector.set(Some(collector));
        self.buffer.set(buffer);
        Some(buffer)
    }

    /// Begins another segment, and hands the full one over; false where the buffers have no room.
    #[cold]
    fn renew(&self, collector: &'static Collector, whose: Whose<'_>) -> bool {
        let Some((segment, serial, first)) = collector.take_segment(whose) else { return false };
        let Some(buffer) = self.buffer_of(collector) else { return false };
        let mut shared = buffer.lock();
        let full = shared.current.replace(segment);
        shared.full.extend(full);
        drop(shared);
        self.next.set(0);
        self.limit.set(segment.admitted());
        self.segment.set(segment);
        self.serial.set(serial);
        self.first.set(first);
        true
    }

    /// Takes leave of the collector: what was written here is all there will be.
    fn hand_over(&self) {
        self.next.set(0);
        self.limit.set(0);
        self.serial.set(NOWHERE);
        self.segment.set(&NO_SEGMENT);
        let buffer = self.buffer.replace(&NO_BUFFER);
        if self.collector.take().is_some() {
            buffer.ended.store(true, Ordering::Release);
        }
    }
}
