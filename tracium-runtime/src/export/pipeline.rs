//! The export thread's loop: sweep, hand over, answer those who wait.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Sleep;

use self::notices::Notices;
use super::account::Receipt;
use super::view::View;
use super::{Account, Exporter, SpanItem, SpanRecord, Totals, TraceItem, Tracked};
use crate::collect::Collector;
use crate::collect::ledger::DropReason;
use crate::collect::reader::{self, Ends, Reader};
use crate::collect::segment::{End, RawSpan};
use crate::collect::shares::HolderId;
use crate::id::IdMap;
use crate::stats::FlushReport;
use crate::trace::{SpanMeta, Status, TraceCore};
use crate::{SpanId, clock::Timestamp};

/// How often every thread's buffer is taken.
const SWEEP: Duration = Duration::from_millis(100);
/// The same where a thread called, since they are almost full.
const CALLED: Duration = Duration::from_millis(10);
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

pub(crate) struct Pipeline {
    exporter: Box<dyn Exporter>,
    account: Account,
    collector: &'static Collector,
    totals: Arc<Mutex<Totals>>,
    reader: Reader,
    ends: Ends,
    starts: Vec<Arc<TraceCore>>,
    /// Spans of one trace on their way to the exporter.
    batch: Vec<SpanItem>,
    of_batch: Option<Arc<Tracked>>,
    /// Whose the trace of the batch is.
    holder: HolderId,
    /// Traces were told to do without the buffers, and not yet otherwise.
    held_back: bool,
    /// The buffers are almost full: not to wait for the next sweep.
    called: bool,
    sweep: u32,
    last_sweep: Instant,
    /// The traces that spans may still come of.
    live: IdMap<u64, Arc<Tracked>>,
    /// Those that ended, while somebody may still add to them.
    ended: Vec<u64>,
    open: IdMap<SpanId, RawSpan>,
    /// Open spans in the order they came, to find those that are long.
    young: VecDeque<(Timestamp, SpanId)>,
    waiters: Vec<Waiter>,
    notices: Notices,
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
            starts: Vec::new(),
            batch: Vec::new(),
            of_batch: None,
            holder: HolderId::NOBODY,
            held_back: false,
            called: false,
            sweep: 0,
            last_sweep: Instant::now(),
            live: IdMap::default(),
            ended: Vec::new(),
            open: IdMap::default(),
            young: VecDeque::new(),
            waiters: Vec::new(),
            notices: Notices::default(),
        }
    }

    /// Runs until somebody shuts it down.
    pub(crate) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut alarm = Box::pin(tokio::time::sleep(SWEEP));
        loop {
            match poll_fn(|cx| self.poll_wake(cx, &mut alarm, &mut commands)).await {
                Wake::Alarm | Wake::Progress => {}
                Wake::Command(Some(command)) => self.obey(command),
                // Nobody is left who could ask for anything.
                Wake::Command(None) => self.obey_shutdown_now(),
            }
            if self.last_sweep.elapsed() >= self.pause() {
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
        if self.collector.shares.poll_pressed(cx).is_ready() {
            self.called = true;
            return Poll::Ready(Wake::Alarm);
        }
        self.exporter.poll_progress(cx, &mut self.account).map(|()| Wake::Progress)
    }

    fn next_alarm(&self) -> Instant {
        let deadlines = self.waiters.iter().map(|waiter| waiter.deadline);
        let due = self.exporter.next_due();
        deadlines.chain(due).fold(self.last_sweep + self.pause(), Instant::min)
    }

    /// How long after a sweep the next one is due.
    fn pause(&self) -> Duration {
        if self.called { CALLED } else { SWEEP }
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
        self.sweep();
        self.waiters.push(Waiter { sweep: self.sweep, deadline, answer, stop });
    }

    fn obey_shutdown_now(&mut self) {
        let (sender, _) = std::sync::mpsc::channel();
        self.obey(Command::Shutdown { deadline: Instant::now(), answer: Answer::Thread(sender) });
    }

    /// Takes what every thread has and hands it to the exporter.
    fn sweep(&mut self) {
        self.sweep += 1;
        self.last_sweep = Instant::now();
        self.called = false;
        let gone = self.take_abandoned();
        let (mut reader, mut ends) = (std::mem::take(&mut self.reader), std::mem::take(&mut self.ends));
        reader.ends(self.collector, &mut ends);
        self.take_starts();
        reader.spans(self.collector, |span, end| self.span(span, end));
        for (id, end) in ends.spans.drain(..) {
            if let Some(span) = self.open.remove(&id) {
                self.ended(&span, end);
            }
        }
        self.hand_over();
        self.of_batch = None;
        for (key, end) in ends.traces.drain(..) {
            self.trace_ended(key, end);
        }
        (self.reader, self.ends) = (reader, ends);
        let mut free = Vec::new();
        for trace in gone {
            self.live.remove(&trace.key);
            self.exporter.trace_gone(&trace, &mut self.account);
            // Where the exporter is done with it, too, it may be filled again.
            free.extend(Arc::into_inner(trace).map(Tracked::into_inner));
        }
        self.collector.cores.give(&mut free);
        self.tell_of_long_spans();
        self.share_out();
        self.notices.look(self.collector);
    }

    fn take_starts(&mut self) {
        let mut starts = std::mem::take(&mut self.starts);
        reader::starts(self.collector, &mut starts);
        starts.drain(..).for_each(|trace| self.started(trace));
        self.starts = starts;
    }

    /// Ended traces that nobody else holds any more: whatever was added to them is there for this sweep to find.
    fn take_abandoned(&mut self) -> Vec<Arc<Tracked>> {
        let mut gone = Vec::new();
        let live = &self.live;
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
        gone
    }

    fn started(&mut self, trace: Arc<TraceCore>) {
        let (key, remote) = (trace.key, trace.remote);
        let tracked = Tracked::new(trace);
        self.exporter.trace_started(&tracked);
        if remote {
            // It ends elsewhere; here it is over when nobody holds it.
            self.ended.push(key);
        }
        self.live.insert(key, tracked);
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
        if self.of_batch.as_ref().is_none_or(|trace| trace.key != span.trace) {
            self.hand_over();
            self.of_batch = self.live(span.trace);
            if let Some(trace) = &self.of_batch {
                self.holder = self.collector.shares.holder(trace.tenant().as_ref(), self.last_sweep);
            }
        }
        let (Some(trace), Some(record)) = (&self.of_batch, record(span, Some(end))) else {
            // Its trace is not known, which the order of a sweep rules out; were it so, it is counted.
            self.lose_unknown();
            return;
        };
        let details = trace.take_span(span.span);
        let counts = details.is_some() || record.meta.kind == "llm";
        let holder = self.holder_of(record.tenant, details.as_deref());
        self.batch.push(SpanItem { record, details, sweep: self.sweep, holder });
        if counts && let (Some(trace), Some(item)) = (&self.of_batch, self.batch.last()) {
            self.count(View::new(trace, &item.record, item.details.as_deref()));
        }
    }

    /// Hands the spans of a trace to the exporter.
    fn hand_over(&mut self) {
        if let Some(trace) = &self.of_batch
            && !self.batch.is_empty()
        {
            self.account.accept(self.sweep, self.batch.iter().map(SpanItem::receipt));
            self.exporter.spans_ended(trace, &mut self.batch, &mut self.account);
        }
    }

    fn trace_ended(&mut self, key: u64, end: End) {
        let Some(trace) = self.live(key) else {
            // Its start is not known, which the order of a sweep rules out; were it so, it is counted.
            self.lose_unknown();
            return;
        };
        self.ended.push(key);
        trace.settle_losses();
        if trace.is_discarded() {
            self.exporter.trace_discarded(&trace, &mut self.account);
            self.collector.give_back(1, 0);
            return;
        }
        let root = SpanRecord::root(&trace, Some(end));
        let details = trace.take_span(root.id);
        self.count(View::new(&trace, &root, details.as_deref()));
        let holder = self.collector.shares.holder(trace.tenant().as_ref(), self.last_sweep);
        let of_trace = trace.state().take_bytes();
        let end = TraceItem { root, details, sweep: self.sweep, holder, of_trace };
        self.account.accept(self.sweep, [end.receipt()]);
        self.exporter.trace_ended(&trace, end, &mut self.account);
    }

    /// Something came of a trace that is not known.
    fn lose_unknown(&mut self) {
        let receipt = Receipt::of(self.sweep);
        self.account.accept(self.sweep, [receipt]);
        self.account.drop_unseen([receipt], DropReason::ExportThread);
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
        let mut stop = false;
        for index in (0..self.waiters.len()).rev() {
            let waiter = &self.waiters[index];
            let is_clear = self.account.is_clear(waiter.sweep) && self.exporter.held_beside(waiter.sweep) == 0;
            if is_clear || waiter.deadline <= now || waiter.answer.is_unwanted() {
                let waiter = self.waiters.swap_remove(index);
                let report = self.report(waiter.sweep);
                if waiter.stop {
                    stop = true;
                    // What the reader holds is counted nowhere yet.
                    while self.reader.has_late() {
                        self.sweep();
                    }
                    self.exporter.drop_all(DropReason::Shutdown, &mut self.account);
                    self.exporter.finish(&mut self.account);
                }
                waiter.answer.give(report);
            }
        }
        stop
    }
}

#[cfg(all(test, tracium_loom))]
mod models;
mod notices;
mod sharing;
