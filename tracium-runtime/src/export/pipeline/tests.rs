//! Exporters that panic: what they held is counted, the accounting stays exact, and the export goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::collect::ledger::DropReason;
use crate::collect::policy::Policy;
use crate::collect::sampler::Sampler;
use crate::collect::{Budget, Collector, Sink, install_thread, uninstall_thread};
use crate::export::account::Receipt;
use crate::export::{Account, Exporter, Handle, Recipe, SpanItem, SpanRecord, TraceItem, Tracked};
use crate::panics;
use crate::stats::Stats;
use crate::{current_span, start_span, start_trace};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    TraceStarted,
    SpanOpen,
    SpansEnded,
    TraceEnded,
    TraceDiscarded,
    TraceGone,
    Dispatch,
    PollProgress,
    NextDue,
    Finish,
    DropAll,
}

/// Where exporters panic, and how often in all.
#[derive(Debug)]
struct Plan {
    call: Call,
    left: AtomicUsize,
}

impl Plan {
    fn new(call: Call, times: usize) -> Arc<Self> {
        Arc::new(Self { call, left: AtomicUsize::new(times) })
    }

    fn reached(&self, call: Call) {
        let one_less = |left: usize| left.checked_sub(1);
        let is_over =
            self.call != call || self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err();
        assert!(is_over, "planned, in {call:?}");
    }
}

/// Holds what it gets until it is dispatched for the second time, so that something is there to be lost.
struct Faulty {
    plan: Arc<Plan>,
    new: Vec<Receipt>,
    old: Vec<Receipt>,
    /// As a lane holds its trace.
    traces: Vec<Arc<Tracked>>,
}

impl Faulty {
    fn recipe(plan: &Arc<Plan>) -> Recipe {
        let plan = Arc::clone(plan);
        let make = move || -> Box<dyn Exporter> {
            Box::new(Self { plan: Arc::clone(&plan), new: Vec::new(), old: Vec::new(), traces: Vec::new() })
        };
        // Of two beside each other, each has an accounting of its own.
        Recipe::by(make, 2)
    }
}

impl Exporter for Faulty {
    fn trace_started(&mut self, trace: &Arc<Tracked>) {
        self.plan.reached(Call::TraceStarted);
        self.traces.push(Arc::clone(trace));
    }

    fn span_open(&mut self, _: &Arc<Tracked>, _: &SpanRecord) {
        self.plan.reached(Call::SpanOpen);
    }

    fn spans_ended(&mut self, _: &Arc<Tracked>, spans: &mut Vec<SpanItem>, _: &mut Account) {
        if let Some(last) = spans.pop() {
            self.new.push(last.receipt());
        }
        self.plan.reached(Call::SpansEnded);
        self.new.extend(spans.drain(..).map(|span| span.receipt()));
    }

    fn trace_ended(&mut self, _: &Arc<Tracked>, end: TraceItem, _: &mut Account) {
        self.plan.reached(Call::TraceEnded);
        self.new.push(end.receipt());
    }

    fn trace_discarded(&mut self, _: &Arc<Tracked>, _: &mut Account) {
        self.plan.reached(Call::TraceDiscarded);
    }

    fn trace_gone(&mut self, trace: &Arc<Tracked>, _: &mut Account) {
        self.traces.retain(|held| !Arc::ptr_eq(held, trace));
        self.plan.reached(Call::TraceGone);
    }

    fn dispatch(&mut self, _: Instant, _: bool, account: &mut Account) {
        account.acknowledge_all(self.old.drain(..));
        self.plan.reached(Call::Dispatch);
        self.old.append(&mut self.new);
    }

    fn poll_progress(&mut self, _: &mut Context<'_>, _: &mut Account) -> Poll<()> {
        self.plan.reached(Call::PollProgress);
        Poll::Pending
    }

    fn next_due(&self) -> Option<Instant> {
        self.plan.reached(Call::NextDue);
        (!self.old.is_empty()).then(Instant::now)
    }

    fn finish(&mut self, _: &mut Account) {
        self.plan.reached(Call::Finish);
    }

    fn drop_all(&mut self, reason: DropReason, account: &mut Account) {
        self.plan.reached(Call::DropAll);
        account.drop_all(self.new.drain(..).chain(self.old.drain(..)), reason);
    }
}

struct Export {
    handle: Handle,
    plan: Arc<Plan>,
}

impl Export {
    fn new(call: Call, times: usize, sampler: Option<Sampler>) -> Self {
        // As `init` does; it also keeps the planned ones from being printed.
        panics::install_hook();
        let policy = Policy { content: true, sampler, ..Policy::default() };
        let collector = Collector::new(Budget::new(1 << 20, 128 << 20), policy);
        install_thread(Sink::Collector(collector));
        let plan = Plan::new(call, times);
        Self { handle: Handle::spawn_by(collector, Faulty::recipe(&plan)), plan }
    }

    fn stats(&self) -> Stats {
        Stats::of(self.handle.collector)
    }

    fn flush(&self) -> bool {
        self.handle.flush(Duration::from_secs(30)).complete
    }

    /// The accounting of each exporter, once nobody emits.
    fn at_rest(&self) -> Stats {
        let stats = self.stats();
        for exporter in &stats.exporters {
            let all = exporter.acknowledged + exporter.dropped + exporter.queued;
            assert_eq!(stats.emitted, all, "{:?}: {stats:#?}", self.plan);
        }
        assert_eq!(stats.exporters.len(), 2);
        let by_tenant: u64 = stats.tenants_lost.iter().map(|loss| loss.dropped).sum();
        assert!(by_tenant <= stats.dropped, "a copy's loss is no tenant's: {:?}: {stats:#?}", self.plan);
        stats
    }

    /// Everything that was planned happened.
    fn wait_for_all_panics(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.plan.left.load(Ordering::Relaxed) > 0 {
            assert!(Instant::now() < deadline, "{:?}", self.plan);
            work(3);
            self.handle.flush(Duration::from_millis(20));
        }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        uninstall_thread(None);
    }
}

fn work(spans: usize) {
    start_trace("bot").tenant("acme").metadata("plan", "gold").run(|| {
        for at in 0..spans {
            start_span("tool", "step").run(|| {
                current_span().record_input("something captured");
                if at % 7 == 5 {
                    current_span().fail("on purpose");
                }
            });
        }
    });
}

/// Panics `times` times in `call`, while three threads emit; then a last span arrives.
fn survives(call: Call, times: usize, sampler: Option<Sampler>) {
    let export = Export::new(call, times, sampler);
    // What was open before goes on after.
    let open = start_trace("before").open();
    let span = open.context().run(|| start_span("tool", "before").open());
    let sink = Sink::Collector(export.handle.collector);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let sink = sink.clone();
            scope.spawn(move || {
                install_thread(sink);
                for _ in 0..100 {
                    work(10);
                    std::thread::yield_now();
                }
            });
        }
        for _ in 0..20 {
            let stats = export.stats();
            assert!(stats.emitted >= stats.acknowledged + stats.dropped, "{stats:?}");
            export.handle.flush(Duration::from_millis(5));
        }
    });
    export.wait_for_all_panics();
    assert!(export.flush(), "it goes on");
    let before = export.at_rest();
    assert_eq!(before.queued, 0, "{before:?}");
    span.end();
    open.end();
    work(6);
    assert!(export.flush());
    let stats = export.at_rest();
    // Of a sampled one, what is left out counts as dropped, too.
    if stats.dropped_by(DropReason::Sampled) == 0 {
        assert_eq!(stats.acknowledged - before.acknowledged, 9, "{call:?}: later spans arrive");
    }
    assert!(stats.dropped_by(DropReason::ExportThread) < stats.emitted, "{stats:?}");
    // What a trace is of is given back when nobody holds it.
    export.flush();
    export.flush();
    let stats = export.at_rest();
    // What the budget itself says: less than nothing would not be seen in the figures for people.
    let (budget, unused) = (&export.handle.collector.budget, export.handle.collector.tally().unused);
    let taken = (budget.records(), budget.bytes());
    assert_eq!(taken, (unused, unused * Budget::RECORD_BYTES), "{call:?}: {stats:?}");
    assert!(stats.last_error.unwrap().1.contains("planned"), "it says why");
}

const WHILE_IT_RUNS: [Call; 7] = [
    Call::TraceStarted,
    Call::SpansEnded,
    Call::TraceEnded,
    Call::TraceGone,
    Call::Dispatch,
    Call::PollProgress,
    Call::NextDue,
];

/// Row 17 of the faults.
#[test]
fn an_export_that_panics_once_anywhere_is_started_again_and_every_loss_is_counted() {
    std::thread::scope(|scope| {
        for call in WHILE_IT_RUNS {
            scope.spawn(move || survives(call, 1, None));
        }
    });
}

/// Row 17 of the faults.
#[test]
fn an_export_that_panics_again_and_again_is_started_each_time() {
    std::thread::scope(|scope| {
        for call in WHILE_IT_RUNS {
            scope.spawn(move || survives(call, 4, None));
        }
    });
}

/// Row 17 of the faults.
#[test]
fn what_a_sampler_held_back_is_counted_where_the_export_panics() {
    for call in [Call::TraceStarted, Call::SpansEnded, Call::TraceEnded, Call::Dispatch] {
        survives(call, 2, Some(Sampler::ratio(0.3).always_failures()));
    }
}

/// Row 17 of the faults.
#[test]
fn an_export_that_panics_while_it_stops_stops_all_the_same_and_loses_nothing_uncounted() {
    for call in [Call::DropAll, Call::Finish] {
        let export = Export::new(call, 1, None);
        work(5);
        assert!(export.handle.shutdown(Duration::ZERO).queued <= 6);
        // It answers when it has stopped, or the caller did not wait for it.
        let deadline = Instant::now() + Duration::from_secs(30);
        while export.stats().queued > 0 {
            assert!(Instant::now() < deadline, "{:?}", export.stats());
            std::thread::yield_now();
        }
        work(1);
        let stats = export.at_rest();
        assert_eq!((stats.emitted, stats.dropped_by(DropReason::Shutdown) >= 2), (8, true), "{call:?}: {stats:?}");
    }
}

/// Row 17 of the faults: what was open for long, or refused as it opened, is no different.
#[test]
fn an_export_that_panics_at_what_it_only_hears_of_is_started_again() {
    use crate::private::{self as p, Missing};
    static PLACE: p::Place = p::Place::new("m", "f", 1, 1);
    static TRACE: p::TraceMeta = p::TraceMeta::new("bot", "f").at(PLACE);
    static TENANT: p::TenantMeta = p::TenantMeta::new(PLACE);
    for call in [Call::SpanOpen, Call::TraceDiscarded] {
        let export = Export::new(call, 1, None);
        let trace = start_trace("long").open();
        let span = trace.context().run(|| start_span("tool", "long").open());
        let deadline = Instant::now() + Duration::from_secs(30);
        while export.plan.left.load(Ordering::Relaxed) > 0 {
            assert!(Instant::now() < deadline, "{:?}", export.plan);
            let outer = p::enter(&TRACE);
            p::open_trace(&TRACE);
            let inner = p::enter(&TENANT);
            assert!(p::bind_tenant(&TENANT, Ok(None), Missing::Reject).is_some());
            drop(inner);
            drop(outer);
            export.handle.flush(Duration::from_millis(50));
        }
        span.end();
        trace.end();
        assert!(export.flush());
        let stats = export.at_rest();
        assert_eq!((stats.emitted, stats.acknowledged), (2, 2), "{call:?}: {stats:?}");
    }
}
