//! What becomes of what the spool's thread was asked for: where it is counted, and where it goes from there.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::super::Account;
use super::super::account::Receipt;
use super::store::{Content, Filed, Refusal, Unread};
use super::worker::Done;
use super::{PAUSE, Read, Slip, Spool, Unit, Waiting, Writing, say};
use crate::collect::ledger::DropReason;

impl Spool {
    /// Takes what the thread has done; pending where there is nothing.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, account: &mut Account) -> Poll<Read> {
        let Some(worker) = &mut self.worker else { return Poll::Pending };
        match worker.done.poll_recv(cx) {
            Poll::Ready(Some(done)) => Poll::Ready(self.take(done, account)),
            Poll::Ready(None) => {
                self.fail("the spool's thread ended: what does not fit into memory is lost", account);
                (self.removing, self.loading) = (0, false);
                let back = self.writing.drain().flat_map(|(_, writing)| unshared(writing.units)).collect();
                self.writing_bytes = 0;
                Poll::Ready(Read::Back(back))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn take(&mut self, done: Done, account: &mut Account) -> Read {
        match done {
            Done::Written { number, filed } => return self.written(number, filed, account),
            Done::Loaded { number, content } => return self.content(number, content, account),
            Done::Removed => {
                self.removing = self.removing.saturating_sub(1);
                self.full = false;
            }
            Done::Looked { found, has_room } => {
                self.looked = true;
                self.full &= !has_room;
                for filed in found {
                    // Nobody lives who has it in an accounting; an export before this one's has counted it as lost.
                    account.recover(filed.count as usize);
                    let number = self.number();
                    let destination = self.only_destination;
                    self.lay_down(number, Waiting { filed, destination });
                }
            }
            Done::Note(note) => say(&note, account),
        }
        Read::News
    }

    fn written(&mut self, number: u64, filed: Result<Filed, Refusal>, account: &mut Account) -> Read {
        let Some(Writing { units, bytes, destination }) = self.writing.remove(&number) else {
            // It was given up, and counted as lost. It is on disk all the same, for the next start to find.
            return Read::News;
        };
        self.writing_bytes -= bytes;
        match filed {
            Ok(filed) => {
                self.write_after = None;
                account.spool(units.iter().flat_map(|unit| unit.receipts.iter().copied()));
                self.lay_down(number, Waiting { filed, destination: Some(destination) });
                Read::News
            }
            Err(refusal) => {
                match refusal {
                    Refusal::Full => {
                        self.full = true;
                        say("the spool is full to its bound: what does not fit into memory is lost", account);
                    }
                    Refusal::Failed(error) => {
                        self.write_after = Some(Instant::now() + PAUSE);
                        say(&format!("the spool cannot be written, memory goes on: {error}"), account);
                    }
                }
                Read::Back(unshared(units))
            }
        }
    }

    fn content(&mut self, number: u64, content: Result<Content, Unread>, account: &mut Account) -> Read {
        self.loading = false;
        let Some(loaded) = self.loaded.get_mut(&number) else { return Read::News };
        match content {
            Ok(Content { path, units, tried }) if !units.is_empty() => {
                loaded.waiting.filed.path = path;
                loaded.open = units.len();
                let unit = |(count, payload)| Unit { payload, receipts: vec![Receipt::SPOOLED; count as usize] };
                Read::File { slip: Slip(number), units: units.into_iter().map(unit).collect(), tried }
            }
            Ok(Content { path, .. }) => {
                loaded.waiting.filed.path = path;
                self.settle(Slip(number));
                Read::News
            }
            Err(Unread::Lost(why)) => {
                say(&why, account);
                if let Some(loaded) = self.loaded.remove(&number) {
                    let lost = std::iter::repeat_n(Receipt::SPOOLED, loaded.waiting.filed.count as usize);
                    account.drop_all(lost, DropReason::Spool);
                }
                Read::News
            }
            Err(Unread::Failed(error)) => {
                say(&format!("the spool cannot be read: {error}"), account);
                self.read_after = Some(Instant::now() + PAUSE);
                if let Some(loaded) = self.loaded.remove(&number) {
                    self.lay_down(number, loaded.waiting);
                }
                Read::News
            }
        }
    }
}

fn unshared(units: Arc<Vec<Unit>>) -> Vec<Unit> {
    Arc::unwrap_or_clone(units)
}
