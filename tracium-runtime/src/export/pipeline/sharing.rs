//! What the export thread does where the buffers are almost full; see [`crate::collect::shares`].

use std::collections::{HashMap, HashSet};

use super::Pipeline;
use crate::collect::shares::{Amount, HolderId};
use crate::id::IdMap;
use crate::trace::TenantMark;
use crate::trace::details::SpanDetails;

impl Pipeline {
    /// Whose a span of the batch's trace is.
    pub(super) fn holder_of(&self, mark: TenantMark, details: Option<&SpanDetails>) -> HolderId {
        match mark {
            TenantMark::OfTrace => self.holder,
            TenantMark::None => HolderId::NOBODY,
            TenantMark::Own => {
                let tenant = details.and_then(|details| details.tenant.as_ref());
                self.collector.shares.holder(tenant, self.last_sweep)
            }
        }
    }

    /// Makes room at the cost of who has more than its share, and tells traces whether they may go on.
    pub(super) fn share_out(&mut self) {
        let shares = &self.collector.shares;
        if !shares.is_pressed() && !self.held_back {
            return;
        }
        let open = self.open_by_holder();
        let mut excess = shares.judge(&open, &self.collector.budget, self.last_sweep);
        if !excess.is_spent() {
            self.exporter.evict(&mut excess, &mut self.account);
        }
        self.hold_back_or_not();
    }

    /// What has not ended.
    fn open_by_holder(&self) -> HashMap<HolderId, Amount> {
        let shares = &self.collector.shares;
        let (mut open, mut holders) = (HashMap::<_, Amount>::new(), IdMap::default());
        let ended: HashSet<u64> = self.ended.iter().copied().collect();
        let mut add = |holder, amount| {
            let known = open.entry(holder).or_default();
            *known = known.plus(amount);
        };
        for (key, trace) in &self.live {
            let (tenant, bytes) = {
                let state = trace.state();
                (state.tenant.clone(), state.bytes())
            };
            let holder = shares.holder(tenant.as_ref(), self.last_sweep);
            holders.insert(*key, holder);
            // What came from another process has no root here.
            let root = usize::from(!trace.remote && !ended.contains(key));
            add(holder, Amount::of(root, bytes));
        }
        for span in self.open.values() {
            if let Some(holder) = holders.get(&span.trace) {
                add(*holder, Amount::of(1, 0));
            }
        }
        open
    }

    fn hold_back_or_not(&mut self) {
        let (shares, budget) = (&self.collector.shares, &self.collector.budget);
        let pressed = shares.is_pressed();
        let nothing = Amount::default();
        for trace in self.live.values() {
            let back = pressed && shares.refuses(trace.tenant().as_ref(), nothing, budget);
            trace.hold_back(back);
            trace.settle_losses();
        }
        self.held_back = pressed;
    }
}
