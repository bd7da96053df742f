//! Leaves out the traces that are not to be sent, in front of all exporters.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::account::Receipt;
use super::{Account, Exporter, SpanItem, SpanRecord, TraceItem, Tracked};
use crate::collect::Collector;
use crate::collect::ledger::DropReason;
use crate::collect::shares::Excess;
use crate::trace::Status;

/// How long a trace that opened has to name its tenant before the sampler is asked.
const NAMING: Duration = Duration::from_millis(500);

pub(crate) struct Sampling {
    inner: Box<dyn Exporter>,
    collector: &'static Collector,
    /// Traces that opened, and that the exporter has not been told of.
    young: VecDeque<(Instant, Arc<Tracked>)>,
    /// Of them, those that nothing was decided of.
    undecided: HashSet<u64>,
    /// Traces that the exporter knows.
    told: HashSet<u64>,
    /// Spans of traces that are not to be sent unless one fails.
    held: HashMap<u64, Held>,
    /// Their traces in the order they came.
    order: BTreeMap<u64, u64>,
    next: u64,
    count: usize,
}

struct Held {
    trace: Arc<Tracked>,
    /// Its place in the order.
    number: u64,
    spans: Vec<SpanItem>,
}

impl Sampling {
    pub(crate) fn new(collector: &'static Collector, inner: Box<dyn Exporter>) -> Self {
        Self {
            inner,
            collector,
            young: VecDeque::new(),
            undecided: HashSet::new(),
            told: HashSet::new(),
            held: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            count: 0,
        }
    }

    fn keeps_failures(&self) -> bool {
        self.collector.policy.sampler.as_ref().is_some_and(|sampler| sampler.failures)
    }

    /// Tells the exporter of the trace, once.
    fn tell(&mut self, trace: &Arc<Tracked>) {
        if self.told.insert(trace.key) {
            self.inner.trace_started(trace);
        }
    }

    /// Whether the exporter gets what comes of the trace; it is told of it then.
    fn lets_through(&mut self, trace: &Arc<Tracked>) -> bool {
        self.undecided.remove(&trace.key);
        // A trace that was told of for a failure stays.
        let through = self.told.contains(&trace.key) || trace.is_sampled();
        if through {
            self.tell(trace);
        }
        through
    }

    fn hold(&mut self, trace: &Arc<Tracked>, spans: &mut Vec<SpanItem>, account: &mut Account) {
        self.count += spans.len();
        self.collector.ledger.undecided.fetch_add(spans.len(), Ordering::Relaxed);
        let held = self.held.entry(trace.key).or_insert_with(|| {
            self.next += 1;
            self.order.insert(self.next, trace.key);
            Held { trace: Arc::clone(trace), number: self.next, spans: Vec::new() }
        });
        held.spans.append(spans);
        while self.count > self.collector.budget.max_records() / 4 {
            let Some(oldest) = self.order.first_key_value().map(|(_, key)| *key) else { return };
            self.leave_out(oldest, account);
        }
    }

    fn take(&mut self, key: u64) -> Option<Held> {
        let held = self.held.remove(&key)?;
        self.order.remove(&held.number);
        self.count -= held.spans.len();
        self.collector.ledger.undecided.fetch_sub(held.spans.len(), Ordering::Relaxed);
        Some(held)
    }

    /// Sends what was held of a trace: something in it failed.
    fn keep(&mut self, trace: &Arc<Tracked>, account: &mut Account) {
        self.tell(trace);
        if let Some(mut held) = self.take(trace.key) {
            self.inner.spans_ended(&held.trace, &mut held.spans, account);
        }
    }

    fn leave_all_out(&mut self, account: &mut Account) {
        while let Some(oldest) = self.order.first_key_value().map(|(_, key)| *key) {
            self.leave_out(oldest, account);
        }
    }

    fn leave_out(&mut self, key: u64, account: &mut Account) {
        if let Some(held) = self.take(key) {
            leave_out(held.spans.iter().map(SpanItem::receipt), account);
        }
    }
}

/// Counts what is not to be sent, for every exporter alike.
fn leave_out(receipts: impl Iterator<Item = Receipt>, account: &mut Account) {
    account.drop_unseen(receipts, DropReason::Sampled);
}

impl Exporter for Sampling {
    fn trace_started(&mut self, trace: &Arc<Tracked>) {
        if self.collector.policy.sampler.is_some() {
            self.undecided.insert(trace.key);
            self.young.push_back((Instant::now(), Arc::clone(trace)));
        } else {
            self.lets_through(trace);
        }
    }

    fn span_open(&mut self, trace: &Arc<Tracked>, span: &SpanRecord) {
        if self.lets_through(trace) {
            self.inner.span_open(trace, span);
        }
    }

    fn spans_ended(&mut self, trace: &Arc<Tracked>, spans: &mut Vec<SpanItem>, account: &mut Account) {
        if self.lets_through(trace) {
            self.inner.spans_ended(trace, spans, account);
        } else if !self.keeps_failures() {
            leave_out(spans.drain(..).map(|span| span.receipt()), account);
        } else if spans.iter().any(|span| span.record.status == Status::Failed) {
            self.keep(trace, account);
            self.inner.spans_ended(trace, spans, account);
        } else {
            self.hold(trace, spans, account);
        }
    }

    fn trace_ended(&mut self, trace: &Arc<Tracked>, end: TraceItem, account: &mut Account) {
        if self.lets_through(trace) {
            self.inner.trace_ended(trace, end, account);
        } else if self.keeps_failures() && end.root.status == Status::Failed {
            self.keep(trace, account);
            self.inner.trace_ended(trace, end, account);
        } else {
            leave_out(std::iter::once(end.receipt()), account);
            self.leave_out(trace.key, account);
        }
    }

    fn trace_discarded(&mut self, trace: &Arc<Tracked>, account: &mut Account) {
        self.keep(trace, account);
        self.inner.trace_discarded(trace, account);
    }

    fn trace_gone(&mut self, trace: &Arc<Tracked>, account: &mut Account) {
        // Of a trace that ends elsewhere, or spans that came after its end.
        self.leave_out(trace.key, account);
        self.undecided.remove(&trace.key);
        if self.told.remove(&trace.key) {
            self.inner.trace_gone(trace, account);
        }
    }

    fn dispatch(&mut self, now: Instant, all: bool, account: &mut Account) {
        while let Some((since, _)) = self.young.front()
            && (all || now >= *since + NAMING)
            && let Some((_, trace)) = self.young.pop_front()
        {
            if self.undecided.contains(&trace.key) {
                self.lets_through(&trace);
            }
        }
        if all {
            // Whoever flushes does not wait for traces to end.
            self.leave_all_out(account);
        }
        self.inner.dispatch(now, all, account);
    }

    fn evict(&mut self, excess: &mut Excess, account: &mut Account) {
        for held in self.held.values_mut() {
            if excess.is_spent() {
                return;
            }
            let before = held.spans.len();
            let gone: Vec<_> = held.spans.extract_if(.., |span| span.receipt().is_taken_by(excess)).collect();
            let count = before - held.spans.len();
            self.count -= count;
            self.collector.ledger.undecided.fetch_sub(count, Ordering::Relaxed);
            account.drop_unseen(gone.iter().map(SpanItem::receipt), DropReason::QueueFull);
        }
        self.inner.evict(excess, account);
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>, account: &mut Account) -> Poll<()> {
        self.inner.poll_progress(cx, account)
    }

    fn next_due(&self) -> Option<Instant> {
        let young = self.young.front().map(|(since, _)| *since + NAMING);
        [young, self.inner.next_due()].into_iter().flatten().min()
    }

    fn finish(&mut self, account: &mut Account) {
        self.inner.finish(account);
    }

    fn drop_all(&mut self, reason: DropReason, account: &mut Account) {
        self.leave_all_out(account);
        self.inner.drop_all(reason, account);
    }

    fn save(&mut self, account: &mut Account) {
        self.inner.save(account);
    }

    fn is_writing(&self) -> bool {
        self.inner.is_writing()
    }

    fn held_beside(&self, sweep: u32) -> usize {
        self.inner.held_beside(sweep)
    }
}
