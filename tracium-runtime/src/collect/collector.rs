//! The collector: every thread's buffer, one budget, one ledger.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ledger::{DropReason, Ledger};
use super::policy::Policy;
use super::segment::{End, RECORDS, RawSpan, Segment};
use super::thread::{Local, ThreadBuffer};
use super::{Budget, Ticket};
use crate::SpanId;
use crate::trace::{RootEnd, TraceCore};

#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) budget: Budget,
    pub(crate) ledger: Ledger,
    pub(crate) policy: Policy,
    threads: Mutex<Vec<Arc<ThreadBuffer>>>,
    /// Segments that were read to their end, to be written again.
    pool: Mutex<Vec<Segment>>,
    closed: AtomicBool,
}

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Collector {
    /// A collector for as long as the process lives: every trace refers to it, and none counts its references.
    pub(crate) fn new(budget: Budget, policy: Policy) -> &'static Self {
        Box::leak(Box::new(Self {
            budget,
            ledger: Ledger::default(),
            policy,
            threads: Mutex::default(),
            pool: Mutex::default(),
            closed: AtomicBool::new(false),
        }))
    }

    #[inline]
    fn with_local<R>(&'static self, mut work: impl FnMut(&mut Local) -> R) -> R {
        let done = LOCAL.try_with(|local| {
            let mut local = local.try_borrow_mut().ok()?;
            Some(match &mut *local {
                Some(local) if std::ptr::eq(local.collector, self) => work(local),
                other => work(other.insert(Local::new(self))),
            })
        });
        // A span that ends in a thread-local's destructor finds its thread's part gone: it gets one of its own.
        done.ok().flatten().unwrap_or_else(|| work(&mut Local::new(self)))
    }

    pub(super) fn register(&self) -> Arc<ThreadBuffer> {
        let buffer = Arc::new(ThreadBuffer::default());
        lock(&self.threads).push(Arc::clone(&buffer));
        buffer
    }

    /// A segment to write into, where the budget has room for one.
    pub(super) fn take_segment(&self) -> Option<Arc<Segment>> {
        if self.is_closed() {
            return None;
        }
        let admitted = self.budget.take_records(RECORDS);
        if admitted == 0 {
            return None;
        }
        let mut segment = lock(&self.pool).pop().unwrap_or_else(Segment::new);
        segment.admitted = admitted;
        Some(Arc::new(segment))
    }

    /// Takes back a segment that was read to its end, where nobody else holds it.
    pub(crate) fn recycle(&self, segment: Arc<Segment>) {
        const MOST: usize = 64;
        if let Some(mut segment) = Arc::into_inner(segment) {
            segment.clear();
            let mut pool = lock(&self.pool);
            if pool.len() < MOST {
                pool.push(segment);
            }
        }
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn admit_trace(&self) -> bool {
        !self.is_closed() && self.budget.take_records(1) == 1
    }

    pub(crate) fn trace_started(&'static self, trace: &Arc<TraceCore>) {
        if trace.admitted {
            self.with_local(|local| local.buffer.push_started(Arc::clone(trace)));
        }
    }

    pub(crate) fn trace_ended(&'static self, root: RootEnd) {
        let discarded = root.trace.is_discarded();
        let admitted = root.trace.admitted;
        let kept = admitted && !self.is_closed();
        let mut root = Some(root);
        self.with_local(|local| match root.take() {
            Some(root) if kept => local.buffer.push_ended(root, !discarded),
            _ if !discarded => local.buffer.count_lost(),
            _ => {}
        });
        if !kept {
            self.budget.give_back(usize::from(admitted), 0);
            if !discarded {
                self.ledger.drop(self.refusal(), 1);
            }
        }
    }

    /// Writes the record of a span of `trace`, as `span` makes it of the id that it is given.
    #[inline]
    pub(crate) fn span_opened(&'static self, trace: &TraceCore, span: impl Fn(SpanId) -> RawSpan) -> (SpanId, Ticket) {
        self.with_local(|local| {
            let id = local.next_span_id();
            let kept = trace.admitted && !self.is_closed();
            (id, if kept { local.push(&span(id)) } else { Ticket::REFUSED })
        })
    }

    /// Ends a span; false where it is not kept.
    #[inline]
    pub(crate) fn span_closed(&'static self, ticket: Ticket, span: SpanId, end: End) -> bool {
        self.with_local(|local| {
            let kept = ticket != Ticket::REFUSED && !self.is_closed();
            if kept {
                local.end(ticket, span, end);
            } else {
                local.buffer.count_lost();
                self.ledger.drop(self.refusal(), 1);
            }
            kept
        })
    }

    fn refusal(&self) -> DropReason {
        if self.is_closed() { DropReason::Shutdown } else { DropReason::QueueFull }
    }

    /// Every thread's buffer, as of now.
    pub(crate) fn threads(&self) -> Vec<Arc<ThreadBuffer>> {
        lock(&self.threads).clone()
    }

    /// The buffers whose threads have ended: nothing follows what is in them now.
    pub(crate) fn ended_threads(&self) -> Vec<Arc<ThreadBuffer>> {
        let threads = lock(&self.threads);
        let ended = threads.iter().filter(|thread| Arc::strong_count(thread) == 1).cloned().collect();
        // With the count of holders, what the threads did before they let go is to be seen.
        fence(Ordering::Acquire);
        ended
    }

    /// Lets go of a buffer that was read for the last time.
    pub(crate) fn retire(&self, ended: &Arc<ThreadBuffer>) {
        let mut threads = lock(&self.threads);
        self.ledger.retired.fetch_add(ended.emitted(), Ordering::Relaxed);
        threads.retain(|thread| !Arc::ptr_eq(thread, ended));
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
