//! What the export thread holds, and what became of what it held.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{SpanItem, Totals, TraceItem};
use crate::collect::Collector;
use crate::collect::ledger::{DropReason, Ledger};
use crate::collect::shares::{Amount, Excess, HolderId};

/// The export thread's side of the accounting.
#[derive(Debug)]
pub(crate) struct Account {
    collector: &'static Collector,
    ledger: &'static Ledger,
    /// How many of each sweep are held, from the oldest of which any is.
    held: VecDeque<usize>,
    oldest: u32,
    /// It is that of an exporter beside the first: what it loses, tenants lose nowhere else.
    is_beside: bool,
    /// What is taken or given back, by holder; kept for its room.
    runs: Vec<(HolderId, Amount)>,
    /// Tokens and calls per tenant and model.
    pub(crate) totals: Arc<std::sync::Mutex<Totals>>,
}

/// What an item was admitted with, to be given back; taken off it before it is sent away to be encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt {
    sweep: u32,
    holder: HolderId,
    captured: usize,
}

const _: () = assert!(size_of::<Receipt>() == 16);

impl Receipt {
    /// Of something that lies in the spool, which takes no memory and no flush waits for.
    #[cfg_attr(not(feature = "client"), allow(dead_code))]
    pub(crate) const SPOOLED: Self = Self { sweep: u32::MAX, holder: HolderId::NOBODY, captured: 0 };

    /// Of something of `sweep` that is nobody's, with nothing captured.
    pub(crate) fn of(sweep: u32) -> Self {
        Self { sweep, holder: HolderId::NOBODY, captured: 0 }
    }

    /// Whether it is to be let go of; it counts as gone then.
    pub(crate) fn is_taken_by(self, excess: &mut Excess) -> bool {
        excess.takes(self.holder, self.captured)
    }

    /// Whether something of its tenant is to be let go of.
    pub(crate) fn is_wanted_by(self, excess: &Excess) -> bool {
        excess.is_of(self.holder)
    }
}

impl SpanItem {
    pub(crate) fn receipt(&self) -> Receipt {
        Receipt { sweep: self.sweep, holder: self.holder, captured: self.captured() }
    }
}

impl TraceItem {
    /// What the trace was admitted with is given back with its end.
    pub(crate) fn receipt(&self) -> Receipt {
        let captured = self.of_trace + self.details.as_ref().map_or(0, |details| details.bytes);
        Receipt { sweep: self.sweep, holder: self.holder, captured }
    }
}

impl Account {
    pub(crate) fn new(collector: &'static Collector, totals: Arc<std::sync::Mutex<Totals>>) -> Self {
        let (held, runs) = (VecDeque::new(), Vec::new());
        Self { collector, ledger: &collector.ledger, held, oldest: 0, is_beside: false, runs, totals }
    }

    /// That of an exporter beside the first.
    pub(crate) fn beside(
        collector: &'static Collector,
        ledger: &'static Ledger,
        totals: Arc<std::sync::Mutex<Totals>>,
    ) -> Self {
        Self { ledger, is_beside: true, ..Self::new(collector, totals) }
    }

    /// Takes room for a copy of something with `captured` bytes; where there is none, it is counted as lost.
    pub(crate) fn admit(&self, captured: usize) -> bool {
        if self.collector.budget.take_records(1) == 1 {
            if self.collector.budget.take_bytes(captured) {
                return true;
            }
            self.collector.give_back(1, 0);
        }
        self.ledger.drop(DropReason::QueueFull, 1);
        self.ledger.passed.offered.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Notes what went wrong, for people.
    pub(crate) fn note_error(&self, error: &str) {
        self.ledger.note_error(error);
    }

    /// Notes that a request is sent.
    pub(crate) fn note_request(&self) {
        self.ledger.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes spans or outcomes that `sweep` brought.
    pub(crate) fn accept(&mut self, sweep: u32, receipts: impl IntoIterator<Item = Receipt>) {
        let (mut count, mut captured) = (0, 0);
        for receipt in receipts {
            count += 1;
            captured += receipt.captured;
            self.note_run(receipt);
        }
        self.ledger.passed.offered.fetch_add(count as u64, Ordering::Relaxed);
        self.ledger.passed.held_bytes.fetch_add(captured, Ordering::Relaxed);
        if self.held.is_empty() {
            self.oldest = sweep;
        }
        let at = sweep.saturating_sub(self.oldest) as usize;
        if at >= self.held.len() {
            self.held.resize(at + 1, 0);
        }
        self.held[at] += count;
        self.ledger.held.fetch_add(count, Ordering::Relaxed);
        self.collector.shares.hold(&self.runs, self.is_beside);
        self.runs.clear();
    }

    /// Most that come together are of one tenant.
    fn note_run(&mut self, receipt: Receipt) {
        let amount = Amount::of(1, receipt.captured);
        match self.runs.last_mut() {
            Some((holder, run)) if *holder == receipt.holder => *run = run.plus(amount),
            _ => self.runs.push((receipt.holder, amount)),
        }
    }

    /// The backend has it.
    pub(crate) fn acknowledge(&mut self, receipt: Receipt) {
        self.acknowledge_all(std::iter::once(receipt));
    }

    /// The backend has all of them.
    pub(crate) fn acknowledge_all(&mut self, receipts: impl IntoIterator<Item = Receipt>) {
        let count = self.release(receipts, None);
        self.ledger.acknowledged.fetch_add(count as u64, Ordering::Release);
    }

    /// Nobody will have it.
    pub(crate) fn drop(&mut self, receipt: Receipt, reason: DropReason) {
        self.drop_all(std::iter::once(receipt), reason);
    }

    /// Nobody will have any of them.
    pub(crate) fn drop_all(&mut self, receipts: impl IntoIterator<Item = Receipt>, reason: DropReason) {
        let count = self.release(receipts, Some(reason));
        self.ledger.drop(reason, count);
    }

    /// Nobody will have any of them, and no exporter ever had.
    pub(crate) fn drop_unseen(&mut self, receipts: impl IntoIterator<Item = Receipt>, reason: DropReason) {
        let count = self.release(receipts, Some(reason));
        self.ledger.passed.kept_back.fetch_add(count as u64, Ordering::Relaxed);
        self.ledger.drop_unseen(reason, count);
    }

    /// More than `eighths` eighths of what may lie in memory do.
    #[cfg_attr(not(feature = "client"), allow(dead_code))]
    pub(crate) fn is_beyond(&self, eighths: usize) -> bool {
        self.collector.budget.is_beyond(eighths)
    }

    /// They lie in the spool from now on, and no longer in memory.
    #[cfg_attr(not(feature = "client"), allow(dead_code))]
    pub(crate) fn spool(&mut self, receipts: impl IntoIterator<Item = Receipt>) {
        let count = self.release(receipts, None);
        self.ledger.spooled.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// So many lie in the spool of a process that is gone, or of an export of this one that failed.
    #[cfg_attr(not(feature = "client"), allow(dead_code))]
    pub(crate) fn recover(&self, count: usize) {
        self.ledger.spooled.fetch_add(count as u64, Ordering::Relaxed);
        self.ledger.recovered.fetch_add(count as u64, Ordering::Release);
    }

    /// Gives back what they were admitted with; how many there are.
    fn release(&mut self, receipts: impl IntoIterator<Item = Receipt>, lost: Option<DropReason>) -> usize {
        let (mut all, mut captured, mut spooled) = (0, 0, 0);
        // Most come of one sweep: it is looked up once.
        let (mut sweep, mut of_sweep) = (0, 0);
        for receipt in receipts {
            if receipt.sweep == Receipt::SPOOLED.sweep {
                spooled += 1;
                continue;
            }
            if receipt.sweep != sweep {
                self.release_from(sweep, of_sweep);
                (sweep, of_sweep) = (receipt.sweep, 0);
            }
            of_sweep += 1;
            all += 1;
            captured += receipt.captured;
            self.note_run(receipt);
        }
        self.release_from(sweep, of_sweep);
        self.ledger.held.fetch_sub(all, Ordering::Relaxed);
        self.ledger.passed.held_bytes.fetch_sub(captured, Ordering::Relaxed);
        self.collector.shares.release(&self.runs, self.is_beside, lost);
        self.runs.clear();
        self.collector.give_back(all, captured);
        self.ledger.unspool(spooled);
        all + spooled
    }

    fn release_from(&mut self, sweep: u32, count: usize) {
        if let Some(held) = self.held.get_mut(sweep.wrapping_sub(self.oldest) as usize) {
            *held = held.saturating_sub(count);
        }
        while self.held.front() == Some(&0) {
            self.held.pop_front();
            self.oldest += 1;
        }
    }

    /// Whether nothing of `sweep` or before is held.
    pub(crate) fn is_clear(&self, sweep: u32) -> bool {
        self.held.is_empty() || self.oldest > sweep
    }

    /// Of `sweep` and before, how many are held.
    pub(crate) fn held_until(&self, sweep: u32) -> usize {
        self.held.iter().take((sweep + 1).saturating_sub(self.oldest) as usize).sum()
    }
}
