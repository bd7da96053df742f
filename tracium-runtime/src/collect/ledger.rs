//! The accounting: `emitted + recovered = acknowledged + dropped + queued + spooled`, each counted where it happens.

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::SystemTime;

/// Why something that was emitted did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DropReason {
    /// The buffers were full.
    QueueFull,
    /// It ended after `shutdown`, or was left when `shutdown` reached its deadline.
    Shutdown,
    /// The backend refused it for good (400, 403, 422 and the like).
    Rejected,
    /// The backend refused the key, more than once (401).
    Unauthorized,
    /// One span alone was too large for the backend (413).
    TooLarge,
    /// The backend does not know the trace, and did not after a fresh create (404).
    UnknownTrace,
    /// The backend failed on it repeatedly (500).
    ServerError,
    /// The answer was none of the API's: a redirect, a login page.
    BadResponse,
    /// Its tenant has no destination: an id that the header for it cannot carry, or a route that failed.
    Unroutable,
    /// The sampler left its trace out.
    Sampled,
    /// The export thread failed while it held it, or could not be started. What lay in the spool when it failed counts
    /// here, and is [recovered](crate::Stats::recovered) when the export after it finds it there.
    ExportThread,
    /// It lay in the spool, and its file was damaged or removed there.
    Spool,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 12] = [
        Self::QueueFull,
        Self::Shutdown,
        Self::Rejected,
        Self::Unauthorized,
        Self::TooLarge,
        Self::UnknownTrace,
        Self::ServerError,
        Self::BadResponse,
        Self::Unroutable,
        Self::Sampled,
        Self::ExportThread,
        Self::Spool,
    ];

    /// The reason's name in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Shutdown => "shutdown",
            Self::Rejected => "rejected",
            Self::Unauthorized => "unauthorized",
            Self::TooLarge => "too_large",
            Self::UnknownTrace => "unknown_trace",
            Self::ServerError => "server_error",
            Self::BadResponse => "bad_response",
            Self::Unroutable => "unroutable",
            Self::Sampled => "sampled",
            Self::ExportThread => "export_thread",
            Self::Spool => "spool",
        }
    }
}

impl std::fmt::Display for DropReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Emitted on threads that are gone.
    pub(crate) retired: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    /// Of them, what was lost before any exporter had it: every one of them is without it.
    unseen: [AtomicU64; DropReason::ALL.len()],
    /// Spans of which it is not decided whether they are sent, and that no exporter has; counted in `held`.
    pub(crate) undecided: AtomicUsize,
    /// Spans and trace outcomes that the export thread holds.
    pub(crate) held: AtomicUsize,
    pub(crate) passed: Passed,
    /// Spans and trace outcomes that lie in the spool.
    pub(crate) spooled: AtomicU64,
    /// Of earlier runs, and of exports of this one that failed, those that were found there.
    pub(crate) recovered: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) last_error: Mutex<Option<(SystemTime, Box<str>)>>,
}

/// What the export thread notes for itself, so that nothing is left uncounted where it fails and starts anew. Nobody else
/// looks at it; std's atomics in models, too.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// The captured bytes of what is held.
    pub(crate) held_bytes: std::sync::atomic::AtomicUsize,
    /// What the exporter was given or refused, ever.
    pub(crate) offered: std::sync::atomic::AtomicU64,
    /// Of what the first exporter's accounting was given, what none was to have.
    pub(crate) kept_back: std::sync::atomic::AtomicU64,
}

impl Ledger {
    pub(crate) fn drop(&self, reason: DropReason, count: usize) {
        self.dropped[reason as usize].fetch_add(count as u64, Ordering::Release);
    }

    /// Counts what no exporter ever had.
    pub(crate) fn drop_unseen(&self, reason: DropReason, count: usize) {
        self.unseen[reason as usize].fetch_add(count as u64, Ordering::Release);
        self.drop(reason, count);
    }

    pub(crate) fn unseen(&self, reason: DropReason) -> u64 {
        self.unseen[reason as usize].load(Ordering::Acquire)
    }

    pub(crate) fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].load(Ordering::Acquire)
    }

    /// So many have left the spool.
    pub(crate) fn unspool(&self, count: usize) {
        if count > 0 {
            // Never less than nothing: what an export that panicked had there is counted anew by the one after it.
            let less = |spooled: u64| Some(spooled.saturating_sub(count as u64));
            let _ = self.spooled.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    pub(crate) fn note_error(&self, error: &str) {
        let mut last = self.last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *last = Some((SystemTime::now(), error.into()));
    }
}
