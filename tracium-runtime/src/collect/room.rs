//! Waiting for room, where the application chose to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a thread does whose spans the buffers have no room for; see [`Builder::on_full`](crate::Builder::on_full).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFull {
    /// It goes on at once, and the span is counted as lost. The default.
    #[default]
    Drop,
    /// It waits for room, up to this long; then the span is counted as lost, and no thread waits again until there was room.
    /// Threads of a tokio runtime never wait.
    Block(Duration),
}

#[derive(Debug, Default)]
pub(crate) struct Room {
    waiting: AtomicUsize,
    /// Somebody waited in vain, and there was no room since.
    hopeless: AtomicBool,
    lock: Mutex<()>,
    freed: Condvar,
}

impl Room {
    /// There may be room.
    #[inline]
    pub(crate) fn freed(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.freed.notify_all();
        }
    }

    /// There was room.
    pub(crate) fn found(&self) {
        self.hopeless.store(false, Ordering::Relaxed);
    }

    /// Asks `take` again and again until it gives something, for as long as `on_full` says, where this thread may wait.
    pub(crate) fn wait<T>(&self, on_full: OnFull, mut take: impl FnMut() -> Option<T>) -> Option<T> {
        /// A call that comes between the question and the wait is missed: nobody waits longer for it than this.
        const STEP: Duration = Duration::from_millis(5);
        let OnFull::Block(longest) = on_full else { return None };
        if self.hopeless.load(Ordering::Relaxed) || tokio::runtime::Handle::try_current().is_ok() {
            return None;
        }
        let began = Instant::now();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let found = loop {
            if let Some(found) = take() {
                break Some(found);
            }
            let Some(left) = longest.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else { break None };
            let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.freed.wait_timeout(lock, left.min(STEP)));
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.hopeless.store(found.is_none(), Ordering::Relaxed);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waited_in_vain_makes_nobody_wait_again_until_there_was_room() {
        let room = Room::default();
        let block = OnFull::Block(Duration::from_millis(1));
        let mut asked = 0;
        let mut none = || {
            asked += 1;
            None::<()>
        };
        assert_eq!(room.wait(OnFull::Drop, &mut none), None);
        assert_eq!(room.wait(block, &mut none), None);
        assert_eq!(room.wait(block, || -> Option<()> { panic!("it is not asked again") }), None);
        assert!(asked > 0);
        room.found();
        assert_eq!(room.wait(block, || Some(7)), Some(7));
    }
}
