//! Collects and throws away: dry runs, benches.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::{Account, Exporter, SpanItem, SpanRecord, TraceItem, Tracked};
use crate::collect::ledger::DropReason;

#[derive(Debug)]
pub(crate) struct Discard;

impl Exporter for Discard {
    fn trace_started(&mut self, _: &Arc<Tracked>) {}

    fn span_open(&mut self, _: &Arc<Tracked>, _: &SpanRecord) {}

    fn spans_ended(&mut self, _: &Arc<Tracked>, spans: &mut Vec<SpanItem>, account: &mut Account) {
        account.acknowledge_all(spans.iter().map(SpanItem::receipt));
        spans.clear();
    }

    fn trace_ended(&mut self, _: &Arc<Tracked>, end: TraceItem, account: &mut Account) {
        account.acknowledge(end.receipt());
    }

    fn trace_discarded(&mut self, _: &Arc<Tracked>, _: &mut Account) {}

    fn trace_gone(&mut self, _: &Arc<Tracked>, _: &mut Account) {}

    fn dispatch(&mut self, _: Instant, _: bool, _: &mut Account) {}

    fn poll_progress(&mut self, _: &mut Context<'_>, _: &mut Account) -> Poll<()> {
        Poll::Pending
    }

    fn next_due(&self) -> Option<Instant> {
        None
    }

    fn finish(&mut self, _: &mut Account) {}

    fn drop_all(&mut self, _: DropReason, _: &mut Account) {}
}
