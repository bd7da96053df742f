//! What each tenant lost, and why.

use std::collections::BTreeMap;

use super::ledger::DropReason;
use crate::tenant::TenantId;

/// How many tenants are told apart; what comes after is counted as one.
const MOST: usize = 10_000;

/// What one tenant lost, in spans and trace outcomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TenantLoss {
    /// The tenant; `None` for work without one.
    pub tenant: Option<TenantId>,
    /// Lost, for whatever reason.
    pub dropped: u64,
    /// Lost, by reason.
    pub dropped_by_reason: Vec<(DropReason, u64)>,
}

impl TenantLoss {
    /// How many were lost for `reason`.
    pub fn dropped_by(&self, reason: DropReason) -> u64 {
        self.dropped_by_reason.iter().find(|(r, _)| *r == reason).map_or(0, |(_, count)| *count)
    }

    fn add(&mut self, reason: DropReason, count: usize) {
        self.dropped += count as u64;
        match self.dropped_by_reason.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, known)) => *known += count as u64,
            None => self.dropped_by_reason.push((reason, count as u64)),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Losses {
    rows: BTreeMap<Option<TenantId>, TenantLoss>,
    others: u64,
}

impl Losses {
    pub(crate) fn add(&mut self, tenant: Option<&TenantId>, reason: DropReason, count: usize) {
        if count == 0 {
            return;
        }
        let key = tenant.cloned();
        if self.rows.len() >= MOST && !self.rows.contains_key(&key) {
            self.others += count as u64;
            return;
        }
        let row =
            self.rows.entry(key).or_insert_with(|| TenantLoss { tenant: tenant.cloned(), ..TenantLoss::default() });
        row.add(reason, count);
    }

    /// A row for each tenant, sorted, and what belongs to none of them.
    pub(crate) fn into_rows(self) -> (Vec<TenantLoss>, u64) {
        (self.rows.into_values().collect(), self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_apart_by_tenant_and_reason_up_to_the_most() {
        let mut losses = Losses::default();
        let of = |n: usize| TenantId::try_from(format!("t{n:05}")).unwrap();
        losses.add(None, DropReason::QueueFull, 2);
        (1..=MOST).for_each(|n| losses.add(Some(&of(n)), DropReason::Rejected, 1));
        losses.add(Some(&of(7)), DropReason::QueueFull, 5);
        let (rows, others) = losses.into_rows();
        assert_eq!((rows.len(), others), (MOST, 1));
        assert_eq!((rows[0].tenant.as_ref(), rows[0].dropped), (None, 2));
        assert_eq!((rows[7].tenant.as_ref(), rows[7].dropped), (Some(&of(7)), 6));
        assert_eq!(rows[7].dropped_by(DropReason::QueueFull), 5);
    }
}
