//! The export thread's loop: sweep, hand over, answer those who wait.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Sleep;

use super::account::Receipt;
use super::discard::Discard;
use super::restart::write_off;
use super::view::View;
use super::{Account, Exporter, SpanItem, SpanRecord, Totals, TraceItem, Tracked};
use crate::collect::Collector;
use crate::collect::ledger::DropReason;
use crate::collect::reader::{self, Ends, Reader};
use crate::collect::segment::{End, RawSpan};
use crate::id::IdMap;
use crate::notice::{Minute, say};
use crate::panics;
use crate::stats::FlushReport;
use crate::trace::{SpanMeta, Status, TraceCore};
use crate::{SpanId, clock::Timestamp};

/// How often every thread's buffer is taken.
const SWEEP: Duration = Duration::from_millis(100);
/// A span open for longer than this is told to the exporter.
const LONG: Duration = Duration::from_secs(2);

/// What other threads ask of the export thread.
#[derive(Debug)]
pub(crate) enum Command {
    /// Send all that ended before this came; answer when done, or at the deadline.
    Flush { deadline: Instant, answer: Answer },
    /// The same, and then let go of the rest and stop.
    Shutdown { deadline: Instant, answer: Answer },
    /// The guard was dropped: show what is shown at the end, then answer.
    Finish { answer: Answer },
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

    fn give(self, report: FlushReport) {
        // Whoever asked may have gone, at their own deadline.
        match self {
            Self::Thread(sender) => drop(sender.send(report)),
            Self::Task(sender) => drop(sender.send(report)),
        }
    }
}

fn record(span: &RawSpan, end: Option<End>) -> Option<SpanRecord> {
    Some(SpanRecord {
        id: span.span,
        parent: span.parent,
        meta: SpanMeta::at(span.meta)?,
        started: span.started,
        ended: end.map(|end| end.at),
        depth: span.depth,
        tenant: span.tenant,
        status: end.map_or(Status::Completed, |end| end.status),
    })
}

struct Waiter {
    sweep: u32,
    deadline: Instant,
    answer: Answer,
    stop: bool,
}

enum Wake {
    Alarm,
    Progress,
    Command(Option<Command>),
}

/// What the export thread does, and all that it knows.
///
/// An exporter that panics takes what it held with it, and nothing else: [`Self::write_off`] counts that, and with
/// [`Self::go_on_with`] another one takes its place. So whatever is still to be done is noted here and not in a call
/// under way, and is taken off its list before an exporter is called for it.
pub(crate) struct Pipeline {
    exporter: Box<dyn Exporter>,
    account: Account,
    collector: &'static Collector,
    totals: Arc<Mutex<Totals>>,
    reader: Reader,
    ends: Ends,
    /// Of the traces and spans that ended, those that were taken out of the threads' buffers, ever.
    taken: u64,
    starts: Vec<Arc<TraceCore>>,
    /// Spans of one trace on their way to the exporter.
    batch: Vec<SpanItem>,
    of_batch: Option<Arc<Tracked>>,
    sweep: u32,
    last_sweep: Instant,
    /// The traces that spans may still come of.
    live: IdMap<u64, Arc<Tracked>>,
    /// Those that ended, while somebody may still add to them.
    ended: Vec<u64>,
    /// Those that nobody can add to any more.
    gone: Vec<Arc<Tracked>>,
    /// The exporter is a new one, and has not been told of the traces that live.
    is_new: bool,
    /// Shut down; only the exporter may not have been told.
    stopped: bool,
    open: IdMap<SpanId, RawSpan>,
    /// Open spans in the order they came, to find those that are long.
    young: VecDeque<(Timestamp, SpanId)>,
    waiters: Vec<Waiter>,
    /// Spans lost to full buffers when that was last said.
    warned_of: u64,
}

impl Pipeline {
    pub(crate) fn new(collector: &'static Collector, exporter: Box<dyn Exporter>, totals: Arc<Mutex<Totals>>) -> Self {
        Self {
            exporter,
            account: Account::new(collector, Arc::clone(&totals)),
            collector,
            totals,
            reader: Reader::default(),
            ends: Ends::default(),
            taken: 0,
            starts: Vec::new(),
            batch: Vec::new(),
            of_batch: None,
            sweep: 0,
            last_sweep: Instant::now(),
            live: IdMap::default(),
            ended: Vec::new(),
            gone: Vec::new(),
            is_new: false,
            stopped: false,
            open: IdMap::default(),
            young: VecDeque::new(),
            waiters: Vec::new(),
            warned_of: 0,
        }
    }

    /// Runs until somebody shuts it down.
    pub(crate) async fn run(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>) {
        let mut alarm = Box::pin(tokio::time::sleep(SWEEP));
        self.tell_anew();
        loop {
            match poll_fn(|cx| self.poll_wake(cx, &mut alarm, commands)).await {
                Wake::Alarm | Wake::Progress => {}
                Wake::Command(Some(command)) => self.obey(command),
                // Nobody is left who could ask for anything.
                Wake::Command(None) => self.obey_shutdown_now(),
            }
            if self.last_sweep.elapsed() >= SWEEP {
                self.sweep();
            }
            self.exporter.dispatch(Instant::now(), !self.waiters.is_empty(), &mut self.account);
            if self.answer_waiters() {
                return;
            }
            alarm.as_mut().reset(self.next_alarm().into());
        }
    }

    fn poll_wake(
        &mut self,
        cx: &mut Context<'_>,
        alarm: &mut Pin<Box<Sleep>>,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Poll<Wake> {
        // Commands first: their deadlines hold also while answers keep coming.
        if let Poll::Ready(command) = commands.poll_recv(cx) {
            return Poll::Ready(Wake::Command(command));
        }
        if alarm.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Wake::Alarm);
        }
        self.exporter.poll_progress(cx, &mut self.account).map(|()| Wake::Progress)
    }

    fn next_alarm(&self) -> Instant {
        let deadlines = self.waiters.iter().map(|waiter| waiter.deadline);
        let due = self.exporter.next_due();
        deadlines.chain(due).fold(self.last_sweep + SWEEP, Instant::min)
    }

    fn obey(&mut self, command: Command) {
        let (deadline, answer, stop) = match command {
            Command::Flush { deadline, answer } => (deadline, answer, false),
            Command::Shutdown { deadline, answer } => {
                self.collector.close();
                (deadline, answer, true)
            }
            Command::Finish { answer } => {
                self.exporter.finish(&mut self.account);
                answer.give(self.report(self.sweep));
                return;
            }
        };
        self.waiters.push(Waiter { sweep: self.sweep + 1, deadline, answer, stop });
        self.sweep();
    }

    fn obey_shutdown_now(&mut self) {
        let (sender, _) = std::sync::mpsc::channel();
        self.obey(Command::Shutdown { deadline: Instant::now(), answer: Answer::Thread(sender) });
    }

    /// Takes what every thread has and hands it to the exporter.
    fn sweep(&mut self) {
        self.sweep += 1;
        self.last_sweep = Instant::now();
        self.take_abandoned();
        self.reader.ends(self.collector, &mut self.ends);
        self.take_starts();
        self.read_spans();
        // From the back, which takes one at a time off the list, and in the order they came.
        self.ends.spans.reverse();
        while let Some((id, end)) = self.ends.spans.pop() {
            if let Some(span) = self.open.remove(&id) {
                self.ended(&span, end);
            }
        }
        self.hand_over();
        self.of_batch = None;
        self.ends.traces.reverse();
        while let Some((key, end)) = self.ends.traces.last().copied() {
            let trace = self.live(key);
            self.ends.traces.pop();
            self.trace_ended(trace, end);
        }
        let mut free = Vec::new();
        while let Some(trace) = self.gone.pop() {
            self.live.remove(&trace.key);
            self.exporter.trace_gone(&trace, &mut self.account);
            // Where the exporter is done with it, too, it may be filled again.
            free.extend(Arc::into_inner(trace).map(Tracked::into_inner));
        }
        self.collector.cores.give(&mut free);
        self.tell_of_long_spans();
        self.warn_of_full_buffers();
    }

    fn take_starts(&mut self) {
        reader::starts(self.collector, &mut self.starts);
        self.starts.reverse();
        while let Some(trace) = self.starts.pop() {
            self.started(trace);
        }
    }

    fn read_spans(&mut self) {
        // The reader knows how far it is, also where what it shows is too much for an exporter.
        let mut reader = std::mem::take(&mut self.reader);
        let read = panic::catch_unwind(AssertUnwindSafe(|| {
            reader.spans(self.collector, |span, end| self.span(span, end));
        }));
        self.reader = reader;
        if let Err(panicked) = read {
            panic::resume_unwind(panicked);
        }
    }

    fn warn_of_full_buffers(&mut self) {
        static TURN: Minute = Minute::new();
        let lost = self.collector.ledger.dropped(DropReason::QueueFull);
        if lost > self.warned_of && TURN.is_due() {
            self.warned_of = lost;
            say(|| {
                tracing::warn!(target: "tracium", lost, "the buffers are full: spans are lost until the backend takes more");
            });
        }
    }

    /// Ended traces that nobody else holds any more: whatever was added to them is there for this sweep to find.
    fn take_abandoned(&mut self) {
        let (live, gone) = (&self.live, &mut self.gone);
        self.ended.retain(|key| match live.get(key) {
            Some(trace) if trace.is_ours_alone() => {
                gone.push(Arc::clone(trace));
                false
            }
            Some(_) => true,
            None => false,
        });
        // With the count of holders, what they did before they let go is to be seen.
        fence(Ordering::Acquire);
    }

    fn started(&mut self, trace: Arc<TraceCore>) {
        let (key, remote) = (trace.key, trace.remote);
        let tracked = Tracked::new(trace);
        if remote {
            // It ends elsewhere; here it is over when nobody holds it.
            self.ended.push(key);
        }
        self.live.insert(key, Arc::clone(&tracked));
        self.exporter.trace_started(&tracked);
    }

    fn span(&mut self, span: RawSpan, end: Option<End>) {
        if let Some(end) = end {
            if !self.open.is_empty() {
                self.open.remove(&span.span);
            }
            self.ended(&span, end);
        } else {
            self.young.push_back((span.started, span.span));
            self.open.insert(span.span, span);
        }
    }

    /// The trace of `key`, which may have started since the sweep began.
    fn live(&mut self, key: u64) -> Option<Arc<Tracked>> {
        if !self.live.contains_key(&key) {
            self.take_starts();
        }
        self.live.get(&key).map(Arc::clone)
    }

    fn ended(&mut self, span: &RawSpan, end: End) {
        self.taken += 1;
        if self.of_batch.as_ref().is_none_or(|trace| trace.key != span.trace) {
            self.hand_over();
            self.of_batch = self.live(span.trace);
        }
        let (Some(trace), Some(record)) = (&self.of_batch, record(span, Some(end))) else {
            // Its trace is not known, which the order of a sweep rules out; were it so, it is counted.
            self.account.accept(self.sweep, 1, 0);
            self.account.drop_unseen([Receipt::of(self.sweep)], DropReason::ExportThread);
            return;
        };
        let details = trace.take_span(span.span);
        let counts = details.is_some() || record.meta.kind == "llm";
        self.batch.push(SpanItem { record, details, sweep: self.sweep });
        if counts && let (Some(trace), Some(item)) = (&self.of_batch, self.batch.last()) {
            self.count(View::new(trace, &item.record, item.details.as_deref()));
        }
    }

    /// Hands the spans of a trace to the exporter.
    fn hand_over(&mut self) {
        if let Some(trace) = &self.of_batch
            && !self.batch.is_empty()
        {
            self.account.accept(self.sweep, self.batch.len(), self.batch.iter().map(SpanItem::captured).sum());
            self.exporter.spans_ended(trace, &mut self.batch, &mut self.account);
        }
    }

    fn trace_ended(&mut self, trace: Option<Arc<Tracked>>, end: End) {
        let Some(trace) = trace else {
            // Its start is not known, which the order of a sweep rules out; were it so, it is counted.
            self.taken += 1;
            self.account.accept(self.sweep, 1, 0);
            self.account.drop_unseen([Receipt::of(self.sweep)], DropReason::ExportThread);
            return;
        };
        self.ended.push(trace.key);
        if trace.is_discarded() {
            self.collector.budget.give_back(1, 0);
            self.exporter.trace_discarded(&trace, &mut self.account);
            return;
        }
        let root = SpanRecord::root(&trace, Some(end));
        let details = trace.take_span(root.id);
        let of_trace = trace.state().take_bytes();
        let captured = of_trace + details.as_ref().map_or(0, |details| details.bytes);
        self.taken += 1;
        self.account.accept(self.sweep, 1, captured);
        self.count(View::new(&trace, &root, details.as_deref()));
        let end = TraceItem { root, details, sweep: self.sweep, captured };
        self.exporter.trace_ended(&trace, end, &mut self.account);
    }

    fn count(&self, span: View<'_>) {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).count(span);
    }

    fn tell_of_long_spans(&mut self) {
        let now = Timestamp::now();
        while let Some((started, id)) = self.young.front().copied() {
            if self.open.contains_key(&id) && now.since(started) < LONG {
                break;
            }
            self.young.pop_front();
            let Some(span) = self.open.get(&id) else { continue };
            if let (Some(trace), Some(record)) = (self.live.get(&span.trace), record(span, None)) {
                self.exporter.span_open(trace, &record);
            }
        }
    }

    fn report(&self, sweep: u32) -> FlushReport {
        let queued = (self.account.held_until(sweep) + self.exporter.held_beside(sweep)) as u64;
        FlushReport { complete: queued == 0, queued }
    }

    /// Answers whoever has waited long enough; true when it is time to stop.
    fn answer_waiters(&mut self) -> bool {
        let now = Instant::now();
        for index in (0..self.waiters.len()).rev() {
            let waiter = &self.waiters[index];
            let is_clear = self.account.is_clear(waiter.sweep) && self.exporter.held_beside(waiter.sweep) == 0;
            if is_clear || waiter.deadline <= now || waiter.answer.is_unwanted() {
                let report = self.report(waiter.sweep);
                if waiter.stop {
                    // What the reader holds is counted nowhere yet.
                    while self.reader.has_late() {
                        self.sweep();
                    }
                    // Also where the exporter fails at what follows.
                    self.stopped = true;
                    self.exporter.drop_all(DropReason::Shutdown, &mut self.account);
                    self.exporter.finish(&mut self.account);
                }
                self.waiters.swap_remove(index).answer.give(report);
            }
        }
        self.stopped
    }

    /// Tells a new exporter what the one before knew.
    fn tell_anew(&mut self) {
        if !std::mem::take(&mut self.is_new) {
            return;
        }
        for trace in self.live.values() {
            self.exporter.trace_started(trace);
        }
        for waiter in &mut self.waiters {
            // The sweep that was to bring it all may not have ended.
            waiter.sweep = self.sweep + 1;
        }
        self.sweep();
    }

    /// The exporter failed: counts what it held as lost, and what was on its way to it. True where it was to stop anyway.
    pub(crate) fn write_off(&mut self) -> bool {
        let failed = std::mem::replace(&mut self.exporter, Box::new(Discard));
        panics::contained(|| drop(failed));
        let stray = self.taken.saturating_sub(self.collector.ledger.passed.offered.load(Ordering::Relaxed));
        let captured = self.batch.iter().rev().take(stray as usize).map(SpanItem::captured).sum();
        self.batch.clear();
        self.of_batch = None;
        write_off(self.collector, stray, captured);
        self.account = Account::new(self.collector, Arc::clone(&self.totals));
        if self.stopped {
            let report = FlushReport { complete: true, queued: 0 };
            self.waiters.drain(..).for_each(|waiter| waiter.answer.give(report));
        }
        self.stopped
    }

    /// Takes another exporter, in place of one that failed.
    pub(crate) fn go_on_with(&mut self, exporter: Box<dyn Exporter>) {
        self.exporter = exporter;
        self.is_new = true;
    }
}

#[cfg(all(test, tracium_loom))]
mod models;
#[cfg(all(test, not(tracium_loom)))]
mod tests;
