//! Lanes on their way to disk, and parcels back.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::super::Account;
use super::super::http::warn_of_loss;
use super::super::spool::{DOWN, Protocol, Read, Spool};
use super::answer::{Call, Past, Verdict, judge};
use super::client::Reply;
use super::lane::{Lane, State};
use super::parcel::Parcel;
use super::{IN_FLIGHT, Key, Rest, note, step};
use crate::collect::ledger::DropReason;
use crate::config::{Endpoint, InitError, SpoolSettings};

/// Where all of it goes.
const BACKEND: u32 = 0;
/// What is handed over at once, in bytes.
const AT_ONCE: usize = 1 << 20;
/// How often lanes go to disk while the backend is down.
const OFTEN: Duration = Duration::from_millis(500);
/// With so many parcels, no more are read.
const ENOUGH: usize = 4 * IN_FLIGHT;

impl Rest {
    /// Keeps on disk what cannot be sent, as `settings` say.
    pub(crate) fn with_spool(
        mut self,
        endpoint: &Endpoint,
        settings: Option<&SpoolSettings>,
    ) -> Result<Self, InitError> {
        if let Some(settings) = settings {
            self.spool = Some(Spool::open(settings, Protocol::Rest, &endpoint.api_key)?);
        }
        Ok(self)
    }

    /// Sends to disk what should go there, and asks for what can be sent from there.
    pub(super) fn use_spool(&mut self, now: Instant, account: &mut Account) {
        let Some(mut spool) = self.spool.take() else { return };
        spool.start(account);
        let relieve = spool.should_relieve(account);
        if relieve || (self.gate.is_down_for(DOWN, now) && now >= self.next_spill) {
            let all = self.spill(&mut spool, account, |lane| lane.is_named(now), |spool| spool.has_room(now));
            self.next_spill = if all { now + OFTEN } else { now };
        }
        if self.parcels.waiting() < ENOUGH {
            spool.fetch(now, |_| self.gate.width(now, IN_FLIGHT) > 0);
        }
        self.spool = Some(spool);
    }

    /// What waits in lanes that `may` go goes to disk, oldest first, for as long as there `has_room`; whether all did.
    fn spill(
        &mut self,
        spool: &mut Spool,
        account: &mut Account,
        may: impl Fn(&Lane) -> bool,
        has_room: impl Fn(&Spool) -> bool,
    ) -> bool {
        if !has_room(spool) {
            return false;
        }
        spool.write(BACKEND, self.parcels.take_homeless().into_iter().map(Parcel::into_unit));
        let waiting = self.lanes.iter().filter(|(_, lane)| {
            let has_items = !lane.spans.is_empty() || lane.end.is_some();
            lane.state == State::Idle && lane.gone.is_none() && has_items && may(lane)
        });
        let mut keys: Vec<(Instant, Key)> = waiting.map(|(key, lane)| (lane.oldest, *key)).collect();
        keys.sort_unstable();
        let mut keys = keys.into_iter().map(|(_, key)| key);
        let mut current = keys.next();
        while has_room(spool) {
            let (mut units, mut bytes) = (Vec::new(), 0);
            while bytes < AT_ONCE
                && let Some(key) = current
            {
                let lane = self.lanes.get_mut(&key);
                match lane.and_then(|lane| Parcel::of(lane, &self.encoder, &self.bodies, spool.unit_bytes())) {
                    Some(parcel) => {
                        let unit = parcel.into_unit();
                        bytes += unit.payload.len();
                        units.push(unit);
                    }
                    None => current = keys.next(),
                }
                self.settle(key, account);
            }
            if units.is_empty() {
                return true;
            }
            spool.write(BACKEND, units);
        }
        current.is_none()
    }

    /// The process may end: everything that is not with the backend goes to disk, what is under way as well.
    pub(super) fn save_all(&mut self, account: &mut Account) {
        let Some(mut spool) = self.spool.take() else { return };
        spool.start(account);
        if spool.is_there() {
            // What arrived all the same arrives twice, under the same ids.
            self.flying = JoinSet::new();
            let mut called_back = Vec::new();
            for (key, lane) in self.lanes.iter_mut().filter(|(_, lane)| lane.state == State::Waiting) {
                lane.state = State::Idle;
                lane.resent = true;
                step::again(lane, Instant::now());
                called_back.push(*key);
            }
            called_back.into_iter().for_each(|key| self.settle(key, account));
            self.parcels.call_back();
            self.spill(&mut spool, account, |_| true, |_| true);
        }
        self.spool = Some(spool);
    }

    /// Takes what comes from the spool.
    pub(super) fn unspool(&mut self, read: Read, account: &mut Account) {
        let (units, slip, tried) = match read {
            Read::File { slip, units, tried } => (units, Some(slip), tried),
            Read::Back(units) => (units, None, false),
            Read::News => return,
        };
        for unit in units {
            match Parcel::of_unit(unit, slip, tried) {
                Ok(mut parcel) => {
                    if !self.encoder.has_extras() {
                        parcel.leave_out_extras();
                    }
                    self.go_on(None, parcel, Instant::now());
                }
                Err(receipts) => {
                    account.drop_all(receipts, DropReason::Spool);
                    if let (Some(spool), Some(slip)) = (&mut self.spool, slip) {
                        spool.settle(slip);
                    }
                }
            }
        }
    }

    /// `parcel`, which may have an `id` already, goes on not before `at`, or is done.
    fn go_on(&mut self, id: Option<u64>, parcel: Parcel, at: Instant) {
        match id {
            _ if parcel.is_done() => {
                if let (Some(spool), Some(slip)) = (&mut self.spool, parcel.slip) {
                    spool.settle(slip);
                }
            }
            Some(id) => self.parcels.put(id, parcel, at),
            None => self.parcels.add(parcel),
        }
    }

    pub(super) fn parcel_answered(&mut self, id: u64, call: Call, extras: bool, reply: &Reply, account: &mut Account) {
        let Some(mut parcel) = self.parcels.take(id) else { return };
        let past = Past { strikes: parcel.strikes, resent: parcel.resent, extras };
        let verdict = judge(call, reply, past);
        note(&mut self.gate, &verdict, call, reply, account);
        let mut pause = Duration::ZERO;
        match verdict {
            Verdict::Delivered { id } => parcel.delivered(call, id, account),
            Verdict::Again { after, backend_down, strike } => {
                parcel.attempts += 1;
                parcel.strikes += u32::from(strike);
                parcel.resent = true;
                pause = self.gate.pause(parcel.attempts, after, backend_down);
            }
            Verdict::Plain => {
                self.encoder.leave_out_extras();
                parcel.leave_out_extras();
            }
            Verdict::Recreate => {
                parcel.attempts += 1;
                parcel.strikes += 1;
                parcel.resent = true;
                pause = self.gate.pause(parcel.attempts, None, false);
                parcel.recreate();
            }
            Verdict::Split => parcel.split(account),
            Verdict::Drop(reason) => {
                warn_of_loss(reason, &reply.describe(call));
                parcel.refused(call, reason, account);
            }
        }
        self.go_on(Some(id), parcel, Instant::now() + pause);
    }
}

#[cfg(test)]
mod tests;
