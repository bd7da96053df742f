//! Those who wait for the export thread, and what a shutdown does before it answers.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Pipeline;
use crate::collect::ledger::DropReason;
use crate::stats::FlushReport;

/// Of the time that a shutdown may take, what is left for saving.
const SAVING: Duration = Duration::from_millis(500);
/// The most that the export thread stays for what is on its way to disk, once a shutdown is answered.
const LINGER: Duration = Duration::from_secs(5);

/// What other threads ask of the export thread.
#[derive(Debug)]
pub(crate) enum Command {
    /// Send all that ended before this came; answer when done, or at the deadline.
    Flush { deadline: Instant, answer: Answer },
    /// The same, and then let go of the rest and stop.
    Shutdown { deadline: Instant, answer: Answer },
    /// The guard was dropped: save what is left, show what is shown at the end, then answer.
    Finish { deadline: Instant, answer: Answer },
}

/// Where an answer goes: to a blocked thread, or to a future.
#[derive(Debug)]
pub(crate) enum Answer {
    Thread(std::sync::mpsc::Sender<FlushReport>),
    Task(oneshot::Sender<FlushReport>),
}

impl Answer {
    /// The future that asked was dropped.
    fn is_unwanted(&self) -> bool {
        matches!(self, Self::Task(sender) if sender.is_closed())
    }

    pub(super) fn give(self, report: FlushReport) {
        // Whoever asked may have gone, at their own deadline.
        match self {
            Self::Thread(sender) => drop(sender.send(report)),
            Self::Task(sender) => drop(sender.send(report)),
        }
    }
}

pub(super) struct Waiter {
    pub(super) sweep: u32,
    pub(super) deadline: Instant,
    pub(super) answer: Answer,
    pub(super) waits_for: WaitsFor,
}

impl Waiter {
    /// When what is left must be saved, for that to be done by the deadline.
    pub(super) fn save_at(&self) -> Instant {
        match self.waits_for {
            WaitsFor::Stop => self.deadline.checked_sub(SAVING).unwrap_or(self.deadline),
            WaitsFor::Delivery | WaitsFor::Saved => self.deadline,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// All is with the backend, or lost.
    Delivery,
    /// The same, and then the export stops.
    Stop,
    /// What is left has been saved.
    Saved,
}

/// How far it is with a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Running,
    /// What a shutdown would leave behind was saved.
    Saved,
    /// Shut down; only the exporter may not have been told.
    Stopped,
}

impl Pipeline {
    fn report(&self, sweep: u32) -> FlushReport {
        let queued = (self.account.held_until(sweep) + self.exporter.held_beside(sweep)) as u64;
        FlushReport { complete: queued == 0, queued, spooled: self.collector.spooled() }
    }

    /// Whether what `waiter` waits for has come.
    fn is_done(&self, waiter: &Waiter) -> bool {
        let is_clear = || self.account.is_clear(waiter.sweep) && self.exporter.held_beside(waiter.sweep) == 0;
        let is_sent = || is_clear() && self.collector.spooled() == 0;
        !self.exporter.is_writing() && (waiter.waits_for == WaitsFor::Saved || is_sent())
    }

    /// Saves what a shutdown would leave behind, while there is time for it.
    pub(super) fn save_before_the_end(&mut self) {
        let now = Instant::now();
        if self.stage == Stage::Running
            && self.waiters.iter().any(|waiter| waiter.waits_for == WaitsFor::Stop && waiter.save_at() <= now)
        {
            self.stage = Stage::Saved;
            self.exporter.save(&mut self.account);
        }
    }

    /// Answers whoever has waited long enough; true when it is time to stop.
    pub(super) fn answer_waiters(&mut self) -> bool {
        let now = Instant::now();
        for index in (0..self.waiters.len()).rev() {
            let waiter = &self.waiters[index];
            if self.is_done(waiter) || waiter.deadline <= now || waiter.answer.is_unwanted() {
                let report = self.report(waiter.sweep);
                if waiter.waits_for == WaitsFor::Stop {
                    // What the reader holds is counted nowhere yet.
                    while self.reader.has_late() {
                        self.sweep();
                    }
                    // Also where the exporter fails at what follows.
                    self.stage = Stage::Stopped;
                    self.exporter.save(&mut self.account);
                    if !self.exporter.is_writing() {
                        self.exporter.drop_all(DropReason::Shutdown, &mut self.account);
                        self.exporter.finish(&mut self.account);
                    }
                }
                self.waiters.swap_remove(index).answer.give(report);
            }
        }
        self.has_stopped()
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.stage == Stage::Stopped
    }

    /// Whoever shut down has the answer; what is on its way to disk gets there, and the rest is lost.
    pub(super) async fn let_go(&mut self) {
        let until = tokio::time::Instant::now() + LINGER;
        if !self.exporter.is_writing() {
            return;
        }
        while self.exporter.is_writing() {
            let progress = poll_fn(|cx| self.exporter.poll_progress(cx, &mut self.account));
            if tokio::time::timeout_at(until, progress).await.is_err() {
                break;
            }
        }
        self.exporter.drop_all(DropReason::Shutdown, &mut self.account);
        self.exporter.finish(&mut self.account);
    }
}
