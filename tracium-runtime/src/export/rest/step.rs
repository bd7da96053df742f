//! What a lane sends next, and what an answer does to it.

use std::time::Instant;

use super::super::http::Bodies;
use super::super::{Account, SpanRecord};
use super::answer::Call;
use super::client::Request;
use super::encode::{Encoder, Spans};
use super::lane::{BATCH, Lane};
use super::text::path_segment;
use crate::collect::ledger::DropReason;
use crate::trace::TenantMark;
use crate::trace::details::SpanDetails;

/// The next request of the lane; `None` where there is nothing to send.
pub(super) fn next(lane: &mut Lane, encoder: &Encoder, bodies: &Bodies) -> Option<Request> {
    if lane.gone.is_some() {
        return None;
    }
    if !lane.created {
        return create(lane, encoder, bodies);
    }
    let path = |lane: &Lane, call: &str| format!("/agents/traces/{}/{call}", path_segment(&lane.path_id));
    let wants_root = encoder.wants_root(lane);
    // Its children are a level deeper where it is sent, so that holds from their first request on. A root that is wanted
    // later still goes, beside them.
    if !lane.root_decided && (!lane.spans.is_empty() || !lane.open.is_empty() || lane.end.is_some()) {
        lane.root_decided = true;
        lane.has_root = wants_root;
    }
    let root = lane.end.is_some() && !lane.root_sent && (lane.has_root || wants_root);
    if !lane.spans.is_empty() || !lane.open.is_empty() || root {
        // One tenant a request, so that it can be named in a header.
        let tenant = match (lane.spans.front(), lane.open.first()) {
            (Some(span), _) => lane.tenant_of(&span.record, span.details.as_deref()),
            (None, Some(open)) => lane.tenant_of(open, None),
            (None, None) => lane.trace.tenant(),
        };
        let of_trace = tenant == lane.trace.tenant();
        let is_same = |record: &SpanRecord, details: Option<&SpanDetails>| match record.tenant {
            TenantMark::OfTrace => of_trace,
            TenantMark::None => tenant.is_none(),
            TenantMark::Own => lane.tenant_of(record, details) == tenant,
        };
        let front = lane.spans.iter().take(lane.batch);
        let count = front.take_while(|span| is_same(&span.record, span.details.as_deref())).count();
        let (open, rest): (Vec<_>, Vec<_>) = lane.open.iter().copied().partition(|span| is_same(span, None));
        lane.root_flies = root && count == lane.spans.len() && of_trace && (count == 0 || !lane.root_alone);
        lane.open = rest;
        lane.sent = count;
        let mut body = bodies.take();
        encoder.spans(&mut body, lane, &Spans { ended: count, open: &open, root: lane.root_flies });
        let call = if count > 0 || lane.root_flies { Call::Spans } else { Call::Announce };
        return Some(Request { call, path: path(lane, "spans"), tenant, body: bodies.lend(body) });
    }
    let end = lane.end.as_ref()?;
    let mut body = bodies.take();
    let call = encoder.end(&mut body, lane, end);
    Some(Request { call: Call::End, path: path(lane, call), tenant: lane.trace.tenant(), body: bodies.lend(body) })
}

fn create(lane: &mut Lane, encoder: &Encoder, bodies: &Bodies) -> Option<Request> {
    let tenant = {
        let mut state = lane.trace.state();
        if lane.trace.is_discarded() {
            lane.gone = Some(DropReason::Rejected);
            return None;
        }
        // From here on the trace's tenant holds.
        state.announced = true;
        state.tenant.clone()
    };
    let mut body = bodies.take();
    encoder.create(&mut body, &lane.trace);
    Some(Request { call: Call::Create, path: "/agents/traces".to_owned(), tenant, body: bodies.lend(body) })
}

/// What was sent has arrived.
pub(super) fn delivered(lane: &mut Lane, call: Call, id: Option<String>, account: &mut Account) {
    lane.attempts = 0;
    lane.not_before = None;
    lane.resent = false;
    if matches!(call, Call::Spans | Call::End) {
        lane.strikes = 0;
    }
    match call {
        Call::Create => {
            lane.created = true;
            if let Some(id) = id {
                lane.path_id = id;
            }
        }
        Call::Spans => {
            account.acknowledge_all(lane.spans.drain(..lane.sent).map(|span| span.receipt()));
            sent(lane);
            // After a 413, back up step by step.
            lane.batch = (lane.batch * 2).min(BATCH);
        }
        Call::Announce => {}
        Call::End => {
            lane.ended = true;
            if let Some(end) = lane.end.take() {
                account.acknowledge(end.receipt());
            }
        }
    }
}

/// What was sent will never be taken.
pub(super) fn refused(lane: &mut Lane, call: Call, reason: DropReason, account: &mut Account) {
    lane.attempts = 0;
    lane.strikes = 0;
    lane.resent = false;
    lane.not_before = None;
    match call {
        Call::Create => lane.gone = Some(reason),
        Call::Spans => {
            account.drop_all(lane.spans.drain(..lane.sent).map(|span| span.receipt()), reason);
            sent(lane);
        }
        Call::Announce => {}
        Call::End => {
            lane.ended = true;
            if let Some(end) = lane.end.take() {
                account.drop(end.receipt(), reason);
            }
        }
    }
}

/// The request's spans have left the lane.
fn sent(lane: &mut Lane) {
    lane.root_sent |= std::mem::take(&mut lane.root_flies);
    lane.sent = 0;
    lane.oldest = Instant::now();
}

/// The same again, not before `at`.
pub(super) fn again(lane: &mut Lane, at: Instant) {
    lane.sent = 0;
    lane.root_flies = false;
    lane.not_before = Some(at);
}

/// The backend does not know the trace: from the start, not before `at`.
pub(super) fn recreate(lane: &mut Lane, at: Instant) {
    again(lane, at);
    // What another process opened, it creates; it may only be slower than we are.
    lane.created = lane.trace.remote;
}

/// Too much at once: half of it next time; one span alone is lost.
pub(super) fn split(lane: &mut Lane, account: &mut Account) {
    if lane.sent > 1 {
        lane.batch = lane.sent / 2;
        again(lane, Instant::now());
    } else if lane.sent == 1 && lane.root_flies {
        // The root goes alone next time.
        lane.batch = 1;
        lane.root_alone = true;
        again(lane, Instant::now());
    } else {
        refused(lane, Call::Spans, DropReason::TooLarge, account);
    }
}
