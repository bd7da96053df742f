//! What is said of the buffers, at most once a minute.

use crate::collect::Collector;
use crate::collect::ledger::DropReason;
use crate::notice::{Minute, say};

#[derive(Debug, Default)]
pub(super) struct Notices {
    /// Spans lost to full buffers when that was last said.
    lost: u64,
    /// It was said that they are filling up, and they were since.
    filling: bool,
}

impl Notices {
    pub(super) fn look(&mut self, collector: &Collector) {
        self.look_at_room(collector);
        self.look_at_losses(collector);
    }

    fn look_at_room(&mut self, collector: &Collector) {
        static TURN: Minute = Minute::new();
        let (max, used) = (collector.budget.max(), collector.budget.used());
        if !used.exceeds(max.four_fifths()) {
            self.filling = false;
        } else if !self.filling && TURN.is_due() {
            self.filling = true;
            say(|| {
                tracing::warn!(
                    target: "tracium",
                    records = used.records,
                    max_records = max.records,
                    bytes = used.bytes,
                    max_bytes = max.bytes,
                    "the buffers are more than 80 % full: the backend takes less than is emitted"
                );
            });
        }
    }

    fn look_at_losses(&mut self, collector: &Collector) {
        static TURN: Minute = Minute::new();
        let lost = collector.ledger.dropped(DropReason::QueueFull);
        if lost > self.lost && TURN.is_due() {
            self.lost = lost;
            say(|| {
                tracing::warn!(target: "tracium", lost, "the buffers are full: spans are lost until the backend takes more");
            });
        }
    }
}
