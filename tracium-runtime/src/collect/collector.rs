//! The collector: every thread's buffer, one budget, one ledger.

use std::sync::{Arc, OnceLock, PoisonError};

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};

use super::cores::Cores;
use super::ledger::{DropReason, Ledger};
use super::policy::Policy;
use super::room::{OnFull, Room};
use super::segment::{End, NewSpan, RECORDS, Segment};
use super::shares::{Amount, Shares};
use super::thread::{Place, ThreadBuffer, Writer};
use super::{Budget, Sink, Ticket};
use crate::tenant::TenantId;
use crate::trace::{Opening, RootPlace, TenantMark, TraceCore};
use crate::{SpanId, id};

/// Finds out whose something is that comes; asked only where the buffers are almost full.
pub(crate) type Whose<'a> = &'a dyn Fn() -> Option<TenantId>;

#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) budget: Budget,
    pub(crate) ledger: Ledger,
    /// The exporters by their names, each with its accounting; the first one's is `ledger`.
    pub(crate) exporters: OnceLock<Vec<(&'static str, &'static Ledger)>>,
    pub(crate) policy: Policy,
    pub(crate) shares: Shares,
    pub(crate) room: Room,
    threads: Mutex<Vec<&'static ThreadBuffer>>,
    /// Segments that were read to their end, to be written again, and buffers of threads that have ended. Neither is ever
    /// freed: a writer needs no count of references then, and there are never more than the largest burst took.
    segments: Mutex<Vec<&'static Segment>>,
    buffers: Mutex<Vec<&'static ThreadBuffer>>,
    pub(crate) cores: Cores,
    closed: AtomicBool,
    /// Closed since the export could not be kept going.
    failed: AtomicBool,
    /// The process that it is of; another one has a copy of it that nobody reads.
    process: u32,
    /// Closed since this process was forked off the one that it is of.
    abandoned: std::sync::atomic::AtomicBool,
    /// The collector of the process that was forked off this one's, there.
    next: OnceLock<&'static Self>,
    /// What the ids of its spans are counted from: by chance, so that processes do not make the same.
    first_place: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Collector {
    /// A collector for as long as the process lives: every trace refers to it, and none counts its references.
    pub(crate) fn new(budget: Budget, policy: Policy) -> &'static Self {
        Self::of_process(std::process::id(), budget, policy)
    }

    /// That of another process, as one that was forked off it has it.
    pub(crate) fn of_process(process: u32, budget: Budget, policy: Policy) -> &'static Self {
        Box::leak(Box::new(Self {
            budget,
            ledger: Ledger::default(),
            exporters: OnceLock::new(),
            policy,
            shares: Shares::new(),
            room: Room::default(),
            threads: Mutex::default(),
            segments: Mutex::default(),
            buffers: Mutex::default(),
            cores: Cores::default(),
            closed: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            process,
            abandoned: std::sync::atomic::AtomicBool::new(false),
            next: OnceLock::new(),
            first_place: id::next_random(),
        }))
    }

    /// One with the same limits, and nothing in it.
    pub(crate) fn anew(&self) -> &'static Self {
        Self::new(self.budget.anew(), self.policy.clone())
    }

    pub(super) fn register(&self) -> &'static ThreadBuffer {
        let buffer = lock(&self.buffers).pop().unwrap_or_else(|| Box::leak(Box::new(ThreadBuffer::new())));
        lock(&self.threads).push(buffer);
        buffer
    }

    /// A segment to write into, where the budget has room for one and whoever asks for it has not more than its share; its
    /// serial number, and the place of its first record.
    pub(super) fn take_segment(&'static self, whose: Whose<'_>) -> Option<(&'static Segment, u64, u64)> {
        let taken = self.try_take_segment(whose);
        if taken.is_none() && !self.is_closed() {
            // Once closed there is nothing to wait for.
            let again = || if self.is_closed() { Some(None) } else { self.try_take_segment(whose).map(Some) };
            return self.room.wait(self.policy.on_full, again).flatten();
        }
        taken
    }

    fn try_take_segment(&'static self, whose: Whose<'_>) -> Option<(&'static Segment, u64, u64)> {
        // From 1: 0 is no segment's. The process's, and std's in models, too: it tells apart, and orders nothing.
        static SERIAL: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        if self.is_closed() {
            return None;
        }
        if self.is_forked() {
            crate::export::after_fork(self);
            return None;
        }
        if self.shares.is_pressed() && self.shares.refuses(whose().as_ref(), Amount::of(RECORDS, 0), &self.budget) {
            return None;
        }
        let admitted = self.budget.take_records(RECORDS);
        if self.budget.is_past_mark() {
            self.shares.press(&self.budget);
        }
        if admitted == 0 {
            return None;
        }
        if self.policy.on_full != OnFull::Drop {
            self.room.found();
        }
        let mut segments = lock(&self.segments);
        if segments.is_empty() {
            segments.extend(Segment::block());
        }
        let segment = segments.pop()?;
        drop(segments);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let first = self.first_place.wrapping_add(serial << 8);
        segment.begin(first, admitted);
        Some((segment, serial, first))
    }

    /// Takes back a segment that was read to its end.
    pub(crate) fn recycle(&self, segment: &'static Segment) {
        segment.clear();
        lock(&self.segments).push(segment);
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Closes it: the export cannot be kept going.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
        self.close();
    }

    /// Whether this process was forked off the one that it is of. What other threads held a lock of when that happened
    /// stays locked here.
    pub(crate) fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }

    /// Closes it in a process that was forked off, without a lock.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
        self.close();
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// The collector that was put in its place in this process, or itself.
    #[inline]
    pub(crate) fn latest(&'static self) -> &'static Self {
        let mut latest = self;
        while let Some(next) = latest.next.get() {
            latest = next;
        }
        latest
    }

    /// Puts `next` in its place; false where there is one already.
    pub(crate) fn succeed(&self, next: &'static Self) -> bool {
        self.next.set(next).is_ok()
    }

    /// Opens a trace, and writes its root's record.
    #[inline(always)]
    pub(crate) fn open_trace(&'static self, trace: Opening) -> Arc<TraceCore> {
        let place = if self.shares.is_pressed() && self.refuses_trace(&trace) {
            None
        } else {
            Writer::with(|writer| writer.place(self, &|| trace.tenant().cloned()))
        };
        let Some(Place { ticket, id }) = place else {
            return self.open_elsewhere(trace);
        };
        let trace = self.cores.open(trace, RootPlace { key: ticket.to_u64(), root: id, ticket });
        let root = NewSpan {
            trace: trace.key,
            parent: id,
            started: trace.started,
            meta: trace.meta.span.index(),
            depth: 0,
            tenant: TenantMark::OfTrace,
            is_root: true,
        };
        let known = Arc::clone(&trace);
        // The start first: whoever sees the record finds it.
        Writer::with(|writer| writer.trace_started(self, known));
        Writer::with(|writer| writer.push(root.packed()));
        trace
    }

    /// Opens a trace that has no room here: in the collector that took this one's place, or refused.
    #[cold]
    fn open_elsewhere(&'static self, trace: Opening) -> Arc<TraceCore> {
        let latest = self.latest();
        if self.is_abandoned() && !std::ptr::eq(latest, self) {
            return latest.open_trace(trace.into_sink(Sink::Collector(latest)));
        }
        Arc::new(trace.open(RootPlace { ticket: Ticket::REFUSED, ..RootPlace::unwritten() }))
    }

    /// Whether a trace that opens has to do without: its tenant has its share.
    #[cold]
    fn refuses_trace(&self, trace: &Opening) -> bool {
        // Who holds the table's lock may not exist here; a segment is asked for then, where that is found out.
        if self.is_forked() {
            return false;
        }
        let refuses = || self.shares.refuses(trace.tenant(), Amount::default(), &self.budget);
        refuses() && self.room.wait(self.policy.on_full, || (!refuses()).then_some(())).is_none()
    }

    /// Whether the buffers have room for `bytes` of captured values of `whose`, which are its then.
    pub(crate) fn admit_bytes(&self, bytes: usize, whose: Whose<'_>) -> bool {
        // Nobody will have it.
        if self.is_closed() {
            return false;
        }
        let more = Amount { records: 0, bytes };
        // In a process that was forked off, no lock is looked at, also where that has not been found out yet.
        if self.shares.is_pressed() && (self.is_forked() || self.shares.refuses(whose().as_ref(), more, &self.budget)) {
            return false;
        }
        let admitted = self.budget.take_bytes(bytes);
        if self.budget.is_past_mark() && !self.is_forked() {
            self.shares.press(&self.budget);
        }
        admitted
    }

    /// Gives back records and what was captured on them.
    pub(crate) fn give_back(&self, records: usize, captured: usize) {
        self.budget.give_back(records, captured);
        self.room.freed();
    }

    /// Whether `trace`, which is to do without the buffers, got room while this thread waited for it.
    #[cold]
    pub(crate) fn waits_for(&self, trace: &TraceCore) -> bool {
        let again = || (trace.is_admitted() || self.is_closed()).then(|| trace.is_admitted());
        trace.is_held_back() && !self.is_forked() && self.room.wait(self.policy.on_full, again) == Some(true)
    }

    /// A span of `trace` found no room. Where that is for its tenant's share, the trace goes without until there is more.
    #[cold]
    pub(crate) fn refused(&self, trace: &TraceCore) {
        // Who holds the table's lock may not exist in a process that was forked off.
        if self.shares.is_pressed()
            && !self.is_forked()
            && self.shares.refuses(trace.tenant().as_ref(), Amount::default(), &self.budget)
        {
            trace.hold_back(true);
        }
    }

    /// The trace of another process, which has no root here.
    pub(crate) fn remote_started(&'static self, trace: &Arc<TraceCore>) {
        Writer::with(|writer| writer.trace_started(self, Arc::clone(trace)));
    }

    /// Ends a trace, by its root.
    pub(crate) fn trace_ended(&'static self, trace: &TraceCore, end: End) {
        let (root, discarded) = (trace.root_ticket, trace.is_discarded());
        let kept = root != Ticket::REFUSED && !self.is_closed();
        Writer::with(|writer| match (kept, discarded) {
            (true, true) => writer.end_uncounted(self, root, trace.key, end),
            (true, false) if Writer::end_in_place(root, end) => {}
            (true, false) => writer.end_root_elsewhere(self, trace.key, end),
            (false, false) if !self.is_abandoned() => {
                writer.count_lost(self);
                self.lost(trace);
            }
            (false, _) => {}
        });
        if !kept {
            trace.settle_losses();
            if root != Ticket::REFUSED {
                self.give_back(1, 0);
            }
        }
    }

    /// Ends a span; false where it is not kept.
    pub(crate) fn span_closed(&'static self, trace: &TraceCore, ticket: Ticket, span: SpanId, end: End) -> bool {
        if ticket == Ticket::REFUSED || self.is_closed() {
            return self.span_lost(trace);
        }
        if !Writer::end_in_place(ticket, end) {
            Writer::with(|writer| writer.end_elsewhere(self, span, end));
        }
        true
    }

    #[cold]
    fn span_lost(&'static self, trace: &TraceCore) -> bool {
        // What was opened in the process that this one was forked off is that one's to count.
        if self.is_abandoned() {
            return false;
        }
        Writer::with(|writer| writer.count_lost(self));
        self.lost(trace);
        false
    }

    /// Counts what no exporter will have; on its tenant, when the trace is over.
    fn lost(&self, trace: &TraceCore) {
        let reason = self.refusal();
        self.ledger.drop_unseen(reason, 1);
        trace.note_loss(reason);
    }

    fn refusal(&self) -> DropReason {
        if self.failed.load(Ordering::Acquire) {
            return DropReason::ExportThread;
        }
        if self.is_closed() { DropReason::Shutdown } else { DropReason::QueueFull }
    }

    /// Every thread's buffer, as of now.
    pub(crate) fn threads(&self) -> Vec<&'static ThreadBuffer> {
        lock(&self.threads).clone()
    }

    /// Lets go of the buffer of a thread that has ended, once it was read to its end.
    pub(crate) fn retire(&self, ended: &'static ThreadBuffer) {
        let mut threads = lock(&self.threads);
        threads.retain(|thread| !std::ptr::eq(*thread, ended));
        self.ledger.retired.fetch_add(ended.reset(), Ordering::Relaxed);
        lock(&self.buffers).push(ended);
    }

    /// What lies in the spools of all exporters.
    pub(crate) fn spooled(&self) -> u64 {
        let ledgers = self.exporters.get().into_iter().flatten();
        ledgers.map(|(_, ledger)| ledger.spooled.load(Ordering::Relaxed)).sum()
    }

    /// What lies in the threads' buffers, and what ended there, ever.
    pub(crate) fn tally(&self) -> Tally {
        let threads = lock(&self.threads);
        let mut tally = Tally { emitted: self.ledger.retired.load(Ordering::Relaxed), ..Tally::default() };
        for thread in threads.iter() {
            tally.emitted += thread.emitted();
            let (waiting, unused) = thread.waiting();
            tally.waiting += waiting;
            tally.unused += unused;
        }
        tally
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Spans and traces that ended, ever.
    pub(crate) emitted: u64,
    /// Of them, the ones that the export thread has not taken.
    pub(crate) waiting: usize,
    /// Records that were admitted with their segment, and not written.
    pub(crate) unused: usize,
}
