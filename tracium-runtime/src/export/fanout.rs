//! Several exporters at once, each with an accounting of its own.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::{Account, Exporter, SpanItem, SpanRecord, TraceItem, Tracked};
use crate::collect::ledger::DropReason;
use crate::collect::shares::Excess;

/// The first exporter, whose accounting is the pipeline's, and those beside it. What they get is a copy, admitted like
/// what was recorded: where there is no room for it, that exporter loses it and the others do not.
pub(crate) struct Fanout {
    first: Box<dyn Exporter>,
    beside: Vec<(Box<dyn Exporter>, Account)>,
    /// The last sweep that brought anything. Copies are of it: what a sampler held back is older than what the accounts of
    /// the others still know of.
    latest: u32,
}

impl Fanout {
    pub(crate) fn new(first: Box<dyn Exporter>, beside: Vec<(Box<dyn Exporter>, Account)>) -> Self {
        Self { first, beside, latest: 0 }
    }
}

/// A copy of `span` for another exporter, where the buffers have room for it.
fn copy(span: &SpanItem, sweep: u32, account: &Account) -> Option<SpanItem> {
    if !account.admit(span.captured()) {
        return None;
    }
    Some(SpanItem { record: span.record, details: span.details.clone(), sweep, holder: span.holder })
}

impl Exporter for Fanout {
    fn trace_started(&mut self, trace: &Arc<Tracked>) {
        self.first.trace_started(trace);
        self.beside.iter_mut().for_each(|(exporter, _)| exporter.trace_started(trace));
    }

    fn span_open(&mut self, trace: &Arc<Tracked>, span: &SpanRecord) {
        self.first.span_open(trace, span);
        self.beside.iter_mut().for_each(|(exporter, _)| exporter.span_open(trace, span));
    }

    fn spans_ended(&mut self, trace: &Arc<Tracked>, spans: &mut Vec<SpanItem>, account: &mut Account) {
        self.latest = spans.iter().map(|span| span.sweep).fold(self.latest, u32::max);
        for (exporter, theirs) in &mut self.beside {
            let mut copies: Vec<SpanItem> = spans.iter().filter_map(|span| copy(span, self.latest, theirs)).collect();
            if !copies.is_empty() {
                theirs.accept(self.latest, copies.iter().map(SpanItem::receipt));
                exporter.spans_ended(trace, &mut copies, theirs);
            }
        }
        self.first.spans_ended(trace, spans, account);
    }

    fn trace_ended(&mut self, trace: &Arc<Tracked>, end: TraceItem, account: &mut Account) {
        self.latest = self.latest.max(end.sweep);
        for (exporter, theirs) in &mut self.beside {
            let bytes = end.details.as_ref().map_or(0, |details| details.bytes);
            if theirs.admit(bytes) {
                // What the trace as a whole was admitted with is the first exporter's to give back.
                let (sweep, details) = (self.latest, end.details.clone());
                let copy = TraceItem { root: end.root, details, sweep, holder: end.holder, of_trace: 0 };
                theirs.accept(sweep, [copy.receipt()]);
                exporter.trace_ended(trace, copy, theirs);
            }
        }
        self.first.trace_ended(trace, end, account);
    }

    fn trace_discarded(&mut self, trace: &Arc<Tracked>, account: &mut Account) {
        self.first.trace_discarded(trace, account);
        self.beside.iter_mut().for_each(|(exporter, theirs)| exporter.trace_discarded(trace, theirs));
    }

    fn trace_gone(&mut self, trace: &Arc<Tracked>, account: &mut Account) {
        self.first.trace_gone(trace, account);
        self.beside.iter_mut().for_each(|(exporter, theirs)| exporter.trace_gone(trace, theirs));
    }

    fn dispatch(&mut self, now: Instant, all: bool, account: &mut Account) {
        self.first.dispatch(now, all, account);
        self.beside.iter_mut().for_each(|(exporter, theirs)| exporter.dispatch(now, all, theirs));
    }

    fn evict(&mut self, excess: &mut Excess, account: &mut Account) {
        self.first.evict(excess, account);
        self.beside.iter_mut().for_each(|(exporter, theirs)| exporter.evict(excess, theirs));
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>, account: &mut Account) -> Poll<()> {
        if self.first.poll_progress(cx, account).is_ready() {
            return Poll::Ready(());
        }
        let mut beside = self.beside.iter_mut();
        let ready = beside.any(|(exporter, theirs)| exporter.poll_progress(cx, theirs).is_ready());
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    fn next_due(&self) -> Option<Instant> {
        let beside = self.beside.iter().filter_map(|(exporter, _)| exporter.next_due());
        beside.chain(self.first.next_due()).min()
    }

    fn finish(&mut self, account: &mut Account) {
        self.first.finish(account);
        self.beside.iter_mut().for_each(|(exporter, theirs)| exporter.finish(theirs));
    }

    fn drop_all(&mut self, reason: DropReason, account: &mut Account) {
        self.first.drop_all(reason, account);
        self.beside.iter_mut().for_each(|(exporter, theirs)| exporter.drop_all(reason, theirs));
    }

    fn save(&mut self, account: &mut Account) {
        self.first.save(account);
        self.beside.iter_mut().for_each(|(exporter, theirs)| exporter.save(theirs));
    }

    fn is_writing(&self) -> bool {
        self.first.is_writing() || self.beside.iter().any(|(exporter, _)| exporter.is_writing())
    }

    fn held_beside(&self, sweep: u32) -> usize {
        self.beside.iter().map(|(_, account)| account.held_until(sweep)).sum()
    }
}
