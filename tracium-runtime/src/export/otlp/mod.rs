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
//! | `route` | which backend a tenant's spans go to, and in whose name |
//! | `destination` | one backend: what waits for it, and how it answers |
//! | `answer` | what an answer means |
//! | `spooled` | requests on their way to disk and back |

mod answer;
mod batch;
mod destination;
mod encode;
mod names;
mod route;
mod spooled;
#[cfg(test)]
pub(super) mod tests;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::task::{Id, JoinSet};

use self::batch::{Batch, Envelope, Open};
use self::destination::Destination;
use self::encode::Encoder;
use self::route::{COMMON, Route, Router};
use super::account::Receipt;
use super::http::{Client, Reply, warn_of_loss};
use super::spool::Spool;
use super::{Account, Exporter, SpanItem, SpanRecord, TraceItem, Tracked, View};
use crate::collect::ledger::DropReason;
use crate::collect::shares::Excess;
use crate::config::{InitError, Mask, OtlpTarget};
use crate::tenant::TenantId;
use crate::trace::TenantMark;

/// How long spans wait for company.
const COMPANY: Duration = Duration::from_secs(1);

#[cfg(fuzzing)]
pub(crate) use self::spooled::is_unit;

pub(crate) struct Otlp {
    encoder: Encoder,
    envelope: Envelope,
    client: Client,
    router: Router,
    destinations: HashMap<u32, Destination>,
    open: HashMap<Route, Open>,
    /// Buffers to collect the next spans in.
    spare: Vec<Vec<u8>>,
    flying: JoinSet<Reply>,
    /// What is under way, and where to, by the task that sends it.
    sent: HashMap<Id, (u32, Batch)>,
    spool: Option<Spool>,
}

impl Otlp {
    pub(crate) fn new(target: &OtlpTarget, mask: Option<Mask>) -> Result<Self, InitError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if target.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let common = Destination::new(target.url.clone(), &target.headers, target.connection.backoff)?;
        Ok(Self {
            encoder: Encoder::new(mask),
            envelope: Envelope::new(&target.resource, target.gzip),
            client: Client::new(&target.connection, headers)?,
            router: Router::new(target)?,
            destinations: HashMap::from([(COMMON, common)]),
            open: HashMap::new(),
            spare: Vec::new(),
            flying: JoinSet::new(),
            sent: HashMap::new(),
            spool: None,
        })
    }

    /// Where spans of `tenant` go; `None` where they go nowhere, and it is noted why.
    fn route(&mut self, tenant: Option<&TenantId>, account: &Account) -> Option<Route> {
        if self.router.is_plain() {
            return Some(Route { destination: COMMON, tenant: None });
        }
        let open = &self.open;
        let in_use = |number: u32| open.keys().any(|route| route.destination == number);
        match self.router.route(tenant, &mut self.destinations, in_use) {
            Ok(route) => Some(route),
            Err(why) => {
                account.note_error(&why);
                warn_of_loss(DropReason::Unroutable, &why);
                None
            }
        }
    }

    /// Encodes spans of one tenant, with what each was admitted with.
    fn push<'a>(
        &mut self,
        tenant: Option<&TenantId>,
        root: bool,
        spans: impl Iterator<Item = (View<'a>, Receipt)>,
        account: &mut Account,
    ) {
        let Some(route) = self.route(tenant, account) else {
            account.drop_all(spans.map(|(_, receipt)| receipt), DropReason::Unroutable);
            return;
        };
        let mut open = self.open.remove(&route);
        for (view, receipt) in spans {
            let to = open.get_or_insert_with(|| Open::new(self.spare.pop().unwrap_or_default()));
            self.encoder.span(&mut to.spans, view, tenant, root);
            to.receipts.push(receipt);
            if to.is_full()
                && let Some(full) = open.take()
            {
                self.seal(&route, full);
            }
        }
        if let Some(open) = open {
            self.open.insert(route, open);
        }
    }

    /// Puts spans that are encoded back among those that wait for company.
    fn reopen(&mut self, route: &Route, spans: &[u8], receipts: &[Receipt]) {
        let spare = &mut self.spare;
        let open = self.open.entry(route.clone()).or_insert_with(|| Open::new(spare.pop().unwrap_or_default()));
        open.spans.extend_from_slice(spans);
        open.receipts.extend_from_slice(receipts);
        if open.is_full()
            && let Some(full) = self.open.remove(route)
        {
            self.seal(route, full);
        }
    }

    fn seal(&mut self, route: &Route, open: Open) {
        const MOST_SPARE: usize = 4;
        let Open { mut spans, receipts, .. } = open;
        let batch = self.envelope.seal(&spans, receipts, route.tenant.clone());
        if let Some(destination) = self.destinations.get_mut(&route.destination) {
            destination.push(batch);
        }
        if self.spare.len() < MOST_SPARE {
            spans.clear();
            self.spare.push(spans);
        }
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
        let tenant_of = |span: &SpanItem| match span.record.tenant {
            TenantMark::OfTrace => of_trace.clone(),
            _ => View::new(trace, &span.record, span.details.as_deref()).tenant(),
        };
        let is_same = |one: &SpanItem, next: &SpanItem| {
            let (one_mark, next_mark) = (one.record.tenant, next.record.tenant);
            one_mark == next_mark && (one_mark != TenantMark::Own || tenant_of(one) == tenant_of(next))
        };
        for spans in spans.chunk_by(is_same) {
            let tenant = spans.first().and_then(tenant_of);
            let views =
                spans.iter().map(|span| (View::new(trace, &span.record, span.details.as_deref()), span.receipt()));
            self.push(tenant.as_ref(), false, views, account);
        }
        spans.clear();
    }

    fn trace_ended(&mut self, trace: &Arc<Tracked>, end: TraceItem, account: &mut Account) {
        let receipt = end.receipt();
        let view = View::new(trace, &end.root, end.details.as_deref());
        self.push(view.tenant().as_ref(), true, std::iter::once((view, receipt)), account);
    }

    fn trace_discarded(&mut self, _: &Arc<Tracked>, _: &mut Account) {}

    fn trace_gone(&mut self, _: &Arc<Tracked>, _: &mut Account) {}

    fn dispatch(&mut self, now: Instant, all: bool, account: &mut Account) {
        for (route, open) in self.open.extract_if(|_, open| all || now >= open.since + COMPANY).collect::<Vec<_>>() {
            self.seal(&route, open);
        }
        self.use_spool(now, account);
        for (number, destination) in &mut self.destinations {
            while let Some((batch, sent)) = destination.next(&self.client, self.router.header(), now, account) {
                let task = self.flying.spawn(sent);
                self.sent.insert(task.id(), (*number, batch));
            }
        }
    }

    fn evict(&mut self, excess: &mut Excess, account: &mut Account) {
        for open in self.open.values_mut() {
            open.evict(excess, account);
        }
        self.open.retain(|_, open| !open.receipts.is_empty());
        let mut kept = Vec::new();
        for (number, destination) in &mut self.destinations {
            let rest = destination.evict(&self.envelope, excess, account);
            kept.extend(rest.into_iter().map(|(tenant, open)| (Route { destination: *number, tenant }, open)));
        }
        for (route, open) in kept {
            self.reopen(&route, &open.spans, &open.receipts);
        }
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>, account: &mut Account) -> Poll<()> {
        if let Some(spool) = &mut self.spool
            && let Poll::Ready(read) = spool.poll(cx, account)
        {
            self.unspool(read, account);
            return Poll::Ready(());
        }
        let (id, reply) = match self.flying.poll_join_next_with_id(cx) {
            Poll::Ready(Some(Ok((id, reply)))) => (id, Some(reply)),
            Poll::Ready(Some(Err(error))) => (error.id(), None),
            Poll::Ready(None) | Poll::Pending => return Poll::Pending,
        };
        if let Some((number, batch)) = self.sent.remove(&id)
            && let Some(destination) = self.destinations.get_mut(&number)
        {
            destination.answered(batch, reply.as_ref(), &self.envelope, self.spool.as_mut(), account);
        }
        Poll::Ready(())
    }

    fn next_due(&self) -> Option<Instant> {
        let now = Instant::now();
        let sealed = self.open.values().map(|open| open.since + COMPANY);
        let sent = self.destinations.values().filter_map(|destination| destination.next_due(now));
        sealed.chain(sent).min()
    }

    fn finish(&mut self, _: &mut Account) {}

    fn drop_all(&mut self, reason: DropReason, account: &mut Account) {
        self.flying.abort_all();
        let open = self.open.drain().flat_map(|(_, open)| open.receipts);
        // What is in the spool stays there.
        let sent = self.sent.drain().filter(|(_, (_, batch))| batch.slip.is_none());
        let sent = sent.flat_map(|(_, (_, batch))| batch.receipts);
        let waiting = self.destinations.values_mut().flat_map(Destination::take_waiting);
        let on_its_way = self.spool.as_mut().map(Spool::give_up).unwrap_or_default();
        let receipts: Vec<Receipt> = open.chain(sent).chain(waiting).chain(on_its_way).collect();
        account.drop_all(receipts, reason);
    }

    fn save(&mut self, account: &mut Account) {
        self.save_all(account);
    }

    fn is_writing(&self) -> bool {
        self.spool.as_ref().is_some_and(Spool::is_busy)
    }
}
