//! Delivery, and its accounting.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;

use crate::collect::ledger::{DropReason, Ledger};
pub use crate::collect::losses::TenantLoss;
use crate::collect::{Budget, Collector};
use crate::export::{Command, Handle, Timer, handle};
pub use crate::export::{TenantUsage, Usage};
use crate::notice;
use crate::tenant::TenantId;

/// What became of what was emitted, in spans and trace outcomes.
///
/// At rest, `emitted + recovered = acknowledged + dropped + queued + spooled`; at any instant the left side
/// is not less than `acknowledged + dropped`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Ended, ever.
    pub emitted: u64,
    /// Taken back from the spool of an earlier run, or of an export of this one that panicked.
    pub recovered: u64,
    /// The backend has them.
    pub acknowledged: u64,
    /// Nobody will have them; [`Stats::dropped_by`] says why.
    pub dropped: u64,
    /// Waiting in memory.
    pub queued: u64,
    /// Waiting on disk.
    pub spooled: u64,
    /// Lost, by reason.
    pub dropped_by_reason: Vec<(DropReason, u64)>,
    /// What each tenant lost, sorted by tenant; no tenant comes first. Of traces that go on, what
    /// found no room is there a tenth of a second later.
    pub tenants_lost: Vec<TenantLoss>,
    /// What was lost of none of them, since there are 10,000 already.
    pub others_lost: u64,
    /// Records in memory: spans and traces, open ones included.
    pub buffered_records: u64,
    /// The bytes that they take, captured values included.
    pub buffered_bytes: u64,
    /// The most records; see [`Builder::max_records`](crate::Builder::max_records).
    pub max_records: u64,
    /// The most bytes; see [`Builder::max_bytes`](crate::Builder::max_bytes).
    pub max_bytes: u64,
    /// Requests that were sent.
    pub requests: u64,
    /// Spans outside any trace, which are not recorded.
    pub orphan_spans: u64,
    /// Ids given as a tenant's that are none.
    pub invalid_tenants: u64,
    /// Headers of other processes' contexts that were malformed, and ignored.
    pub malformed_headers: u64,
    /// The last thing that went wrong, and when.
    pub last_error: Option<(SystemTime, String)>,
    /// Each exporter's own accounting, in the order they were chosen. What stands above is the first one's.
    pub exporters: Vec<ExporterStats>,
}

/// What became of what was emitted, as one exporter has it.
///
/// At rest, [`Stats::emitted`] `+ recovered = acknowledged + dropped + queued + spooled` holds for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExporterStats {
    /// The exporter: `rest`, `otlp`, `console` or `discard`.
    pub name: &'static str,
    /// Taken back from its spool of an earlier run, or of an export of this one that panicked.
    pub recovered: u64,
    /// Its backend has them.
    pub acknowledged: u64,
    /// It will not have them.
    pub dropped: u64,
    /// Waiting in memory.
    pub queued: u64,
    /// Waiting on disk.
    pub spooled: u64,
    /// Lost, by reason.
    pub dropped_by_reason: Vec<(DropReason, u64)>,
    /// Requests that were sent.
    pub requests: u64,
    /// The last thing that went wrong, and when.
    pub last_error: Option<(SystemTime, String)>,
}

impl Stats {
    /// How many were lost for `reason`.
    pub fn dropped_by(&self, reason: DropReason) -> u64 {
        self.dropped_by_reason.iter().find(|(r, _)| *r == reason).map_or(0, |(_, count)| *count)
    }

    /// What `tenant` lost, for whatever reason.
    pub fn lost_by(&self, tenant: Option<&TenantId>) -> u64 {
        self.tenants_lost.iter().find(|loss| loss.tenant.as_ref() == tenant).map_or(0, |loss| loss.dropped)
    }

    pub(crate) fn of(collector: &Collector) -> Self {
        let common = &collector.ledger;
        let unseen = DropReason::ALL.map(|reason| common.unseen(reason));
        let undecided = common.undecided.load(Ordering::Acquire);
        // What happens later in a span's life is read first, so that no count runs ahead of `emitted`.
        let mut exporters: Vec<_> = match collector.exporters.get() {
            Some(exporters) => exporters.iter().map(|(name, ledger)| ExporterStats::of(name, ledger)).collect(),
            None => vec![ExporterStats::of("", common)],
        };
        let (tenants_lost, others_lost) = collector.shares.losses().into_rows();
        let tally = collector.tally();
        let max = collector.budget.max().mark();
        for (at, exporter) in exporters.iter_mut().enumerate() {
            exporter.queued += tally.waiting as u64;
            if at > 0 {
                exporter.add(unseen, undecided);
            }
        }
        let first = exporters.first().cloned().unwrap_or_default();
        Self {
            emitted: tally.emitted,
            recovered: first.recovered,
            acknowledged: first.acknowledged,
            dropped: first.dropped,
            queued: first.queued,
            spooled: first.spooled,
            dropped_by_reason: first.dropped_by_reason,
            tenants_lost,
            others_lost,
            buffered_records: collector.budget.records().saturating_sub(tally.unused) as u64,
            buffered_bytes: collector.budget.bytes().saturating_sub(tally.unused * Budget::RECORD_BYTES) as u64,
            max_records: max.records as u64,
            max_bytes: max.bytes as u64,
            requests: first.requests,
            orphan_spans: 0,
            invalid_tenants: 0,
            malformed_headers: 0,
            last_error: first.last_error,
            exporters,
        }
    }
}

impl ExporterStats {
    fn of(name: &'static str, ledger: &Ledger) -> Self {
        let acknowledged = ledger.acknowledged.load(Ordering::Acquire);
        let dropped = DropReason::ALL.map(|reason| ledger.dropped(reason));
        let held = ledger.held.load(Ordering::Acquire);
        let spooled = ledger.spooled.load(Ordering::Acquire);
        let recovered = ledger.recovered.load(Ordering::Acquire);
        let last_error = ledger.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut stats = Self {
            name,
            acknowledged,
            queued: held as u64,
            spooled,
            recovered,
            requests: ledger.requests.load(Ordering::Relaxed),
            last_error: last_error.map(|(when, text)| (when, text.into())),
            ..Self::default()
        };
        stats.set_dropped(dropped);
        stats
    }

    /// Adds what no exporter had, and what none has yet: the first one's accounting counts it.
    fn add(&mut self, unseen: [u64; DropReason::ALL.len()], undecided: usize) {
        let mut dropped = unseen;
        for (reason, count) in &self.dropped_by_reason {
            dropped[*reason as usize] += count;
        }
        self.set_dropped(dropped);
        self.queued += undecided as u64;
    }

    fn set_dropped(&mut self, dropped: [u64; DropReason::ALL.len()]) {
        self.dropped = dropped.iter().sum();
        let by_reason = DropReason::ALL.into_iter().zip(dropped);
        self.dropped_by_reason = by_reason.filter(|(_, count)| *count > 0).collect();
    }
}

/// The accounting of the process's export, now. All zero where nothing was started.
pub fn stats() -> Stats {
    let stats = handle().map(|handle| Stats::of(handle.collector)).unwrap_or_default();
    Stats {
        orphan_spans: notice::ORPHANS.load(Ordering::Relaxed),
        invalid_tenants: notice::INVALID_TENANTS.load(Ordering::Relaxed),
        malformed_headers: notice::MALFORMED_HEADERS.load(Ordering::Relaxed),
        ..stats
    }
}

/// Tokens, calls and failures per tenant and model, of the spans that the export thread has seen.
///
/// [`flush`] first, where it must be complete.
pub fn usage() -> Usage {
    handle().map(|handle| handle.totals.lock().unwrap_or_else(PoisonError::into_inner).snapshot()).unwrap_or_default()
}

/// What a flush came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushReport {
    /// Everything that ended before the call is with the backend, on disk in the spool, or counted as lost.
    pub complete: bool,
    /// How much of it is still waiting in memory.
    pub queued: u64,
    /// How much lies in the spool, from before the call or from after it, until the backend takes it.
    pub spooled: u64,
}

/// The export thread answers at the deadline; this is for one that is kept from running.
const GRACE: Duration = Duration::from_millis(50);

const NOTHING_TO_DO: FlushReport = FlushReport { complete: true, queued: 0, spooled: 0 };

/// `Duration::MAX` is what people write for "as long as it takes"; clocks cannot count that far.
fn bounded(timeout: Duration) -> Duration {
    timeout.min(Duration::from_secs(365 * 24 * 60 * 60))
}

/// Sends everything that ended before the call, and what lies in the spool; returns when that is done, or after
/// `timeout`.
///
/// It may be called anywhere, also inside a current-thread runtime: the export has a thread of its own.
pub fn flush(timeout: Duration) -> FlushReport {
    handle().map_or(NOTHING_TO_DO, |handle| handle.flush(timeout))
}

/// [`flush`], without blocking the thread.
pub async fn flush_async(timeout: Duration) -> FlushReport {
    let Some(handle) = handle() else { return NOTHING_TO_DO };
    let (sender, mut receiver) = oneshot::channel();
    let deadline = Instant::now() + bounded(timeout);
    if !handle.send(Command::Flush { deadline, answer: crate::export::Answer::Task(sender) }) {
        return handle.after_the_end();
    }
    let mut timer = Timer::at(deadline + GRACE);
    let answer = poll_fn(|cx| match Pin::new(&mut receiver).poll(cx) {
        Poll::Pending => timer.poll_due(cx).map(|()| None),
        Poll::Ready(report) => Poll::Ready(report.ok()),
    });
    answer.await.unwrap_or_else(|| handle.after_the_end())
}

/// Flushes, then stops the export for good. What ends later is counted as lost; a second call does nothing.
pub fn shutdown(timeout: Duration) -> FlushReport {
    handle().map_or(NOTHING_TO_DO, |handle| handle.shutdown(timeout))
}

/// What dropping the guard does: a tenth of the time is for what is left to reach the disk.
pub(crate) fn finish(timeout: Duration) {
    if let Some(handle) = handle() {
        let at_the_end = timeout / 10;
        handle.flush(timeout.saturating_sub(at_the_end));
        handle.ask(at_the_end, |deadline, answer| Command::Finish { deadline, answer });
    }
}

impl Handle {
    pub(crate) fn flush(&self, timeout: Duration) -> FlushReport {
        self.ask(timeout, |deadline, answer| Command::Flush { deadline, answer })
    }

    pub(crate) fn shutdown(&self, timeout: Duration) -> FlushReport {
        let report = self.ask(timeout, |deadline, answer| Command::Shutdown { deadline, answer });
        self.collector.close();
        report
    }

    fn ask(&self, timeout: Duration, command: impl FnOnce(Instant, crate::export::Answer) -> Command) -> FlushReport {
        let timeout = bounded(timeout);
        let (sender, receiver) = std::sync::mpsc::channel();
        let deadline = Instant::now() + timeout;
        if !self.send(command(deadline, crate::export::Answer::Thread(sender))) {
            return self.after_the_end();
        }
        receiver.recv_timeout(timeout + GRACE).unwrap_or_else(|_| self.after_the_end())
    }

    /// The answer where the export thread gives none.
    fn after_the_end(&self) -> FlushReport {
        let queued = Stats::of(self.collector).queued;
        FlushReport { complete: queued == 0, queued, spooled: self.collector.spooled() }
    }
}
