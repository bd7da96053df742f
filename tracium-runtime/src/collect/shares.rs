//! Whose the buffers are: what each tenant holds of them, and who gets no more of them when they are almost full.
//!
//! Up to the mark, seven eighths of either budget (what the application asked for: the rest is a reserve beside that),
//! nobody is asked whose a segment is. Past it the buffers are *pressed*,
//! until five eighths are left:
//!
//! - The export thread, woken at once, knows what each tenant holds. Where several are active, those with more than
//!   budget / active tenants lose of it, the largest first, until a quarter is free.
//! - A trace that opens, a thread that takes a segment and a value that is captured are asked whose they are. A tenant with
//!   its share gets no more; one that the export thread may not have seen yet gets up to
//!   half of what is free until it has.
//! - The export thread tells traces that are open whether their tenant may go on; who may not loses the quick way to
//!   record, where that is looked at anyway.
//!
//! So the last eighth is there for whoever holds less than its share, as much as comes until the export thread has made
//! room again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::Budget;
use super::ledger::DropReason;
use super::losses::Losses;
use crate::tenant::TenantId;

/// A tenant counts as active for so long after the last that came of it.
const ACTIVE: Duration = Duration::from_secs(5);
/// How many tenants are told apart at a time; more are one.
const MOST: usize = 10_000;

/// So much of the buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) records: usize,
    /// Those of its records, and those captured on them.
    pub(crate) bytes: usize,
}

impl Amount {
    /// Records on which so many bytes were captured.
    pub(crate) fn of(records: usize, captured: usize) -> Self {
        Self { records, bytes: records * Budget::RECORD_BYTES + captured }
    }

    fn map(self, change: impl Fn(usize) -> usize) -> Self {
        Self { records: change(self.records), bytes: change(self.bytes) }
    }

    fn with(self, other: Self, join: impl Fn(usize, usize) -> usize) -> Self {
        Self { records: join(self.records, other.records), bytes: join(self.bytes, other.bytes) }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        self.with(other, usize::saturating_add)
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        self.with(other, usize::saturating_sub)
    }

    fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// More than `limit` in either.
    pub(crate) fn exceeds(self, limit: Self) -> bool {
        self.records > limit.records || self.bytes > limit.bytes
    }

    /// Past which it is said that the buffers are filling up.
    pub(crate) fn four_fifths(self) -> Self {
        self.map(|all| all - all / 5)
    }

    /// Past which the buffers are pressed. Of small ones, where a few threads' segments are all there is, nothing is kept
    /// free.
    pub(crate) fn mark(self) -> Self {
        let free = |all, least| if all < least { 0 } else { all / 8 };
        let Self { records, bytes } = self;
        Self { records: records - free(records, 4_096), bytes: bytes - free(bytes, 1 << 20) }
    }

    /// Past which half of what is kept free is taken.
    fn brink(self) -> Self {
        self.map(|all| all - all / 16)
    }

    /// Down to which tenants above their share lose.
    fn calm(self) -> Self {
        self.map(|all| all - all / 4)
    }

    /// Down to which the buffers stay pressed.
    fn rest(self) -> Self {
        self.map(|all| all / 8 * 5)
    }
}

/// Records or bytes, which are judged each by itself.
struct Dimension {
    of: fn(&Amount) -> usize,
    amount: fn(usize) -> Amount,
}

const DIMENSIONS: [Dimension; 2] = [
    Dimension { of: |amount| amount.records, amount: |records| Amount { records, bytes: 0 } },
    Dimension { of: |amount| amount.bytes, amount: |bytes| Amount { records: 0, bytes } },
];

/// A tenant, as long as anything of it is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct HolderId(u32);

impl HolderId {
    /// All that are too many to be told apart.
    const OTHERS: Self = Self(0);
    /// Work without a tenant.
    pub(crate) const NOBODY: Self = Self(1);

    fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug)]
struct Holder {
    tenant: Option<TenantId>,
    /// With exporters.
    held: Amount,
    /// Of those records, the ones that the first exporter has, too: one that is lost is lost with that one.
    copies: usize,
    /// What has not ended, as of the last time that the export thread looked.
    open: Amount,
    /// What it got since then, while the buffers were pressed.
    taken: Amount,
    /// It was refused since then: what it has left to write would fill what others take.
    refused: bool,
    /// When something last came of it.
    seen: Option<Instant>,
}

impl Holder {
    fn new(tenant: Option<TenantId>) -> Self {
        let nothing = Amount::default();
        Self { tenant, held: nothing, copies: 0, open: nothing, taken: nothing, refused: false, seen: None }
    }

    fn all(&self) -> Amount {
        self.held.plus(self.open)
    }

    fn is_active(&self, now: Instant) -> bool {
        let lately = |seen| now.saturating_duration_since(seen) < ACTIVE;
        !self.all().is_nothing() || self.seen.is_some_and(lately)
    }
}

#[derive(Debug)]
struct Table {
    /// By their numbers; the first two are always there.
    holders: Vec<Holder>,
    numbers: HashMap<TenantId, HolderId>,
    free: Vec<HolderId>,
    /// Most come of the tenant that came before.
    last: HolderId,
    tidied: Instant,
    active: usize,
    losses: Losses,
}

#[derive(Debug)]
pub(crate) struct Shares {
    pressed: AtomicBool,
    called: AtomicBool,
    waker: Mutex<Option<Waker>>,
    table: Mutex<Table>,
}

/// What is to be let go of, by tenant.
#[derive(Debug)]
pub(crate) struct Excess {
    of: HashMap<HolderId, Amount>,
}

impl Excess {
    /// Whether a record of `holder`, with so much captured on it, is to go; it counts as gone then.
    pub(crate) fn takes(&mut self, holder: HolderId, captured: usize) -> bool {
        let Some(left) = self.of.get_mut(&holder) else { return false };
        *left = left.minus(Amount::of(1, captured));
        if left.is_nothing() {
            self.of.remove(&holder);
        }
        true
    }

    pub(crate) fn is_of(&self, holder: HolderId) -> bool {
        self.of.contains_key(&holder)
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.of.is_empty()
    }
}

impl Shares {
    pub(crate) fn new() -> Self {
        let table = Table {
            holders: vec![Holder::new(None), Holder::new(None)],
            numbers: HashMap::new(),
            free: Vec::new(),
            last: HolderId::NOBODY,
            tidied: Instant::now(),
            active: 0,
            losses: Losses::default(),
        };
        Self {
            pressed: AtomicBool::new(false),
            called: AtomicBool::new(false),
            waker: Mutex::new(None),
            table: Mutex::new(table),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it matters whose what comes is.
    #[inline]
    pub(crate) fn is_pressed(&self) -> bool {
        self.pressed.load(Ordering::Relaxed)
    }

    /// The mark was passed: the export thread looks at once.
    #[cold]
    pub(crate) fn press(&self, budget: &Budget) {
        let is_first = !self.pressed.swap(true, Ordering::Relaxed);
        // Half of what was kept free is taken: that may not wait for the next time that the thread looks by itself.
        let calls = is_first || budget.used().exceeds(budget.max().brink());
        if calls && !self.called.swap(true, Ordering::AcqRel) {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// For the export thread: ready once, after the mark was passed.
    pub(crate) fn poll_pressed(&self, cx: &Context<'_>) -> Poll<()> {
        // The waker first: a call that comes now finds it.
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        if self.called.swap(false, Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether `tenant` gets no more, `more` in particular, while the buffers are pressed. What it gets is noted.
    #[cold]
    pub(crate) fn refuses(&self, tenant: Option<&TenantId>, more: Amount, budget: &Budget) -> bool {
        // Asked before the table is locked.
        let (max, used) = (budget.max(), budget.used());
        let mut table = self.table();
        let holder = table.number(tenant, Instant::now());
        let share = table.share(max).with(max.calm(), usize::min);
        let holder = &mut table.holders[holder.index()];
        let (all, taken, free) = (holder.all(), holder.taken, max.minus(used));
        let refuses = |Dimension { of, .. }: &Dimension| {
            let has_share = of(&used) > of(&max.rest()) && of(&all) >= of(&share);
            // The first piece is anybody's: with small budgets, there is hardly more.
            has_share || (of(&taken) > 0 && of(&more) > 0 && of(&taken) + of(&more) > of(&free))
        };
        holder.refused = holder.refused || DIMENSIONS.iter().any(refuses);
        if !holder.refused {
            holder.taken = taken.plus(more);
        }
        holder.refused
    }

    /// The number of `tenant`, of which something came.
    pub(crate) fn holder(&self, tenant: Option<&TenantId>, now: Instant) -> HolderId {
        self.table().number(tenant, now)
    }

    /// Exporters hold so much more of each, which are `copies` where they are beside the first.
    pub(crate) fn hold(&self, amounts: &[(HolderId, Amount)], copies: bool) {
        let mut table = self.table();
        for (holder, amount) in amounts {
            let holder = &mut table.holders[holder.index()];
            holder.held = holder.held.plus(*amount);
            holder.copies += if copies { amount.records } else { 0 };
        }
    }

    /// Exporters are done with so much of each, which was lost where there is a reason and they are no `copies`.
    pub(crate) fn release(&self, amounts: &[(HolderId, Amount)], copies: bool, lost: Option<DropReason>) {
        let mut table = self.table();
        let Table { holders, losses, .. } = &mut *table;
        for (holder, amount) in amounts {
            let holder = &mut holders[holder.index()];
            holder.held = holder.held.minus(*amount);
            if copies {
                holder.copies = holder.copies.saturating_sub(amount.records);
            } else if let Some(reason) = lost {
                losses.add(holder.tenant.as_ref(), reason, amount.records);
            }
        }
    }

    /// Something was lost before any exporter had it.
    pub(crate) fn lose(&self, tenant: Option<&TenantId>, reason: DropReason, count: usize) {
        self.table().losses.add(tenant, reason, count);
    }

    /// All that exporters held is gone, for `reason`.
    pub(crate) fn lose_held(&self, reason: DropReason) {
        let mut table = self.table();
        let Table { holders, losses, .. } = &mut *table;
        for holder in holders {
            let (held, copies) = (std::mem::take(&mut holder.held), std::mem::take(&mut holder.copies));
            losses.add(holder.tenant.as_ref(), reason, held.records.saturating_sub(copies));
        }
    }

    pub(crate) fn losses(&self) -> Losses {
        self.table().losses.clone()
    }

    /// What is to be let go of, now that all was counted; `open` is what each has that has not ended. The buffers are
    /// pressed no longer where enough is free.
    pub(crate) fn judge(&self, open: &HashMap<HolderId, Amount>, budget: &Budget, now: Instant) -> Excess {
        let (max, used) = (budget.max(), budget.used());
        let mut table = self.table();
        for (number, holder) in table.holders.iter_mut().enumerate() {
            (holder.taken, holder.refused) = (Amount::default(), false);
            holder.open = open.get(&HolderId(number as u32)).copied().unwrap_or_default();
        }
        table.active = table.holders.iter().filter(|holder| holder.is_active(now)).count();
        self.pressed.store(used.exceeds(max.rest()), Ordering::Relaxed);
        let mut excess = Excess { of: HashMap::new() };
        if !used.exceeds(max.mark()) {
            return excess;
        }
        // The only tenant has all but what is kept free for those to come.
        let share = table.share(max).with(max.mark(), usize::min);
        for Dimension { of, amount } in DIMENSIONS {
            if of(&used) <= of(&max.mark()) {
                continue;
            }
            let numbered = table.holders.iter().enumerate();
            let holders =
                numbered.map(|(number, holder)| (HolderId(number as u32), of(&holder.all()), of(&holder.held)));
            for (holder, more) in above(of(&share), of(&used) - of(&max.calm()), holders) {
                let known = excess.of.entry(holder).or_default();
                *known = known.plus(amount(more));
            }
        }
        excess
    }
}

/// What each of `holders`, that have so much and of it so much to let go of, has above the level to which all are cut so
/// that `need` comes together; nobody is cut below `share`.
fn above(
    share: usize,
    need: usize,
    holders: impl Iterator<Item = (HolderId, usize, usize)>,
) -> impl Iterator<Item = (HolderId, usize)> {
    let mut above: Vec<_> = holders.filter(|(_, all, _)| *all > share).collect();
    above.sort_unstable_by_key(|(_, all, _)| std::cmp::Reverse(*all));
    // The level falls from one holder to the next, until what is above it is enough.
    let (mut level, mut together) = (share, 0);
    for (count, (_, all, _)) in above.iter().enumerate() {
        together += all;
        let count = count + 1;
        let next = above.get(count).map_or(share, |(_, all, _)| *all);
        if together - count * next >= need {
            level = (together - need) / count;
            break;
        }
    }
    above.into_iter().filter_map(move |(holder, all, held)| {
        Some((holder, held.min(all.checked_sub(level)?))).filter(|(_, more)| *more > 0)
    })
}

impl Table {
    fn share(&self, max: Amount) -> Amount {
        max.map(|all| all / self.active.max(1))
    }

    fn number(&mut self, tenant: Option<&TenantId>, now: Instant) -> HolderId {
        let number = match tenant {
            None => HolderId::NOBODY,
            Some(tenant) if self.holders[self.last.index()].tenant.as_ref().is_some_and(|last| last.same(tenant)) => {
                self.last
            }
            Some(tenant) => match self.numbers.get(tenant) {
                Some(number) => *number,
                None => self.add(tenant, now),
            },
        };
        self.last = number;
        let holder = &mut self.holders[number.index()];
        if !holder.is_active(now) {
            self.active += 1;
        }
        holder.seen = Some(now);
        number
    }

    fn add(&mut self, tenant: &TenantId, now: Instant) -> HolderId {
        if self.numbers.len() >= MOST {
            self.tidy(now);
        }
        if self.numbers.len() >= MOST {
            return HolderId::OTHERS;
        }
        let holder = Holder::new(Some(tenant.clone()));
        let number = if let Some(number) = self.free.pop() {
            self.holders[number.index()] = holder;
            number
        } else {
            self.holders.push(holder);
            HolderId((self.holders.len() - 1) as u32)
        };
        self.numbers.insert(tenant.clone(), number);
        number
    }

    /// Forgets tenants that nothing came of lately and nothing is held of.
    fn tidy(&mut self, now: Instant) {
        if now.saturating_duration_since(self.tidied) < Duration::from_secs(1) {
            return;
        }
        self.tidied = now;
        let Self { holders, numbers, free, .. } = self;
        numbers.retain(|_, number| {
            let holder = &mut holders[number.index()];
            if holder.is_active(now) {
                return true;
            }
            holder.tenant = None;
            free.push(*number);
            false
        });
        self.last = HolderId::NOBODY;
    }
}

#[cfg(test)]
mod tests;
