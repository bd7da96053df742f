//! Parcels that are being sent, each call after the other, and many parcels side by side.

use std::collections::{BTreeSet, HashMap};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::task::JoinSet;

use super::super::Account;
use super::super::account::Receipt;
use super::answer::Call;
use super::client::{Client, Reply};
use super::parcel::Parcel;

/// An answer: to which parcel's which call, and whether that had what we add to the protocol.
pub(super) type Answer = (u64, Call, bool, Reply);

#[derive(Debug, Default)]
pub(super) struct Parcels {
    all: HashMap<u64, Parcel>,
    /// Those that are not under way, by when they are due.
    due: BTreeSet<(Instant, u64)>,
    flying: JoinSet<Answer>,
    next: u64,
}

impl Parcels {
    pub(super) fn add(&mut self, parcel: Parcel) {
        self.next += 1;
        self.put(self.next, parcel, Instant::now());
    }

    /// `parcel` goes on, not before `at`.
    pub(super) fn put(&mut self, id: u64, parcel: Parcel, at: Instant) {
        self.all.insert(id, parcel);
        self.due.insert((at, id));
    }

    /// The parcel that was answered.
    pub(super) fn take(&mut self, id: u64) -> Option<Parcel> {
        self.all.remove(&id)
    }

    pub(super) fn waiting(&self) -> usize {
        self.due.len()
    }

    pub(super) fn flying(&self) -> usize {
        self.flying.len()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Sends the next call of the parcel that is due first.
    pub(super) fn send_next(&mut self, client: &Client, account: &Account) {
        let Some((_, id)) = self.due.pop_first() else { return };
        let Some(parcel) = self.all.get(&id) else { return };
        // One without calls is settled before it comes here.
        let Some(request) = parcel.request() else { return };
        account.note_request();
        let (call, extras) = (request.call, parcel.extras);
        let sent = client.send(request);
        self.flying.spawn(async move { (id, call, extras, sent.await) });
    }

    /// The next answer, or word of a request that ended without one.
    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Answer>> {
        match ready!(self.flying.poll_join_next(cx)) {
            Some(answer) => Poll::Ready(answer.ok()),
            None => Poll::Pending,
        }
    }

    /// What is under way is called back, to be sent again.
    pub(super) fn call_back(&mut self) {
        self.flying = JoinSet::new();
        let now = Instant::now();
        let waiting: BTreeSet<u64> = self.due.iter().map(|(_, id)| *id).collect();
        for (id, parcel) in &mut self.all {
            if !waiting.contains(id) {
                parcel.resent = true;
                self.due.insert((now, *id));
            }
        }
    }

    /// Those that wait, and lie in no file.
    pub(super) fn take_homeless(&mut self) -> Vec<Parcel> {
        let homeless = |id: &u64| self.all.get(id).is_some_and(|parcel| parcel.slip.is_none());
        let ids: Vec<u64> = self.due.iter().map(|(_, id)| *id).filter(homeless).collect();
        self.due.retain(|(_, id)| !ids.contains(id));
        ids.iter().filter_map(|id| self.all.remove(id)).collect()
    }

    /// Of what lies in no file.
    pub(super) fn into_receipts(self) -> Vec<Receipt> {
        self.all.into_values().filter(|parcel| parcel.slip.is_none()).flat_map(Parcel::into_receipts).collect()
    }
}
