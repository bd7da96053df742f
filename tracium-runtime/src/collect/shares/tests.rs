use std::sync::mpsc;
use std::thread;

use super::*;
use crate::collect::policy::Policy;
use crate::collect::{Collector, Sink};
use crate::trace::{Opening, RootPlace, TraceMeta};

fn tenant(id: &str) -> TenantId {
    TenantId::try_from(id).unwrap()
}

/// A budget of 8,000 records, of which so many are used.
fn used(records: usize) -> Budget {
    let budget = Budget::new(8_000, 1 << 30);
    assert_eq!(budget.take_records(records), records);
    budget
}

fn hold(shares: &Shares, id: &str, records: usize) -> HolderId {
    let holder = shares.holder(Some(&tenant(id)), Instant::now());
    shares.hold(&[(holder, Amount::of(records, 0))], false);
    holder
}

/// What each of `holders` is to let go of, in records.
fn judged(shares: &Shares, budget: &Budget, holders: &[HolderId]) -> Vec<usize> {
    let excess = shares.judge(&HashMap::new(), budget, Instant::now());
    holders.iter().map(|holder| excess.of.get(holder).map_or(0, |amount| amount.records)).collect()
}

#[test]
fn below_the_mark_nobody_loses_and_the_only_tenant_nothing_that_could_not_be_others() {
    let shares = Shares::new();
    let flood = hold(&shares, "flood", 6_000);
    let other = hold(&shares, "other", 10);
    assert_eq!(judged(&shares, &used(7_000), &[flood, other]), [0, 0]);
    let alone = Shares::new();
    let flood = hold(&alone, "flood", 7_500);
    assert_eq!(judged(&alone, &used(7_500), &[flood]), [500], "what is kept free for others is not its own");
}

/// Row 28 of the faults: the threads that hold them do not exist there.
#[test]
fn a_process_that_was_forked_off_waits_for_no_lock_here() {
    static AGENT: TraceMeta = TraceMeta::new("bot", "f");
    let collector = Collector::of_process(0, Budget::new(8_000, 1 << 30), Policy::default());
    assert_eq!(collector.budget.take_records(8_000), 8_000);
    let _held = (collector.shares.table(), collector.shares.waker.lock().unwrap());
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let opening = Opening::new(&AGENT, None, None, Sink::Collector(collector));
        let trace = opening.open(RootPlace::unwritten());
        assert!(collector.admit_bytes(1, &|| None), "past the mark, and nobody is called");
        collector.shares.pressed.store(true, Ordering::Relaxed);
        assert!(!collector.admit_bytes(1, &|| None));
        collector.refused(&trace);
        trace.try_name(None);
        trace.note_loss(DropReason::QueueFull);
        drop(trace);
        done.send(()).unwrap();
    });
    assert_eq!(is_done.recv_timeout(Duration::from_secs(60)), Ok(()));
}

#[test]
fn the_largest_lose_first_and_nobody_below_its_share() {
    let shares = Shares::new();
    // A share is 2,000; 2,000 must go for a quarter to be free.
    let holders = [("a", 4_500), ("b", 2_600), ("c", 400), ("d", 500)].map(|(id, held)| hold(&shares, id, held));
    assert_eq!(judged(&shares, &used(8_000), &holders), [1_950, 50, 0, 0]);
    // Where there is not enough above the shares, no more than that goes.
    let shares = Shares::new();
    let holders = [("a", 2_700), ("b", 1_900), ("c", 1_700), ("d", 1_700)].map(|(id, held)| hold(&shares, id, held));
    assert_eq!(judged(&shares, &used(8_000), &holders), [700, 0, 0, 0]);
}

#[test]
fn while_pressed_a_tenant_with_its_share_gets_no_more_and_others_up_to_half_of_what_is_free() {
    let shares = Shares::new();
    hold(&shares, "flood", 7_000);
    hold(&shares, "other", 100);
    let budget = used(7_200);
    shares.press(&budget);
    shares.judge(&HashMap::new(), &budget, Instant::now());
    assert!(shares.is_pressed());
    let piece = Amount::of(256, 0);
    assert!(shares.refuses(Some(&tenant("flood")), piece, &budget));
    assert!(!shares.refuses(Some(&tenant("other")), piece, &budget));
    assert!(!shares.refuses(Some(&tenant("other")), piece, &budget));
    let rest = Amount::of(600, 0);
    assert!(shares.refuses(Some(&tenant("other")), rest, &budget), "with 256 that is more than the 800 that are free");
    assert!(!shares.refuses(Some(&tenant("new")), piece, &budget));
    assert!(shares.refuses(Some(&tenant("other")), Amount::default(), &budget), "nor does it go on in others' pieces");
    shares.judge(&HashMap::new(), &budget, Instant::now());
    assert!(!shares.refuses(Some(&tenant("other")), rest, &budget), "the export thread has seen what it took");
    budget.give_back(3_000, 0);
    shares.judge(&HashMap::new(), &budget, Instant::now());
    assert!(!shares.is_pressed());
}

#[test]
fn what_is_open_counts_and_what_is_let_go_of_is_no_more_than_is_held() {
    let shares = Shares::new();
    let flood = hold(&shares, "flood", 1_000);
    let other = hold(&shares, "other", 100);
    let open = HashMap::from([(flood, Amount::of(6_500, 0))]);
    let excess = shares.judge(&open, &used(8_000), Instant::now());
    assert_eq!(excess.of.get(&flood).map(|amount| amount.records), Some(1_000));
    assert!(!excess.is_of(other));
}

#[test]
fn tenants_past_the_most_are_one_until_others_are_forgotten() {
    let shares = Shares::new();
    let mut numbers: Vec<_> = (0..MOST).map(|n| shares.holder(Some(&tenant(&n.to_string())), Instant::now())).collect();
    numbers.dedup();
    assert_eq!(numbers.len(), MOST);
    assert_eq!(shares.holder(Some(&tenant("more")), Instant::now()), HolderId::OTHERS);
    let later = Instant::now() + ACTIVE;
    assert_ne!(shares.holder(Some(&tenant("more")), later), HolderId::OTHERS);
}
