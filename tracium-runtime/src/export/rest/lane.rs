//! A trace on its way out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::{Account, SpanItem, SpanRecord, TraceItem, Tracked, View};
use super::summary::Summary;
use crate::TenantId;
use crate::collect::ledger::DropReason;
use crate::collect::shares::Excess;
use crate::trace::details::SpanDetails;

/// How long an open trace waits for its own code to name it. The create must leave within a second.
const NAMING: Duration = Duration::from_millis(500);
/// How long spans of an open trace wait for company.
const COMPANY: Duration = Duration::from_secs(1);
/// The most spans of one request.
pub(super) const BATCH: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Idle,
    /// A request is under way.
    Waiting,
}

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is a step that is done or not, in any order.
pub(super) struct Lane {
    pub(super) trace: Arc<Tracked>,
    /// What paths call the trace: our id, or what the backend answered to the create.
    pub(super) path_id: String,
    pub(super) state: State,
    pub(super) created: bool,
    /// The root span goes out as well: decided once, since its children's depth hangs on it.
    pub(super) has_root: bool,
    /// The backend will never take anything of this trace.
    pub(super) gone: Option<DropReason>,
    pub(super) spans: VecDeque<SpanItem>,
    /// Open for long, and to be told of.
    pub(super) open: Vec<SpanRecord>,
    pub(super) end: Option<TraceItem>,
    /// Its root span was sent ahead of the call that ends it.
    pub(super) root_sent: bool,
    /// The request under way carries it.
    pub(super) root_flies: bool,
    /// It was too much for a request with others.
    pub(super) root_alone: bool,
    pub(super) ended: bool,
    pub(super) summary: Summary,
    /// How many of `spans`, from the front, the request under way carries.
    pub(super) sent: usize,
    /// The most spans of the next request, less than usual after a 413.
    pub(super) batch: usize,
    /// Failures in a row.
    pub(super) attempts: u32,
    /// Of them, those that are not borne without end; a create that succeeds in between forgives none.
    pub(super) strikes: u32,
    /// The last request got no answer that says whether it arrived.
    pub(super) resent: bool,
    /// Whether the root goes out was decided, with the first spans.
    pub(super) root_decided: bool,
    /// Not before, after a failure.
    pub(super) not_before: Option<Instant>,
    /// When the first of `spans` came.
    pub(super) oldest: Instant,
    since: Instant,
    pub(super) due: Option<Instant>,
    /// Nobody is left who could add to the trace.
    pub(super) abandoned: bool,
}

impl Lane {
    pub(super) fn new(trace: Arc<Tracked>) -> Self {
        let now = Instant::now();
        // Told of by an exporter before this one, which failed: the create that goes out may be the second.
        let resent = trace.state().announced;
        Self {
            path_id: trace.public_id(),
            // Another process creates it, and ends it.
            created: trace.remote,
            ended: trace.remote,
            trace,
            state: State::Idle,
            has_root: false,
            gone: None,
            spans: VecDeque::new(),
            open: Vec::new(),
            end: None,
            root_sent: false,
            root_flies: false,
            root_alone: false,
            summary: Summary::default(),
            sent: 0,
            batch: BATCH,
            attempts: 0,
            strikes: 0,
            resent,
            root_decided: false,
            not_before: None,
            oldest: now,
            since: now,
            due: None,
            abandoned: false,
        }
    }

    pub(super) fn append(&mut self, spans: &mut Vec<SpanItem>) {
        if self.spans.is_empty() {
            self.oldest = Instant::now();
        }
        for span in &*spans {
            // Told of now, it would look as if it were still open.
            self.open.retain(|open| open.id != span.record.id);
            self.summary.add(&self.trace, span);
        }
        // Most traces come at once: no more room than they need.
        self.spans.reserve_exact(spans.len().max(self.spans.len() / 2));
        self.spans.extend(spans.drain(..));
    }

    /// The tenant of a span of this lane.
    pub(super) fn tenant_of(&self, span: &SpanRecord, details: Option<&SpanDetails>) -> Option<TenantId> {
        View::new(&self.trace, span, details).tenant()
    }

    /// When the next request should leave; `None` where there is nothing to send, or one is under way.
    pub(super) fn next_due(&self, urgent: bool) -> Option<Instant> {
        if self.state == State::Waiting || self.gone.is_some() {
            return None;
        }
        let has_items = !self.spans.is_empty() || self.end.is_some();
        let due = if !self.created && self.ended && !has_items {
            // All of it went to disk, the create as well.
            return None;
        } else if !self.created {
            if self.end.is_some() || (urgent && has_items) { self.since } else { self.since + NAMING }
        } else if self.end.is_some() || self.spans.len() >= BATCH || (urgent && has_items) || !self.open.is_empty() {
            self.oldest
        } else if has_items {
            self.oldest + COMPANY
        } else {
            return None;
        };
        Some(self.not_before.map_or(due, |at| due.max(at)))
    }

    /// Its own code had the time to name its tenant, which holds once the trace is told of.
    pub(super) fn is_named(&self, now: Instant) -> bool {
        self.created || self.end.is_some() || now >= self.since + NAMING
    }

    /// Nothing is left to send, and the backend knows that the trace ended.
    fn is_done(&self) -> bool {
        (self.ended || self.gone.is_some()) && self.spans.is_empty() && self.end.is_none() && self.state == State::Idle
    }

    /// Done, and nobody is left who could add to it.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned && self.is_done()
    }

    /// Lets go of what is in excess and not under way; false where there is none of it here. A trace that has ended and
    /// that the backend cannot have heard of goes as a whole: no create got lost on its way, and none lies in the spool.
    pub(super) fn evict(&mut self, excess: &mut Excess, account: &mut Account) -> bool {
        let flying = if self.state == State::Waiting { self.sent } else { 0 };
        let mut at = 0;
        let mut gone = Vec::new();
        self.spans.retain(|span| {
            at += 1;
            let goes = at > flying && span.receipt().is_taken_by(excess);
            if goes {
                gone.push(span.receipt());
            }
            !goes
        });
        let unheard =
            !self.created && !self.resent && self.state == State::Idle && self.spans.is_empty() && self.gone.is_none();
        if unheard && let Some(end) = self.end.take_if(|end| end.receipt().is_taken_by(excess)) {
            gone.push(end.receipt());
            self.gone = Some(DropReason::QueueFull);
        }
        let any = !gone.is_empty();
        account.drop_all(gone, DropReason::QueueFull);
        any
    }

    /// Counts what lies here, where the backend will never take it.
    pub(super) fn drop_if_gone(&mut self, account: &mut Account) {
        let Some(reason) = self.gone else { return };
        if self.state == State::Waiting {
            return;
        }
        self.open.clear();
        let spans = self.spans.drain(..).map(|span| span.receipt());
        account.drop_all(spans.chain(self.end.take().map(|end| end.receipt())), reason);
        // A trace that the backend does not have needs no end.
        self.created = true;
        self.not_before = None;
    }
}
