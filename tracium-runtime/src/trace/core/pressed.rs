//! A trace while the buffers are almost full: whether they take more of it, and what was lost of it.

use std::sync::atomic::Ordering;

use super::TraceCore;
use crate::collect::ledger::DropReason;
use crate::collect::shares::Amount;
use crate::tenant::TenantId;

const AFTER_SHUTDOWN: u64 = 1 << 32;

impl TraceCore {
    /// Says whether the trace has to do without the buffers; whoever records in it quickly looks again.
    pub(crate) fn hold_back(&self, back: bool) {
        if self.held_back.swap(back, Ordering::Relaxed) != back {
            self.named.fetch_add(1, Ordering::Release);
        }
    }

    pub(crate) fn is_held_back(&self) -> bool {
        self.admitted && self.held_back.load(Ordering::Relaxed)
    }

    /// The trace is `tenant`'s from now on, who may have its share.
    pub(super) fn ask_anew(&self, tenant: Option<&TenantId>) {
        if let Some(collector) = self.sink.collector()
            && collector.shares.is_pressed()
            && !collector.is_forked()
        {
            self.hold_back(collector.shares.refuses(tenant, Amount::default(), &collector.budget));
        }
    }

    /// Notes that one of it was lost before any exporter had it. The export thread counts it on its tenant, or the trace's
    /// end does: as long as there is no room there are many, and each costs no more than this.
    pub(crate) fn note_loss(&self, reason: DropReason) {
        let one = if reason == DropReason::Shutdown { AFTER_SHUTDOWN } else { 1 };
        self.lost.fetch_add(one, Ordering::Relaxed);
    }

    /// Counts on its tenant what was noted.
    pub(crate) fn settle_losses(&self) {
        if self.lost.load(Ordering::Relaxed) == 0 {
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        // In a process that was forked off, whoever held the table's lock may be gone.
        if let Some(collector) = self.sink.collector().filter(|collector| !collector.is_forked()) {
            let tenant = self.tenant();
            for (reason, count) in
                [(DropReason::QueueFull, lost % AFTER_SHUTDOWN), (DropReason::Shutdown, lost / AFTER_SHUTDOWN)]
            {
                collector.shares.lose(tenant.as_ref(), reason, count as usize);
            }
        }
    }
}
