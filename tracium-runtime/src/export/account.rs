//! What the export thread holds, and what became of what it held.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{SpanItem, Totals, TraceItem};
use crate::collect::Collector;
use crate::collect::ledger::DropReason;

/// The export thread's side of the accounting.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) collector: &'static Collector,
    /// How many of each sweep are held.
    held: BTreeMap<u64, usize>,
    /// Tokens and calls per tenant and model.
    pub(crate) totals: Arc<std::sync::Mutex<Totals>>,
}

/// What an item was admitted with, to be given back; taken off it before it is sent away to be encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt {
    sweep: u64,
    captured: usize,
}

impl Receipt {
    /// Of something of `sweep` with nothing captured.
    pub(crate) fn of(sweep: u64) -> Self {
        Self { sweep, captured: 0 }
    }
}

impl SpanItem {
    pub(crate) fn receipt(&self) -> Receipt {
        Receipt { sweep: self.sweep, captured: self.details.as_ref().map_or(0, |details| details.bytes) }
    }
}

impl TraceItem {
    /// To be asked for once: what the trace was admitted with is given back with it.
    pub(crate) fn receipt(&self) -> Receipt {
        let trace = self.root.trace.state().take_bytes();
        Receipt { sweep: self.sweep, captured: trace + self.details.as_ref().map_or(0, |details| details.bytes) }
    }
}

impl Account {
    pub(crate) fn new(collector: &'static Collector, totals: Arc<std::sync::Mutex<Totals>>) -> Self {
        Self { collector, held: BTreeMap::new(), totals }
    }

    pub(crate) fn accept(&mut self, sweep: u64) {
        *self.held.entry(sweep).or_default() += 1;
        self.collector.ledger.held.fetch_add(1, Ordering::Relaxed);
    }

    /// The backend has it.
    pub(crate) fn acknowledge(&mut self, receipt: Receipt) {
        self.release(receipt);
        self.collector.ledger.acknowledged.fetch_add(1, Ordering::Release);
    }

    /// Nobody will have it.
    pub(crate) fn drop(&mut self, receipt: Receipt, reason: DropReason) {
        self.release(receipt);
        self.collector.ledger.drop(reason, 1);
    }

    fn release(&mut self, receipt: Receipt) {
        if let Some(count) = self.held.get_mut(&receipt.sweep) {
            *count -= 1;
            if *count == 0 {
                self.held.remove(&receipt.sweep);
            }
        }
        self.collector.ledger.held.fetch_sub(1, Ordering::Relaxed);
        self.collector.budget.give_back(1, receipt.captured);
    }

    /// Whether nothing of `sweep` or before is held.
    pub(crate) fn is_clear(&self, sweep: u64) -> bool {
        self.held.first_key_value().is_none_or(|(oldest, _)| *oldest > sweep)
    }

    /// Of `sweep` and before, how many are held.
    pub(crate) fn held_until(&self, sweep: u64) -> usize {
        self.held.range(..=sweep).map(|(_, count)| count).sum()
    }
}
