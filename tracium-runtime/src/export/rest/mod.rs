//! Tracium's REST API, as `wire/rest.md` of the project's notes describes it.
//!
//! A trace is a lane: its requests leave one after the other (create, spans, complete or fail), many lanes side by
//! side. What cannot be delivered now waits in its lane; what can never be is counted.
//!
//! | file | what |
//! |---|---|
//! | `client`, `answer` | requests, and what an answer means |
//! | `encode`, `text`, `summary` | the bodies |
//! | `lane` | a trace on its way out |
//! | `step` | what a lane sends next, and what an answer does to it |
//! | `spooled` | lanes on their way to disk, and parcels back |
//! | `parcel`, `parcels` | what a lane had when it went to disk, to be sent without it |

mod answer;
mod call;
mod client;
mod encode;
mod lane;
mod parcel;
mod parcels;
#[cfg(test)]
mod regressions;
mod spooled;
mod step;
mod summary;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::task::JoinSet;

use self::answer::{Call, Past, Verdict, judge};
use self::client::{Client, Reply};
use self::lane::{Lane, State};
#[cfg(fuzzing)]
pub(crate) use self::parcel::is_unit;
use self::parcels::Parcels;
use super::http::Bodies;
use super::http::{Gate, warn_of_loss};
use super::spool::Spool;
use super::{Account, Exporter, SpanItem, SpanRecord, TraceItem, Tracked};
use crate::collect::ledger::DropReason;
use crate::collect::shares::Excess;
use crate::config::{Endpoint, InitError, Mask};

/// Requests under way at once, of different traces.
const IN_FLIGHT: usize = 32;

type Key = usize;

pub(crate) struct Rest {
    client: Client,
    encoder: encode::Encoder,
    bodies: Bodies,
    lanes: HashMap<Key, Lane>,
    /// Lanes with something to send, by when. A lane is in it once at most, and not while a request of it is under way.
    due: BTreeSet<(Instant, Key)>,
    /// With each request, whether it has what we add to the protocol.
    flying: JoinSet<(Key, Call, bool, Reply)>,
    gate: Gate,
    /// Somebody waits for a flush: whatever can be sent is due at once.
    urgent: bool,
    spool: Option<Spool>,
    /// What came back from it.
    parcels: Parcels,
    /// The last request was of a parcel: lanes and parcels take turns.
    last_parcel: bool,
    /// When lanes may go to disk next, since files of a few spans are many files.
    next_spill: Instant,
}

impl Rest {
    pub(crate) fn new(endpoint: &Endpoint, mask: Option<Mask>) -> Result<Self, InitError> {
        Ok(Self {
            client: Client::new(endpoint)?,
            encoder: encode::Encoder::new(endpoint.workspace_id.clone(), mask),
            bodies: Bodies::default(),
            lanes: HashMap::new(),
            due: BTreeSet::new(),
            flying: JoinSet::new(),
            gate: Gate::new(endpoint.connection.backoff),
            urgent: false,
            spool: None,
            parcels: Parcels::default(),
            last_parcel: false,
            next_spill: Instant::now(),
        })
    }

    /// Does something to the lane of `trace`, and finds out anew when the lane is due.
    fn with_lane(&mut self, trace: &Arc<Tracked>, work: impl FnOnce(&mut Lane)) {
        let key = Arc::as_ptr(trace) as Key;
        let lane = self.lanes.entry(key).or_insert_with(|| Lane::new(Arc::clone(trace)));
        work(lane);
        self.schedule(key);
    }

    fn schedule(&mut self, key: Key) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        let due = lane.next_due(self.urgent);
        if due == lane.due {
            return;
        }
        if let Some(before) = lane.due {
            self.due.remove(&(before, key));
        }
        if let Some(at) = due {
            self.due.insert((at, key));
        }
        lane.due = due;
    }

    /// Sends the next request of `key`'s lane.
    fn send(&mut self, key: Key, account: &mut Account) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        lane.due = None;
        let Some(request) = step::next(lane, &self.encoder, &self.bodies) else {
            self.settle(key, account);
            return;
        };
        lane.state = State::Waiting;
        account.note_request();
        let (call, extras) = (request.call, self.encoder.has_extras());
        let sent = self.client.send(request);
        self.flying.spawn(async move { (key, call, extras, sent.await) });
    }

    fn answered(&mut self, key: Key, call: Call, extras: bool, reply: &Reply, account: &mut Account) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        lane.state = State::Idle;
        let past = Past { strikes: lane.strikes, resent: lane.resent, extras };
        let verdict = judge(call, reply, past);
        note(&mut self.gate, &verdict, call, reply, account);
        match verdict {
            Verdict::Delivered { id } => {
                step::delivered(lane, call, id, account);
            }
            Verdict::Again { after, backend_down, strike } => {
                lane.attempts += 1;
                lane.strikes += u32::from(strike);
                lane.resent = true;
                let pause = self.gate.pause(lane.attempts, after, backend_down);
                step::again(lane, Instant::now() + pause);
            }
            Verdict::Plain => {
                self.encoder.leave_out_extras();
                step::again(lane, Instant::now());
            }
            Verdict::Recreate => {
                lane.attempts += 1;
                lane.strikes += 1;
                lane.resent = true;
                let pause = self.gate.pause(lane.attempts, None, false);
                step::recreate(lane, Instant::now() + pause);
            }
            Verdict::Split => step::split(lane, account),
            Verdict::Drop(reason) => {
                warn_of_loss(reason, &reply.describe(call));
                step::refused(lane, call, reason, account);
            }
        }
        self.settle(key, account);
    }

    /// Schedules the lane, or lets go of it where it is done and nobody can add to it.
    fn settle(&mut self, key: Key, account: &mut Account) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        lane.drop_if_gone(account);
        if lane.is_abandoned() {
            self.forget(key);
        } else {
            self.schedule(key);
        }
    }

    /// Lets go of a lane and of its turn: another trace may come to the same address.
    fn forget(&mut self, key: Key) {
        if let Some(due) = self.lanes.remove(&key).and_then(|lane| lane.due) {
            self.due.remove(&(due, key));
        }
    }
}

/// An answer that says yes or no to what was sent comes from a backend that is there.
fn note(gate: &mut Gate, verdict: &Verdict, call: Call, reply: &Reply, account: &Account) {
    if !matches!(verdict, Verdict::Again { backend_down: true, .. }) {
        gate.open();
    }
    if !matches!(verdict, Verdict::Delivered { .. }) {
        account.note_error(&reply.describe(call));
    }
}

/// For the benches: encodes the spans of one request, again and again.
pub(super) fn encode_again(trace: &Arc<Tracked>, mut spans: Vec<SpanItem>) -> Box<dyn FnMut() -> usize> {
    let mut lane = Lane::new(Arc::clone(trace));
    let ended = spans.len();
    lane.append(&mut spans);
    let encoder = encode::Encoder::new(None, None);
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        encoder.spans(&mut out, &lane, &encode::Spans { ended, open: &[], root: false });
        out.len()
    })
}

impl Exporter for Rest {
    fn trace_started(&mut self, trace: &Arc<Tracked>) {
        self.with_lane(trace, |_| ());
    }

    fn span_open(&mut self, trace: &Arc<Tracked>, span: &SpanRecord) {
        self.with_lane(trace, |lane| lane.open.push(*span));
    }

    fn spans_ended(&mut self, trace: &Arc<Tracked>, spans: &mut Vec<SpanItem>, account: &mut Account) {
        self.with_lane(trace, |lane| {
            lane.append(spans);
            lane.drop_if_gone(account);
        });
    }

    fn trace_ended(&mut self, trace: &Arc<Tracked>, end: TraceItem, account: &mut Account) {
        self.with_lane(trace, |lane| {
            lane.end = Some(end);
            lane.drop_if_gone(account);
        });
        self.settle(Arc::as_ptr(trace) as Key, account);
    }

    fn trace_discarded(&mut self, trace: &Arc<Tracked>, account: &mut Account) {
        self.with_lane(trace, |lane| {
            // Spans that were opened in it before it was refused are counted with it.
            lane.gone = Some(DropReason::Rejected);
            lane.drop_if_gone(account);
        });
    }

    fn trace_gone(&mut self, trace: &Arc<Tracked>, _: &mut Account) {
        let key = Arc::as_ptr(trace) as Key;
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.abandoned = true;
            // Where there is none, an exporter that failed had it.
            lane.ended |= lane.end.is_none();
            if lane.is_abandoned() {
                self.forget(key);
            }
        }
    }

    fn dispatch(&mut self, now: Instant, all: bool, account: &mut Account) {
        if all && !self.urgent {
            self.urgent = true;
            let keys: Vec<Key> = self.lanes.keys().copied().collect();
            keys.into_iter().for_each(|key| self.schedule(key));
        }
        self.urgent = all;
        self.use_spool(now, account);
        while self.flying.len() + self.parcels.flying() < self.gate.width(now, IN_FLIGHT) {
            let lane = self.due.first().is_some_and(|(at, _)| *at <= now);
            let parcel = self.parcels.next_due().is_some_and(|at| at <= now);
            self.last_parcel = match (lane, parcel) {
                (true, true) => !self.last_parcel,
                (false, false) => break,
                (_, parcel) => parcel,
            };
            if self.last_parcel {
                self.parcels.send_next(&self.client, account);
            } else if let Some((_, key)) = self.due.pop_first() {
                self.send(key, account);
            }
        }
    }

    fn evict(&mut self, excess: &mut Excess, account: &mut Account) {
        let mut touched = Vec::new();
        for (key, lane) in &mut self.lanes {
            if excess.is_spent() {
                break;
            }
            if lane.evict(excess, account) {
                touched.push(*key);
            }
        }
        touched.into_iter().for_each(|key| self.settle(key, account));
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>, account: &mut Account) -> Poll<()> {
        if let Some(spool) = &mut self.spool
            && let Poll::Ready(read) = spool.poll(cx, account)
        {
            self.unspool(read, account);
            return Poll::Ready(());
        }
        if let Poll::Ready(answer) = self.parcels.poll_answer(cx) {
            if let Some((id, call, extras, reply)) = answer {
                self.parcel_answered(id, call, extras, &reply, account);
            }
            return Poll::Ready(());
        }
        match self.flying.poll_join_next(cx) {
            Poll::Ready(Some(Ok((key, call, extras, reply)))) => {
                self.answered(key, call, extras, &reply, account);
                Poll::Ready(())
            }
            // A request that panics has an answer that says so, and one that is aborted goes with what it was of.
            Poll::Ready(Some(Err(_))) => Poll::Ready(()),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let lane = self.due.first().map(|(at, _)| *at);
        let due = self.gate.not_before(lane.into_iter().chain(self.parcels.next_due()).min()?);
        // Where no more may fly, an answer comes before the next can.
        (self.flying.len() + self.parcels.flying() < self.gate.width(due.max(Instant::now()), IN_FLIGHT)).then_some(due)
    }

    fn finish(&mut self, _: &mut Account) {}

    fn drop_all(&mut self, reason: DropReason, account: &mut Account) {
        self.flying.abort_all();
        // What is in the spool stays there.
        let parcels = std::mem::take(&mut self.parcels).into_receipts();
        account.drop_all(parcels, reason);
        account.drop_all(self.spool.as_mut().map(Spool::give_up).unwrap_or_default(), reason);
        for lane in self.lanes.values_mut() {
            lane.gone = Some(reason);
            lane.state = State::Idle;
            lane.drop_if_gone(account);
        }
        self.lanes.clear();
        self.due.clear();
    }

    fn save(&mut self, account: &mut Account) {
        self.save_all(account);
    }

    fn is_writing(&self) -> bool {
        self.spool.as_ref().is_some_and(Spool::is_busy)
    }
}
