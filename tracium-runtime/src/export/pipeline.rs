//! The export thread's loop: sweep, hand over, answer those who wait.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::Sleep;

use self::notices::Notices;
pub(crate) use self::waiters::{Answer, Command};
use self::waiters::{Stage, Waiter, WaitsFor};
use super::account::Receipt;
use super::discard::Discard;
use super::restart::{leave_spooled, write_off};
use super::view::View;
use super::{Account, Exporter, SpanItem, SpanRecord, Totals, TraceItem, Tracked};
use crate::collect::Collector;
use crate::collect::ledger::DropReason;
use crate::collect::reader::{self, Ends, Reader};
use crate::collect::segment::{End, RawSpan};
use crate::collect::shares::HolderId;
use crate::id::IdMap;
use crate::panics;
use crate::stats::FlushReport;
use crate::trace::{SpanMeta, Status, TraceCore};
use crate::{SpanId, clock::Timestamp};

/// How often every thread's buffer is taken.
const SWEEP: Duration = Duration::from_millis(100);
/// The same where a thread called, since they are almost full.
const CALLED: Duration = Duration::from_millis(10);
/// A span open for longer than this is told to the exporter.
const LONG: Duration = Duration::from_secs(2);

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
    /// Those that nobody can add to any more.
    gone: Vec<Arc<Tracked>>,
    /// The exporter is a new one, and has not been told of the traces that live.
    is_new: bool,
    open: IdMap<SpanId, RawSpan>,
    /// Open spans in the order they came, to find those that are long.
    young: VecDeque<(Timestamp, SpanId)>,
    waiters: Vec<Waiter>,
    stage: Stage,
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
            taken: 0,
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
            gone: Vec::new(),
            is_new: false,
            open: IdMap::default(),
            young: VecDeque::new(),
            waiters: Vec::new(),
            stage: Stage::Running,
            notices: Notices::default(),
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
            if self.last_sweep.elapsed() >= self.pause() {
                self.sweep();
            }
            self.exporter.dispatch(Instant::now(), !self.waiters.is_empty(), &mut self.account);
            self.save_before_the_end();
            if self.answer_waiters() {
                self.let_go().await;
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
        let deadlines = self
            .waiters
            .iter()
            .map(|waiter| if self.stage == Stage::Running { waiter.save_at() } else { waiter.deadline });
        let due = self.exporter.next_due();
        deadlines.chain(due).fold(self.last_sweep + self.pause(), Instant::min)
    }

    /// How long after a sweep the next one is due.
    fn pause(&self) -> Duration {
        if self.called { CALLED } else { SWEEP }
    }

    fn obey(&mut self, command: Command) {
        let (deadline, answer, waits_for) = match command {
            Command::Flush { deadline, answer } => (deadline, answer, WaitsFor::Delivery),
            Command::Shutdown { deadline, answer } => {
                self.collector.close();
                (deadline, answer, WaitsFor::Stop)
            }
            Command::Finish { deadline, answer } => {
                self.exporter.save(&mut self.account);
                self.exporter.finish(&mut self.account);
                self.waiters.push(Waiter { sweep: self.sweep, deadline, answer, waits_for: WaitsFor::Saved });
                return;
            }
        };
        self.waiters.push(Waiter { sweep: self.sweep + 1, deadline, answer, waits_for });
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
        self.called = false;
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
        self.share_out();
        self.notices.look(self.collector);
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
            // An exporter that fails at them takes them along: they are held, and on their way no longer.
            let mut batch = std::mem::take(&mut self.batch);
            self.exporter.spans_ended(trace, &mut batch, &mut self.account);
            self.batch = batch;
        }
    }

    fn trace_ended(&mut self, trace: Option<Arc<Tracked>>, end: End) {
        let Some(trace) = trace else {
            // Its start is not known, which the order of a sweep rules out; were it so, it is counted.
            self.taken += 1;
            self.lose_unknown();
            return;
        };
        self.ended.push(trace.key);
        trace.settle_losses();
        if trace.is_discarded() {
            self.collector.give_back(1, 0);
            self.exporter.trace_discarded(&trace, &mut self.account);
            return;
        }
        let root = SpanRecord::root(&trace, Some(end));
        let details = trace.take_span(root.id);
        let holder = self.collector.shares.holder(trace.tenant().as_ref(), self.last_sweep);
        let of_trace = trace.state().take_bytes();
        let end = TraceItem { root, details, sweep: self.sweep, holder, of_trace };
        self.taken += 1;
        self.account.accept(self.sweep, [end.receipt()]);
        self.count(View::new(&trace, &end.root, end.details.as_deref()));
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
        if self.has_stopped() {
            let report = FlushReport { complete: true, queued: 0, spooled: self.collector.spooled() };
            self.waiters.drain(..).for_each(|waiter| waiter.answer.give(report));
        }
        self.has_stopped()
    }

    /// Takes another exporter, in place of one that failed.
    pub(crate) fn go_on_with(&mut self, exporter: Box<dyn Exporter>) {
        leave_spooled(self.collector);
        self.exporter = exporter;
        self.is_new = true;
    }
}

#[cfg(all(test, tracium_loom))]
mod models;
mod notices;
mod sharing;
#[cfg(all(test, not(tracium_loom)))]
mod tests;
mod waiters;
