//! OTLP over HTTP: protobuf, compressed, many traces a request, several requests at once.
//!
//! A span is encoded when it ends and waits as bytes, so that what is held in an outage is small: some 40 bytes a plain
//! span, compressed. OTLP has no updates: a span that is open is not sent.
//!
//! | file | what |
//! |---|---|
//! | `names` | every name that is sent, and the conventions that they are of |
//! | `encode/` | a span as OTLP has it |
//! | `wire` | protobuf |
//! | `batch` | the spans of one request, and what is around them |
//! | `destination` | one backend: what waits for it, and how it answers |
//! | `answer` | what an answer means |

mod answer;
mod batch;
mod destination;
mod encode;
mod names;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinSet};

use self::batch::{Batch, Envelope, Open};
use self::destination::Destination;
use self::encode::Encoder;
use super::account::Receipt;
use super::http::Reply;
use super::{Account, Exporter, SpanItem, SpanRecord, TraceItem, Tracked, View};
use crate::collect::ledger::DropReason;
use crate::config::{InitError, Mask, OtlpTarget};
use crate::tenant::TenantId;
use crate::trace::TenantMark;

/// How long spans wait for company.
const COMPANY: Duration = Duration::from_secs(1);

pub(crate) struct Otlp {
    encoder: Encoder,
    envelope: Envelope,
    destination: Destination,
    open: Option<Open>,
    /// A buffer to collect the next spans in.
    spare: Vec<u8>,
    flying: JoinSet<Reply>,
    /// What is under way, by the task that sends it.
    sent: HashMap<Id, Batch>,
}

impl Otlp {
    pub(crate) fn new(target: &OtlpTarget, mask: Option<Mask>) -> Result<Self, InitError> {
        Ok(Self {
            encoder: Encoder::new(mask),
            envelope: Envelope::new(&target.resource, target.gzip),
            destination: Destination::new(target)?,
            open: None,
            spare: Vec::new(),
            flying: JoinSet::new(),
            sent: HashMap::new(),
        })
    }

    fn push(&mut self, view: View<'_>, tenant: Option<&TenantId>, root: bool, receipt: Receipt) {
        let spare = &mut self.spare;
        let open = self.open.get_or_insert_with(|| Open::new(std::mem::take(spare)));
        self.encoder.span(&mut open.spans, view, tenant, root);
        open.receipts.push(receipt);
        if open.is_full() {
            self.seal();
        }
    }

    fn seal(&mut self) {
        let Some(Open { mut spans, receipts, .. }) = self.open.take() else { return };
        self.destination.push(self.envelope.seal(&spans, receipts));
        spans.clear();
        self.spare = spans;
    }
}

/// For the benches: encodes the spans of one request, again and again.
pub(super) fn encode_again(trace: &Arc<Tracked>, spans: Vec<SpanItem>) -> Box<dyn FnMut() -> usize> {
    let mut encoder = Encoder::new(None);
    let trace = Arc::clone(trace);
    let tenant = trace.tenant();
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        for span in &spans {
            let view = View::new(&trace, &span.record, span.details.as_deref());
            encoder.span(&mut out, view, tenant.as_ref(), false);
        }
        out.len()
    })
}

impl Exporter for Otlp {
    fn trace_started(&mut self, _: &Arc<Tracked>) {}

    fn span_open(&mut self, _: &Arc<Tracked>, _: &SpanRecord) {}

    fn spans_ended(&mut self, trace: &Arc<Tracked>, spans: &mut Vec<SpanItem>, account: &mut Account) {
        if trace.is_discarded() {
            // They were opened in a trace that was refused as it opened, and go with it.
            account.drop_all(spans.drain(..).map(|span| span.receipt()), DropReason::Rejected);
            return;
        }
        // Found once, behind the trace's lock.
        let of_trace = trace.tenant();
        for span in spans.drain(..) {
            let view = View::new(trace, &span.record, span.details.as_deref());
            let own = if span.record.tenant == TenantMark::OfTrace { None } else { view.tenant() };
            let tenant = if span.record.tenant == TenantMark::OfTrace { of_trace.as_ref() } else { own.as_ref() };
            self.push(view, tenant, false, span.receipt());
        }
    }

    fn trace_ended(&mut self, trace: &Arc<Tracked>, end: TraceItem, _: &mut Account) {
        let receipt = end.receipt(trace);
        let view = View::new(trace, &end.root, end.details.as_deref());
        self.push(view, view.tenant().as_ref(), true, receipt);
    }

    fn trace_discarded(&mut self, _: &Arc<Tracked>, _: &mut Account) {}

    fn trace_gone(&mut self, _: &Arc<Tracked>) {}

    fn dispatch(&mut self, now: Instant, all: bool, account: &mut Account) {
        if self.open.as_ref().is_some_and(|open| all || now >= open.since + COMPANY) {
            self.seal();
        }
        while let Some((batch, sent)) = self.destination.next(now, account) {
            let task = self.flying.spawn(sent);
            self.sent.insert(task.id(), batch);
        }
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>, account: &mut Account) -> Poll<()> {
        let (id, reply) = match self.flying.poll_join_next_with_id(cx) {
            Poll::Ready(Some(Ok((id, reply)))) => (id, Some(reply)),
            Poll::Ready(Some(Err(error))) => (error.id(), None),
            Poll::Ready(None) | Poll::Pending => return Poll::Pending,
        };
        if let Some(batch) = self.sent.remove(&id) {
            self.destination.answered(batch, reply.as_ref(), &self.envelope, account);
        }
        Poll::Ready(())
    }

    fn next_due(&self) -> Option<Instant> {
        let seal = self.open.as_ref().map(|open| open.since + COMPANY);
        [seal, self.destination.next_due(Instant::now())].into_iter().flatten().min()
    }

    fn finish(&mut self, _: &mut Account) {}

    fn drop_all(&mut self, reason: DropReason, account: &mut Account) {
        self.flying.abort_all();
        let open = self.open.take().map(|open| open.receipts).unwrap_or_default();
        let sent = self.sent.drain().flat_map(|(_, batch)| batch.receipts);
        let receipts: Vec<Receipt> = open.into_iter().chain(sent).chain(self.destination.take_waiting()).collect();
        account.drop_all(receipts, reason);
    }
}
