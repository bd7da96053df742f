//! How much may lie in memory: records and bytes, counted where they enter and given back where they leave.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What one record costs beside the values captured on it.
const RECORD_BYTES: usize = 96;

#[derive(Debug)]
pub(crate) struct Budget {
    max_records: usize,
    max_bytes: usize,
    records: AtomicUsize,
    bytes: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(max_records: usize, max_bytes: usize) -> Self {
        Self { max_records, max_bytes, records: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// Takes room for one record.
    pub(crate) fn take_record(&self) -> bool {
        if !take(&self.records, 1, self.max_records) {
            return false;
        }
        let fits = take(&self.bytes, RECORD_BYTES, self.max_bytes);
        if !fits {
            self.records.fetch_sub(1, Ordering::Relaxed);
        }
        fits
    }

    /// Takes room for captured values.
    pub(crate) fn take_bytes(&self, bytes: usize) -> bool {
        take(&self.bytes, bytes, self.max_bytes)
    }

    /// Gives back a record and what was captured on it.
    pub(crate) fn give_back(&self, records: usize, captured: usize) {
        self.records.fetch_sub(records, Ordering::Relaxed);
        self.bytes.fetch_sub(records * RECORD_BYTES + captured, Ordering::Relaxed);
    }

    pub(crate) fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn take(used: &AtomicUsize, amount: usize, max: usize) -> bool {
    let before = used.fetch_add(amount, Ordering::Relaxed);
    let fits = before.saturating_add(amount) <= max;
    if !fits {
        used.fetch_sub(amount, Ordering::Relaxed);
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_past_either_limit_and_takes_again_what_was_given_back() {
        let budget = Budget::new(2, 250);
        assert!(budget.take_record() && budget.take_record());
        assert!(!budget.take_record(), "two records are the limit");
        assert!(!budget.take_bytes(59), "192 of 250 bytes are taken");
        assert!(budget.take_bytes(58));
        budget.give_back(1, 58);
        assert!(budget.take_record());
        assert_eq!((budget.records(), budget.bytes()), (2, 192));
    }
}
