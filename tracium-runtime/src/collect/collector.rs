//! The collector: every thread's buffer, one budget, one ledger.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::buffer::{Event, ThreadBuffer};
use super::ledger::{DropReason, Ledger};
use super::policy::Policy;
use super::{Budget, Ticket};
use crate::trace::{SpanRecord, TraceCore};

#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) budget: Budget,
    pub(crate) ledger: Ledger,
    pub(crate) policy: Policy,
    threads: Mutex<Vec<Arc<ThreadBuffer>>>,
    closed: AtomicBool,
}

thread_local! {
    /// This thread's buffer, and the collector that it belongs to.
    static LOCAL: RefCell<Option<(Arc<Collector>, Arc<ThreadBuffer>)>> = const { RefCell::new(None) };
}

impl Collector {
    pub(crate) fn new(budget: Budget, policy: Policy) -> Arc<Self> {
        Arc::new(Self {
            budget,
            ledger: Ledger::default(),
            policy,
            threads: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    fn threads(&self) -> MutexGuard<'_, Vec<Arc<ThreadBuffer>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_buffer<R>(self: &Arc<Self>, work: impl FnOnce(&ThreadBuffer) -> R) -> R {
        let buffer = LOCAL.try_with(|local| {
            let mut local = local.borrow_mut();
            match &*local {
                Some((owner, buffer)) if Arc::ptr_eq(owner, self) => Arc::clone(buffer),
                _ => {
                    let buffer = self.register();
                    *local = Some((Arc::clone(self), Arc::clone(&buffer)));
                    buffer
                }
            }
        });
        // A span that ends in a thread-local's destructor finds its thread's buffer gone: it gets one of its own.
        work(&buffer.unwrap_or_else(|_| self.register()))
    }

    fn register(&self) -> Arc<ThreadBuffer> {
        let buffer = Arc::new(ThreadBuffer::new());
        self.threads().push(Arc::clone(&buffer));
        buffer
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn admit_trace(&self) -> bool {
        !self.is_closed() && self.budget.take_record()
    }

    pub(crate) fn trace_started(self: &Arc<Self>, trace: &Arc<TraceCore>) {
        if trace.admitted {
            self.with_buffer(|buffer| buffer.lock().push_trace(Event::TraceStarted(Arc::clone(trace))));
        }
    }

    pub(crate) fn trace_ended(self: &Arc<Self>, root: SpanRecord) {
        self.with_buffer(|buffer| {
            let mut buffer = buffer.lock();
            // Asked behind the buffer's lock, so that nothing enters after the last sweep.
            if root.trace.state().discarded {
                buffer.push_discarded(root);
            } else if root.trace.admitted && !self.is_closed() {
                buffer.push_trace(Event::TraceEnded(root));
            } else {
                if root.trace.admitted {
                    self.budget.give_back(1, 0);
                }
                buffer.count_lost();
                self.ledger.drop(self.refusal(), 1);
            }
        });
    }

    pub(crate) fn span_opened(self: &Arc<Self>, span: &SpanRecord) -> Ticket {
        if !span.trace.admitted || self.is_closed() || !self.budget.take_record() {
            return Ticket::Refused;
        }
        self.with_buffer(|buffer| buffer.push_open(span.clone()))
    }

    pub(crate) fn span_closed(self: &Arc<Self>, ticket: Ticket, span: SpanRecord) {
        self.with_buffer(|thread| {
            let mut buffer = thread.lock();
            // Asked behind the buffer's lock, so that nothing enters after the last sweep.
            if ticket == Ticket::Refused || self.is_closed() {
                buffer.count_lost();
                self.ledger.drop(self.refusal(), 1);
            } else {
                buffer.push_closed(thread.place(ticket), span);
            }
        });
    }

    fn refusal(&self) -> DropReason {
        if self.is_closed() { DropReason::Shutdown } else { DropReason::QueueFull }
    }

    /// Takes what every thread has, also the idle and the ended ones.
    pub(crate) fn sweep(&self, out: &mut Vec<Event>) {
        let mut threads = self.threads();
        threads.retain(|thread| {
            // Ended threads let go of their buffer: asked first, so that nothing follows what is taken now.
            let ended = Arc::strong_count(thread) == 1;
            let mut buffer = thread.lock();
            buffer.take(out);
            if ended {
                self.ledger.retired.fetch_add(buffer.emitted(), Ordering::Relaxed);
            }
            !ended
        });
    }

    /// Spans and traces that ended, ever; and how many of them lie in the threads' buffers.
    pub(crate) fn emitted(&self) -> (u64, usize) {
        let threads = self.threads();
        threads.iter().fold((self.ledger.retired.load(Ordering::Relaxed), 0), |(emitted, queued), thread| {
            let buffer = thread.lock();
            (emitted + buffer.emitted(), queued + buffer.queued())
        })
    }
}
