//! What is said of the buffers, at most once a minute.

use crate::collect::Collector;
use crate::collect::ledger::DropReason;
use crate::notice::{Minute, say};

#[derive(Debug)]
pub(super) struct Notices {
    /// Spans lost to full buffers when that was last said.
    lost: u64,
    loss: Minute,
    /// It was said that they are filling up, and they were since.
    filling: bool,
    room: Minute,
}

impl Default for Notices {
    fn default() -> Self {
        Self { lost: 0, loss: Minute::new(), filling: false, room: Minute::new() }
    }
}

impl Notices {
    pub(super) fn look(&mut self, collector: &Collector) {
        self.look_at_room(collector);
        self.look_at_losses(collector);
    }

    fn look_at_room(&mut self, collector: &Collector) {
        let (max, used) = (collector.budget.max().mark(), collector.budget.used());
        if !used.exceeds(max.four_fifths()) {
            self.filling = false;
        } else if !self.filling && self.room.is_due() {
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
        let lost = collector.ledger.dropped(DropReason::QueueFull);
        if lost > self.lost && self.loss.is_due() {
            self.lost = lost;
            say(|| {
                tracing::warn!(target: "tracium", lost, "the buffers are full: spans are lost until the backend takes more");
            });
        }
    }
}

#[cfg(all(test, not(tracium_loom)))]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;
    use crate::collect::Budget;
    use crate::collect::policy::Policy;

    /// Keeps where events come from.
    #[derive(Clone, Default)]
    struct Events(Arc<Mutex<Vec<&'static str>>>);

    impl Subscriber for Events {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            self.0.lock().unwrap().push(event.metadata().target());
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn buffers_that_fill_up_are_told_of_once_and_again_only_after_they_were_emptier_and_a_minute_later() {
        let collector = Collector::new(Budget::new(100, 1 << 20), Policy::default());
        let (mut notices, events) = (Notices::default(), Events::default());
        let mut told = |after_a_minute: bool| {
            if after_a_minute {
                notices.room = Minute::new();
            }
            tracing::subscriber::with_default(events.clone(), || notices.look(collector));
            std::mem::take(&mut *events.0.lock().unwrap())
        };
        collector.budget.take_records(80);
        assert!(told(false).is_empty(), "80 % are not more than that");
        collector.budget.take_records(1);
        assert_eq!(told(false), ["tracium"]);
        assert!(told(true).is_empty(), "they were not emptier since");
        collector.give_back(10, 0);
        assert!(told(true).is_empty());
        // The bytes count as well.
        collector.budget.take_bytes(900 << 10);
        assert_eq!(told(false), ["tracium"]);
        collector.give_back(0, 900 << 10);
        assert!(told(false).is_empty());
        collector.budget.take_records(20);
        assert!(told(false).is_empty(), "a minute has not passed");
    }
}
