//! The export thread's loop: sweep, hand over, answer those who wait.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Sleep;

use super::view::View;
use super::{Account, Exporter, SpanItem, Totals, TraceItem};
use crate::collect::ledger::DropReason;
use crate::collect::{Collector, Event};
use crate::stats::FlushReport;
use crate::trace::SpanRecord;
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
    fn give(self, report: FlushReport) {
        // Whoever asked may have gone, at their own deadline.
        match self {
            Self::Thread(sender) => drop(sender.send(report)),
            Self::Task(sender) => drop(sender.send(report)),
        }
    }
}

struct Waiter {
    sweep: u64,
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
    collector: Arc<Collector>,
    totals: Arc<Mutex<Totals>>,
    events: Vec<Event>,
    sweep: u64,
    last_sweep: Instant,
    open: HashMap<SpanId, SpanRecord>,
    /// Open spans in the order they came, to find those that are long.
    young: VecDeque<(Timestamp, SpanId)>,
    /// Spans whose end was taken before their beginning, from another thread's buffer.
    ended_early: HashSet<SpanId>,
    waiters: Vec<Waiter>,
}

impl Pipeline {
    pub(crate) fn new(collector: Arc<Collector>, exporter: Box<dyn Exporter>, totals: Arc<Mutex<Totals>>) -> Self {
        Self {
            exporter,
            account: Account::new(Arc::clone(&collector), Arc::clone(&totals)),
            collector,
            totals,
            events: Vec::new(),
            sweep: 0,
            last_sweep: Instant::now(),
            open: HashMap::new(),
            young: VecDeque::new(),
            ended_early: HashSet::new(),
            waiters: Vec::new(),
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
        let mut events = std::mem::take(&mut self.events);
        self.collector.sweep(&mut events);
        for event in events.drain(..) {
            self.take(event);
        }
        self.events = events;
        self.tell_of_long_spans();
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::TraceStarted(trace) => self.exporter.trace_started(&trace),
            Event::Span(record) if record.ended.is_some() => self.ended(record),
            Event::Span(record) => {
                if !self.ended_early.remove(&record.id) {
                    self.young.push_back((record.started, record.id));
                    self.open.insert(record.id, record);
                }
            }
            Event::SpanClosed(record) => {
                if self.open.remove(&record.id).is_none() {
                    self.ended_early.insert(record.id);
                }
                self.ended(record);
            }
            Event::TraceEnded(root) if root.trace.state().discarded => {
                self.exporter.trace_discarded(&root.trace);
                self.collector.budget.give_back(1, 0);
            }
            Event::TraceEnded(root) => {
                self.account.accept(self.sweep);
                let details = root.trace.take_span(root.id);
                self.count(View::new(&root, details.as_deref()));
                self.exporter.trace_ended(TraceItem { root, details, sweep: self.sweep }, &mut self.account);
            }
        }
    }

    fn ended(&mut self, record: SpanRecord) {
        self.account.accept(self.sweep);
        let details = record.trace.take_span(record.id);
        self.count(View::new(&record, details.as_deref()));
        self.exporter.span_ended(SpanItem { record, details, sweep: self.sweep }, &mut self.account);
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
            if let Some(record) = self.open.get(&id) {
                self.exporter.span_open(record);
            }
        }
    }

    fn report(&self, sweep: u64) -> FlushReport {
        let queued = self.account.held_until(sweep) as u64;
        FlushReport { complete: queued == 0, queued }
    }

    /// Answers whoever has waited long enough; true when it is time to stop.
    fn answer_waiters(&mut self) -> bool {
        let now = Instant::now();
        let mut stop = false;
        for index in (0..self.waiters.len()).rev() {
            let waiter = &self.waiters[index];
            if self.account.is_clear(waiter.sweep) || waiter.deadline <= now {
                let waiter = self.waiters.swap_remove(index);
                let report = self.report(waiter.sweep);
                if waiter.stop {
                    stop = true;
                    self.exporter.drop_all(DropReason::Shutdown, &mut self.account);
                    self.exporter.finish(&mut self.account);
                }
                waiter.answer.give(report);
            }
        }
        stop
    }
}
