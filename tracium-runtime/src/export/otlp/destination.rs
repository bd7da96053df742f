//! One backend: what waits for it, and how it answers.

use std::collections::VecDeque;
use std::time::Instant;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::super::Account;
use super::super::account::Receipt;
use super::super::http::{Client, Gate, Reply, secret_header, warn_of_loss};
use super::super::spool::{DOWN, Spool};
use super::answer::{Verdict, judge};
use super::batch::{Batch, Envelope, Open};
use crate::collect::ledger::DropReason;
use crate::collect::shares::Excess;
use crate::config::{Backoff, InitError};
use crate::content::scrub_text;
use crate::tenant::TenantId;

/// Requests under way at once.
const IN_FLIGHT: usize = 8;

pub(super) struct Destination {
    url: String,
    headers: HeaderMap,
    gate: Gate,
    /// Sealed, and not under way.
    waiting: VecDeque<Batch>,
    /// The same, from the spool, where they stay until they are delivered.
    spooled: VecDeque<Batch>,
    /// The last that was sent came from there: they take turns.
    last_spooled: bool,
    flying: usize,
}

impl Destination {
    /// The backend at `url`; the headers, which may be secrets, are sent to it alone.
    pub(super) fn new(url: String, headers: &[(String, String)], backoff: Backoff) -> Result<Self, InitError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let illegal = || InitError::InvalidHeader { setting: "a header", name: name.clone() };
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| illegal())?;
            map.insert(header, secret_header(value).ok_or_else(illegal)?);
        }
        Ok(Self {
            url,
            headers: map,
            gate: Gate::new(backoff),
            waiting: VecDeque::new(),
            spooled: VecDeque::new(),
            last_spooled: false,
            flying: 0,
        })
    }

    /// Nothing waits for it, and nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.flying == 0 && self.waiting.is_empty() && self.spooled.is_empty()
    }

    pub(super) fn push(&mut self, batch: Batch) {
        self.queue_of(&batch).push_back(batch);
    }

    /// Again, before all others.
    pub(super) fn push_front(&mut self, batch: Batch) {
        self.queue_of(&batch).push_front(batch);
    }

    fn queue_of(&mut self, batch: &Batch) -> &mut VecDeque<Batch> {
        if batch.slip.is_some() { &mut self.spooled } else { &mut self.waiting }
    }

    /// It has been down for so long that what waits for it should go to disk.
    pub(super) fn is_down(&self, now: Instant) -> bool {
        self.gate.is_down_for(DOWN, now)
    }

    /// It takes more from the spool.
    pub(super) fn takes(&self, now: Instant) -> bool {
        self.gate.width(now, IN_FLIGHT) > 0
    }

    /// The oldest that waits in memory.
    pub(super) fn take_oldest(&mut self) -> Option<Batch> {
        self.waiting.pop_front()
    }

    /// What is under way was called back.
    pub(super) fn called_back(&mut self) {
        self.flying = 0;
    }

    /// The next that may leave at `now`, from memory and from the spool by turns.
    fn pick(&mut self, now: Instant) -> Option<Batch> {
        let due = |queue: &VecDeque<Batch>| queue.iter().position(|batch| batch.not_before.is_none_or(|at| at <= now));
        let (waiting, spooled) = (due(&self.waiting), due(&self.spooled));
        self.last_spooled = match (waiting, spooled) {
            (Some(_), Some(_)) => !self.last_spooled,
            (waiting, _) => waiting.is_none(),
        };
        if self.last_spooled { self.spooled.remove(spooled?) } else { self.waiting.remove(waiting?) }
    }

    /// The next request that may leave now, and the future that sends it.
    pub(super) fn next(
        &mut self,
        client: &Client,
        tenant_header: Option<&HeaderName>,
        now: Instant,
        account: &Account,
    ) -> Option<(Batch, impl Future<Output = Reply> + Send + use<>)> {
        if self.flying >= self.gate.width(now, IN_FLIGHT) {
            return None;
        }
        let batch = self.pick(now)?;
        self.flying += 1;
        account.note_request();
        let mut headers = self.headers.clone();
        if let (Some(name), Some(tenant)) = (tenant_header, &batch.tenant)
            && let Ok(value) = HeaderValue::from_str(tenant.as_str())
        {
            headers.insert(name.clone(), value);
        }
        // Kept here as well: it may have to be sent again.
        let sent = client.post(&self.url, headers, batch.body.clone().into());
        Some((batch, sent))
    }

    /// When [`Self::next`] should be asked again, if no answer comes before.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let all = self.waiting.iter().chain(&self.spooled);
        let first = all.map(|batch| batch.not_before.unwrap_or(now)).min()?;
        let due = self.gate.not_before(first);
        (self.flying < self.gate.width(due.max(now), IN_FLIGHT)).then_some(due)
    }

    /// Settles `batch` by its answer; `None` is a request whose task ended without one.
    pub(super) fn answered(
        &mut self,
        mut batch: Batch,
        reply: Option<&Reply>,
        envelope: &Envelope,
        spool: Option<&mut Spool>,
        account: &mut Account,
    ) {
        self.flying -= 1;
        let Some(reply) = reply else {
            self.push_front(batch);
            return;
        };
        let (slip, mut settled) = (batch.slip, true);
        let verdict = judge(reply, batch.strikes);
        // An answer that says yes or no to what was sent comes from a backend that is there.
        if !matches!(verdict, Verdict::Again { backend_down: true, .. }) {
            self.gate.open();
        }
        if !matches!(verdict, Verdict::Delivered { .. }) {
            account.note_error(&describe(reply));
        }
        match verdict {
            Verdict::Delivered { rejected, why } => delivered(&batch, rejected, &why, account),
            Verdict::Again { after, backend_down, strike } => {
                batch.attempts += 1;
                batch.strikes += u32::from(strike);
                let pause = self.gate.pause(batch.attempts, after, backend_down);
                batch.not_before = Some(Instant::now() + pause);
                self.push_front(batch);
                settled = false;
            }
            Verdict::Split => match envelope.split(&batch) {
                Some(halves) => {
                    if let (Some(spool), Some(slip)) = (spool, slip) {
                        spool.split(slip, 1);
                    }
                    halves.into_iter().rev().for_each(|half| self.push_front(half));
                    return;
                }
                None => lost(&batch.receipts, DropReason::TooLarge, &describe(reply), account),
            },
            Verdict::Drop(reason) => lost(&batch.receipts, reason, &describe(reply), account),
        }
        if let (true, Some(spool), Some(slip)) = (settled, spool, slip) {
            spool.settle(slip);
        }
    }

    /// Lets go of what is in excess, the latest first. A request that holds something else as well is taken apart; what is
    /// left of it is given back with the tenant that it names.
    pub(super) fn evict(
        &mut self,
        envelope: &Envelope,
        excess: &mut Excess,
        account: &mut Account,
    ) -> Vec<(Option<TenantId>, Open)> {
        let mut kept = Vec::new();
        for at in (0..self.waiting.len()).rev() {
            if excess.is_spent() {
                break;
            }
            let wanted = |batch: &Batch| batch.receipts.iter().any(|receipt| receipt.is_wanted_by(excess));
            let Some(mut open) =
                self.waiting.get(at).filter(|batch| wanted(batch)).and_then(|batch| envelope.open(batch))
            else {
                continue;
            };
            open.evict(excess, account);
            if let Some(batch) = self.waiting.remove(at)
                && !open.receipts.is_empty()
            {
                kept.push((batch.tenant, open));
            }
        }
        kept
    }

    /// Lets go of everything that waits; what is in the spool stays there.
    pub(super) fn take_waiting(&mut self) -> Vec<Receipt> {
        self.flying = 0;
        self.spooled.clear();
        self.waiting.drain(..).flat_map(|batch| batch.receipts).collect()
    }
}

/// A partial success is final: what it rejects is counted, and none of it is sent again.
fn delivered(batch: &Batch, rejected: u64, why: &str, account: &mut Account) {
    let rejected = usize::try_from(rejected).unwrap_or(usize::MAX).min(batch.receipts.len());
    let (refused, taken) = batch.receipts.split_at(rejected);
    account.acknowledge_all(taken.iter().copied());
    if rejected > 0 || !why.is_empty() {
        let text = format!("OTLP: {rejected} of {} spans rejected: {}", batch.receipts.len(), scrub_text(why, 500));
        account.note_error(&text);
        lost(refused, DropReason::Rejected, &text, account);
    }
}

fn lost(receipts: &[Receipt], reason: DropReason, what: &str, account: &mut Account) {
    if !receipts.is_empty() {
        warn_of_loss(reason, what);
    }
    account.drop_all(receipts.iter().copied(), reason);
}

/// For people, without anything that was sent.
fn describe(reply: &Reply) -> String {
    match reply {
        Reply::Answer(answer) if (200..300).contains(&answer.status) => {
            format!("OTLP: status {}, and no answer of OTLP", answer.status)
        }
        Reply::Answer(answer) => format!("OTLP: status {}", answer.status),
        Reply::Nothing(why) => format!("OTLP: {why}"),
    }
}
