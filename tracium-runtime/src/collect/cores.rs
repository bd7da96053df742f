//! Traces that are over, kept to be filled again: one that opens allocates nothing, and nothing that one thread took from
//! the allocator is given back by another.

use crate::sync::{Mutex, thread_local};
use std::cell::RefCell;
use std::sync::{Arc, PoisonError};

use crate::trace::{Opening, RootPlace, TraceCore};

/// The most that wait here: as many as a service ends in a tenth of a second, and no more memory than a few megabytes.
const MOST: usize = 16_384;
/// How many a thread takes at once.
const HANDFUL: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct Cores(Mutex<Vec<Arc<TraceCore>>>);

thread_local! {
    static OURS: RefCell<Vec<Arc<TraceCore>>> = const { RefCell::new(Vec::new()) };
}

impl Cores {
    #[inline(always)]
    pub(crate) fn open(&self, trace: Opening, place: RootPlace) -> Arc<TraceCore> {
        if let Some(mut free) = self.take()
            // Nobody but the pool holds what is in it.
            && let Some(core) = Arc::get_mut(&mut free)
        {
            trace.open_in(place, core);
            return free;
        }
        Arc::new(trace.open(place))
    }

    fn take(&self) -> Option<Arc<TraceCore>> {
        // Past the thread's end there is none of its own.
        OURS.try_with(|ours| {
            let mut ours = ours.try_borrow_mut().ok()?;
            if ours.is_empty() {
                // Not worth waiting for; and in a process that was forked off, whoever holds it may be gone.
                let mut all = self.0.try_lock().ok()?;
                let from = all.len().saturating_sub(HANDFUL);
                ours.extend(all.drain(from..));
            }
            ours.pop()
        })
        .ok()
        .flatten()
    }

    /// Keeps traces that nobody else holds.
    pub(crate) fn give(&self, free: &mut Vec<Arc<TraceCore>>) {
        free.retain_mut(|trace| Arc::get_mut(trace).map(TraceCore::clear).is_some());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST.saturating_sub(all.len());
        all.extend(free.drain(..).take(room));
    }
}
