//! Requests on their way to disk and back.
//!
//! A unit of the spool is a request's body, with how it is compressed and whose spans they are. Where it goes and under
//! which headers is found out anew when it is sent.

use std::time::Instant;

use tokio::task::JoinSet;

use super::super::Account;
use super::super::http::warn_of_loss;
use super::super::spool::{Fields, Protocol, Read, Slip, Spool, Unit, put_bytes, put_some_text};
use super::Otlp;
use super::batch::Batch;
use super::route::Route;
use crate::collect::ledger::DropReason;
use crate::config::{InitError, OtlpTarget, SpoolSettings};
use crate::tenant::TenantId;

/// What is handed over at once, in bytes.
const AT_ONCE: usize = 1 << 20;

/// The body is compressed.
const GZIP: u8 = 1;
/// It has spans of whatever tenants.
const OF_ALL: u8 = 2;

/// A request as it lies in a file.
#[derive(Debug, PartialEq, Eq)]
struct Stored<'a> {
    gzip: bool,
    of_all: bool,
    tenant: Option<TenantId>,
    body: &'a [u8],
}

impl<'a> Stored<'a> {
    fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 64);
        out.push(if self.gzip { GZIP } else { 0 } | if self.of_all { OF_ALL } else { 0 });
        put_some_text(&mut out, self.tenant.as_ref().map(TenantId::as_str));
        put_bytes(&mut out, self.body);
        out
    }

    fn read(payload: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        let flags = fields.u8().filter(|flags| flags & !(GZIP | OF_ALL) == 0)?;
        let tenant = fields.some_text()?.map(TenantId::try_from).transpose().ok()?;
        let body = fields.bytes()?;
        let stored = Self { gzip: flags & GZIP != 0, of_all: flags & OF_ALL != 0, tenant, body };
        fields.is_empty().then_some(stored)
    }
}

/// Whether a unit of a file is one of ours.
#[cfg(fuzzing)]
pub(crate) fn is_unit(payload: &[u8]) -> bool {
    Stored::read(payload).is_some()
}

impl Otlp {
    /// Keeps on disk what cannot be sent, as `settings` say.
    pub(crate) fn with_spool(
        mut self,
        target: &OtlpTarget,
        settings: Option<&SpoolSettings>,
    ) -> Result<Self, InitError> {
        if let Some(settings) = settings {
            let headers = target.headers.iter().map(|(name, value)| format!("{}\n{value}", name.to_lowercase()));
            let mut headers: Vec<String> = headers.collect();
            headers.sort();
            self.spool = Some(Spool::open(settings, Protocol::Otlp, &headers.join("\n"))?);
            self.router.keep_apart();
        }
        Ok(self)
    }

    /// Sends to disk what should go there, and asks for what can be sent from there.
    pub(super) fn use_spool(&mut self, now: Instant, account: &Account) {
        let Some(mut spool) = self.spool.take() else { return };
        spool.start(account);
        let relieve = spool.should_relieve(account);
        let (gzip, of_all) = (self.envelope.is_gzip(), self.router.is_plain());
        for (number, destination) in &mut self.destinations {
            let due = relieve || destination.is_down(now);
            while due && spool.has_room(now) {
                let (mut units, mut bytes) = (Vec::new(), 0);
                while bytes < AT_ONCE
                    && let Some(batch) = destination.take_oldest()
                {
                    bytes += batch.body.len();
                    units.push(unit(batch, gzip, of_all));
                }
                if units.is_empty() {
                    break;
                }
                spool.write(*number, units);
            }
        }
        // A destination that was forgotten is found again by reading.
        let takes = |number| self.destinations.get(&number).is_none_or(|destination| destination.takes(now));
        spool.fetch(now, takes);
        self.spool = Some(spool);
    }

    /// The process may end: everything that is not with the backend goes to disk, what is under way as well.
    pub(super) fn save_all(&mut self, account: &mut Account) {
        if let Some(spool) = &mut self.spool {
            spool.start(account);
        }
        if !self.spool.as_ref().is_some_and(Spool::is_there) {
            return;
        }
        for (route, open) in std::mem::take(&mut self.open) {
            self.seal(&route, open);
        }
        // What arrived all the same arrives twice, under the same ids.
        self.flying = JoinSet::new();
        for (_, (number, batch)) in self.sent.drain() {
            if let Some(destination) = self.destinations.get_mut(&number) {
                destination.push_front(batch);
            }
        }
        let (gzip, of_all) = (self.envelope.is_gzip(), self.router.is_plain());
        for (number, destination) in &mut self.destinations {
            destination.called_back();
            let batches = std::iter::from_fn(|| destination.take_oldest());
            let units: Vec<Unit> = batches.map(|batch| unit(batch, gzip, of_all)).collect();
            if let Some(spool) = &mut self.spool {
                spool.write(*number, units);
            }
        }
    }

    /// Takes what comes from the spool.
    pub(super) fn unspool(&mut self, read: Read, account: &mut Account) {
        let (units, slip) = match read {
            Read::File { slip, units, .. } => (units, Some(slip)),
            Read::Back(units) => (units, None),
            Read::News => return,
        };
        let mut is_new = true;
        for Unit { payload, receipts } in units {
            let is_first = std::mem::take(&mut is_new);
            let (route, body) = match self.read_unit(&payload, account) {
                Ok(read) => read,
                Err(reason) => {
                    account.drop_all(receipts, reason);
                    self.settle(slip);
                    continue;
                }
            };
            let takes = self.destinations.get(&route.destination).is_some_and(|to| to.takes(Instant::now()));
            if let (true, Some(spool), Some(slip)) = (is_first, &mut self.spool, slip)
                && !spool.keep_loaded(slip, route.destination, takes)
            {
                return;
            }
            let batch = Batch { body, tenant: route.tenant, receipts, attempts: 0, strikes: 0, not_before: None, slip };
            if let Some(destination) = self.destinations.get_mut(&route.destination) {
                destination.push(batch);
            }
        }
    }

    /// Where a unit goes, and the body of its request.
    fn read_unit(&mut self, payload: &[u8], account: &Account) -> Result<(Route, Vec<u8>), DropReason> {
        let stored = Stored::read(payload).ok_or(DropReason::Spool)?;
        if stored.of_all && !self.router.is_plain() {
            // Tenants that are told apart now are in one request here.
            let why = "what was spooled has spans of all tenants, and each has its own requests now";
            account.note_error(why);
            warn_of_loss(DropReason::Unroutable, why);
            return Err(DropReason::Unroutable);
        }
        let route = self.route(stored.tenant.as_ref(), account).ok_or(DropReason::Unroutable)?;
        let body = self.envelope.recoded(stored.body, stored.gzip).ok_or(DropReason::Spool)?;
        Ok((route, body))
    }

    fn settle(&mut self, slip: Option<Slip>) {
        if let (Some(spool), Some(slip)) = (&mut self.spool, slip) {
            spool.settle(slip);
        }
    }
}

fn unit(batch: Batch, gzip: bool, of_all: bool) -> Unit {
    let stored = Stored { gzip, of_all, tenant: batch.tenant, body: &batch.body };
    Unit { payload: stored.write(), receipts: batch.receipts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_and_nothing_that_is_cut_off_or_longer_does() {
        let tenant = TenantId::try_from("Zürich-会社").ok();
        for (gzip, of_all, tenant) in [(true, false, tenant), (false, true, None), (true, true, None)] {
            let stored = Stored { gzip, of_all, tenant, body: b"spans" };
            let payload = stored.write();
            assert_eq!(Stored::read(&payload).as_ref(), Some(&stored));
            for length in 0..payload.len() {
                assert_eq!(Stored::read(&payload[..length]), None, "{length}");
            }
            assert_eq!(Stored::read(&[&payload[..], b"x"].concat()), None);
        }
    }

    #[test]
    fn an_id_that_is_no_tenants_is_not_sent() {
        let mut payload = vec![0];
        put_some_text(&mut payload, Some(""));
        put_bytes(&mut payload, b"spans");
        assert_eq!(Stored::read(&payload), None);
    }
}
