//! How much may lie in memory: records and bytes, counted where they enter and given back where they leave.

use super::shares::Amount;
use crate::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(crate) struct Budget {
    max_records: usize,
    max_bytes: usize,
    records: AtomicUsize,
    bytes: AtomicUsize,
}

impl Budget {
    /// What one record costs beside the values captured on it: in a segment, or held by the export thread.
    /// 48 bytes in a segment; some 100 as an item, and the room of queues that double.
    pub(crate) const RECORD_BYTES: usize = 120;

    pub(crate) fn new(max_records: usize, max_bytes: usize) -> Self {
        Self { max_records, max_bytes, records: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// One of which so much is anybody's. What is kept free for tenants that have less than their share lies beside it.
    pub(crate) fn with_reserve(max_records: usize, max_bytes: usize) -> Self {
        let wide = |most: usize| most.saturating_add(most / 7);
        let all = Amount { records: wide(max_records), bytes: wide(max_bytes) };
        // Of small ones, nothing is kept free.
        let fits = |anybodys: usize, most: usize, all: usize| if anybodys == most { all } else { most };
        let anybodys = all.mark();
        Self::new(fits(anybodys.records, max_records, all.records), fits(anybodys.bytes, max_bytes, all.bytes))
    }

    /// One with the same limits, and nothing taken.
    pub(crate) fn anew(&self) -> Self {
        Self::new(self.max_records, self.max_bytes)
    }

    /// Takes room for up to `most` records; how many there was room for.
    pub(crate) fn take_records(&self, most: usize) -> usize {
        let by_records = take_up_to(&self.records, most, self.max_records, 1);
        let by_bytes = take_up_to(&self.bytes, by_records, self.max_bytes, Self::RECORD_BYTES);
        self.records.fetch_sub(by_records - by_bytes, Ordering::Relaxed);
        by_bytes
    }

    /// Takes room for captured values.
    pub(crate) fn take_bytes(&self, bytes: usize) -> bool {
        take(&self.bytes, bytes, self.max_bytes)
    }

    /// Gives back a record and what was captured on it.
    pub(crate) fn give_back(&self, records: usize, captured: usize) {
        self.records.fetch_sub(records, Ordering::Relaxed);
        self.bytes.fetch_sub(records * Self::RECORD_BYTES + captured, Ordering::Relaxed);
    }

    /// More than `eighths` eighths of the records or of the bytes are taken.
    pub(crate) fn is_beyond(&self, eighths: usize) -> bool {
        let beyond = |taken: usize, most: usize| taken > most / 8 * eighths;
        beyond(self.records(), self.max_records) || beyond(self.bytes(), self.max_bytes)
    }

    pub(crate) fn max_records(&self) -> usize {
        self.max_records
    }

    pub(crate) fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn max(&self) -> Amount {
        Amount { records: self.max_records, bytes: self.max_bytes }
    }

    pub(crate) fn used(&self) -> Amount {
        Amount { records: self.records(), bytes: self.bytes() }
    }

    /// So full that it matters whose what comes is.
    pub(crate) fn is_past_mark(&self) -> bool {
        self.used().exceeds(self.max().mark())
    }
}

/// Takes as many of `most` pieces of `size` as there is room for.
fn take_up_to(used: &AtomicUsize, most: usize, max: usize, size: usize) -> usize {
    let before = used.fetch_add(most * size, Ordering::Relaxed);
    let taken = (max.saturating_sub(before) / size).min(most);
    used.fetch_sub((most - taken) * size, Ordering::Relaxed);
    taken
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
        let record = Budget::RECORD_BYTES;
        let budget = Budget::new(300, 250 * record);
        assert_eq!(budget.take_records(200), 200);
        assert_eq!(budget.take_records(200), 50, "there is room for the bytes of 250");
        assert_eq!(budget.take_records(1), 0);
        assert!(!budget.take_bytes(1));
        budget.give_back(100, 0);
        assert!(budget.take_bytes(100 * record));
        assert_eq!((budget.records(), budget.bytes()), (150, 250 * record));
        assert_eq!(budget.take_records(10), 0, "records fit, bytes do not");
        budget.give_back(150, 100 * record);
        assert_eq!((budget.records(), budget.bytes()), (0, 0));
    }

    #[test]
    fn what_is_asked_for_is_anybodys_and_the_reserve_lies_beside_it() {
        for most in [1 << 20, 128 << 20, 1_000_003, 9_999_999] {
            let budget = Budget::with_reserve(most, most);
            assert_eq!(budget.max().mark(), Amount { records: most, bytes: most });
            assert_eq!(budget.max_records(), most + most / 7);
        }
        let small = Budget::with_reserve(1_000, 100_000);
        assert_eq!((small.max(), small.max().mark()), (Amount { records: 1_000, bytes: 100_000 }, small.max()));
    }

    // The default memory has room for the default number of records.
    const _: () = assert!((1 << 20) * Budget::RECORD_BYTES <= 128 << 20);
}
