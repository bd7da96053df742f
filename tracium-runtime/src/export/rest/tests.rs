//! REST against a server on loopback, with the accounting at the end. What becomes of spans when the backend fails is tested
//! for all exporters together, in `tests/faults` of the root package.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::super::server::{Request, Response, Server, accept};
use super::Rest;
use super::lane::Lane;
use crate::collect::ledger::DropReason;
use crate::collect::policy::Policy;
use crate::collect::shares::{Amount, HolderId};
use crate::collect::{Budget, Collector, Sink, install_thread, uninstall_thread};
use crate::config::{Backoff, Connection, Endpoint, SpoolSettings};
use crate::export::{Account, Exporter, Handle, Recipe, SpanItem, SpanRecord, TraceItem, Tracked};
use crate::stats::Stats;
use crate::trace::{TraceCore, start_span, start_trace};

/// An export of its own for what this thread opens.
pub(super) struct Export {
    pub(super) handle: Handle,
}

impl Export {
    pub(super) fn to(url: &str) -> Self {
        Self::with_budget(url, Budget::new(1 << 20, 128 << 20))
    }

    pub(super) fn with_budget(url: &str, budget: Budget) -> Self {
        Self::with_spool(url, budget, None)
    }

    pub(super) fn with_spool(url: &str, budget: Budget, spool: Option<&SpoolSettings>) -> Self {
        let collector = Self::collector(budget);
        let endpoint = Self::endpoint(url);
        let rest = Rest::new(&endpoint, None).unwrap().with_spool(&endpoint, spool).unwrap();
        Self { handle: Handle::spawn(collector, Box::new(rest)) }
    }

    pub(super) fn collector(budget: Budget) -> &'static Collector {
        let collector = Collector::new(budget, Policy { content: true, ..Policy::default() });
        install_thread(Sink::Collector(collector));
        collector
    }

    pub(super) fn endpoint(url: &str) -> Endpoint {
        Endpoint {
            base_url: url.to_owned(),
            api_key: "trc_secret".to_owned(),
            workspace_id: None,
            connection: Connection {
                request_timeout: Duration::from_secs(2),
                proxy: None,
                root_certificates: Vec::new(),
                backoff: Backoff::default(),
            },
        }
    }

    pub(super) fn stats(&self) -> Stats {
        Stats::of(self.handle.collector)
    }

    pub(super) fn flush(&self) -> Stats {
        let report = self.handle.flush(Duration::from_secs(30));
        assert!(report.complete, "{report:?}");
        self.at_rest()
    }

    /// The accounting, with the identity that must hold once nobody emits.
    pub(super) fn at_rest(&self) -> Stats {
        let stats = self.stats();
        assert_eq!(
            stats.emitted + stats.recovered,
            stats.acknowledged + stats.dropped + stats.queued + stats.spooled,
            "{stats:?}"
        );
        stats
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        uninstall_thread(None);
    }
}

pub(super) fn trace(spans: usize) {
    start_trace("bot").tenant("acme").run(|| {
        for _ in 0..spans {
            start_span("tool", "step").run(|| ());
        }
    });
}

/// A server that answers the first requests from `script`, and then as one that is well.
pub(super) fn scripted(script: Vec<Response>) -> Server {
    let next = AtomicUsize::new(0);
    Server::start(move |request| {
        script.get(next.fetch_add(1, Ordering::Relaxed)).cloned().unwrap_or_else(|| accept(request))
    })
}

pub(super) fn of(request: &Request) -> &str {
    request.path.rsplit('/').next().unwrap()
}

#[test]
fn a_flush_may_be_given_all_the_time_there_is() {
    let server = Server::start(accept);
    let export = Export::to(&server.url());
    trace(1);
    assert!(export.handle.flush(Duration::MAX).complete);
}

#[test]
fn a_refusal_is_counted_at_once_and_costs_only_its_own_trace() {
    let server =
        Server::start(
            |request| if request.body["agent_name"] == "bad" { Response::status(400) } else { accept(request) },
        );
    let export = Export::to(&server.url());
    start_trace("bad").run(|| start_span("tool", "lost").run(|| ()));
    trace(1);
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::Rejected)), (2, 2), "{stats:?}");
}

#[test]
fn an_extra_never_costs_a_span() {
    let server = Server::start(|request| {
        let extra = request.body["spans"].as_array().into_iter().flatten().any(|span| span.get("metadata").is_some());
        if extra { Response::status(422) } else { accept(request) }
    });
    let export = Export::to(&server.url());
    for _ in 0..2 {
        start_trace("bot").run(|| start_span("tool", "step").metadata("k", &1).tag("t").run(|| ()));
        let stats = export.flush();
        assert_eq!(stats.dropped, 0, "{stats:?}");
    }
    let calls: Vec<_> = server.requests().iter().map(|request| of(request).to_owned()).collect();
    assert_eq!(
        calls,
        ["traces", "spans", "spans", "complete", "traces", "spans", "complete"],
        "refused once, then left out"
    );
}

#[test]
fn paths_use_the_id_that_the_create_answered() {
    let server = Server::start(|request| match of(request) {
        "traces" => Response::json(201, "{\"id\": \"other-id\"}"),
        _ => Response::status(200),
    });
    let export = Export::to(&server.url());
    trace(1);
    export.flush();
    assert_eq!(server.requests()[1].path, "/agents/traces/other-id/spans");
}

#[test]
fn values_that_do_not_fit_into_memory_are_replaced_by_a_note() {
    let server = Server::start(accept);
    let export = Export::with_budget(&server.url(), Budget::new(1_000, 10_000));
    start_trace("bot").run(|| {
        start_span("tool", "step").run(|| {
            crate::current_span().record_input(&"x ".repeat(10_000));
        });
    });
    let stats = export.flush();
    assert_eq!(
        (stats.acknowledged, stats.dropped, stats.buffered_bytes, stats.buffered_records),
        (2, 0, 0, 0),
        "{stats:?}"
    );
    assert!(server.spans("bot")[0]["input"].as_str().unwrap().contains("buffers full"));
}

#[test]
fn memory_of_what_is_recorded_too_late_or_on_refused_spans_is_given_back() {
    let server = Server::start(accept);
    let export = Export::with_budget(&server.url(), Budget::new(2, 128 << 20));
    let trace = start_trace("bot").open();
    let late = trace.context().run(|| start_span("tool", "kept").open());
    let refused = trace.context().run(|| start_span("tool", "refused").open());
    let handle = (*late).clone();
    refused.record_input(&"x ".repeat(1_000));
    refused.end();
    late.end();
    export.flush();
    handle.record_output(&"x ".repeat(1_000));
    trace.end();
    export.flush();
    assert!(export.stats().buffered_bytes > 0, "the handle still holds them");
    drop(handle);
    export.flush();
    export.flush();
    let stats = export.at_rest();
    assert_eq!((stats.emitted, stats.dropped_by(DropReason::QueueFull)), (3, 1), "{stats:?}");
    assert_eq!((stats.buffered_records, stats.buffered_bytes), (0, 0), "{stats:?}");
}

#[test]
fn spans_that_open_and_end_on_different_threads_arrive_once() {
    let server = Server::start(accept);
    let export = Export::to(&server.url());
    let trace = start_trace("bot").open();
    let spans: Vec<_> = (0..100).map(|_| trace.context().run(|| start_span("tool", "moved").open())).collect();
    let threads: Vec<_> = spans.into_iter().map(|span| std::thread::spawn(move || span.end())).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    trace.end();
    let stats = export.flush();
    assert_eq!((stats.emitted, stats.acknowledged), (101, 101), "{stats:?}");
    assert_eq!(server.spans("bot").len(), 100);
    assert_eq!((stats.buffered_records, stats.buffered_bytes), (0, 0), "{stats:?}");
}

#[test]
fn what_is_emitted_is_never_less_than_what_became_of_it() {
    let server = Server::start(accept);
    let export = Export::to(&server.url());
    let sink = Sink::Collector(export.handle.collector);
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let sink = sink.clone();
            std::thread::spawn(move || {
                install_thread(sink);
                (0..200).for_each(|_| trace(5));
            })
        })
        .collect();
    while threads.iter().any(|thread| !thread.is_finished()) {
        let stats = export.stats();
        assert!(stats.emitted >= stats.acknowledged + stats.dropped, "{stats:?}");
        export.handle.flush(Duration::from_millis(1));
    }
    let stats = export.flush();
    assert_eq!((stats.emitted, stats.acknowledged), (3_600, 3_600), "{stats:?}");
}

/// Panics when it is told to.
pub(super) struct FailsOnce(pub(super) Rest, pub(super) Arc<AtomicBool>);

impl Exporter for FailsOnce {
    fn trace_started(&mut self, trace: &Arc<Tracked>) {
        self.0.trace_started(trace);
    }

    fn span_open(&mut self, trace: &Arc<Tracked>, span: &SpanRecord) {
        self.0.span_open(trace, span);
    }

    fn spans_ended(&mut self, trace: &Arc<Tracked>, spans: &mut Vec<SpanItem>, account: &mut Account) {
        self.0.spans_ended(trace, spans, account);
    }

    fn trace_ended(&mut self, trace: &Arc<Tracked>, end: TraceItem, account: &mut Account) {
        self.0.trace_ended(trace, end, account);
    }

    fn trace_discarded(&mut self, trace: &Arc<Tracked>, account: &mut Account) {
        self.0.trace_discarded(trace, account);
    }

    fn trace_gone(&mut self, trace: &Arc<Tracked>, account: &mut Account) {
        self.0.trace_gone(trace, account);
    }

    fn dispatch(&mut self, now: Instant, all: bool, account: &mut Account) {
        assert!(!self.1.swap(false, Ordering::Relaxed), "planned");
        self.0.dispatch(now, all, account);
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>, account: &mut Account) -> Poll<()> {
        self.0.poll_progress(cx, account)
    }

    fn next_due(&self) -> Option<Instant> {
        self.0.next_due()
    }

    fn finish(&mut self, account: &mut Account) {
        self.0.finish(account);
    }

    fn drop_all(&mut self, reason: DropReason, account: &mut Account) {
        self.0.drop_all(reason, account);
    }

    fn save(&mut self, account: &mut Account) {
        self.0.save(account);
    }

    fn is_writing(&self) -> bool {
        self.0.is_writing()
    }
}

/// Row 17 of the faults: the create of a trace that the backend knows is answered with a conflict, and is none.
#[test]
fn a_trace_that_the_backend_knows_goes_on_after_the_export_failed() {
    let known = Mutex::new(Vec::new());
    let server = Server::start(move |request| {
        let mut known = known.lock().unwrap();
        if of(request) != "traces" {
            return accept(request);
        }
        let id = request.body["trace_id"].clone();
        if known.contains(&id) {
            return Response::status(409);
        }
        known.push(id);
        accept(request)
    });
    let fails = Arc::new(AtomicBool::new(false));
    let make = {
        let (url, fails) = (server.url(), Arc::clone(&fails));
        move || -> Box<dyn Exporter> {
            Box::new(FailsOnce(Rest::new(&Export::endpoint(&url), None).unwrap(), Arc::clone(&fails)))
        }
    };
    let collector = Export::collector(Budget::new(1 << 20, 128 << 20));
    let export = Export { handle: Handle::spawn_by(collector, Recipe::by(make, 1)) };
    let trace = start_trace("bot").open();
    trace.context().run(|| start_span("tool", "before").run(|| ()));
    export.flush();
    let over = start_trace("over").open();
    over.end();
    export.flush();
    fails.store(true, Ordering::Relaxed);
    export.flush();
    assert!(!fails.load(Ordering::Relaxed), "it failed");
    trace.context().run(|| start_span("tool", "after").run(|| ()));
    trace.end();
    let stats = export.flush();
    assert_eq!((stats.emitted, stats.acknowledged, stats.dropped), (4, 4, 0), "{stats:?}");
    let calls: Vec<_> = server.trace("bot").iter().map(|request| of(request).to_owned()).collect();
    assert_eq!(calls, ["traces", "spans", "traces", "spans", "complete"]);
    // Nothing is left of either.
    export.flush();
    export.flush();
    let stats = export.at_rest();
    assert_eq!((stats.buffered_records, stats.buffered_bytes), (0, 0), "{stats:?}");
}

/// Of a trace whose end went with an exporter that failed, nothing comes any more: its lane is not kept for it.
#[test]
fn a_trace_that_ended_before_the_export_failed_leaves_no_lane() {
    static TRACE: crate::private::TraceMeta = crate::private::TraceMeta::new("bot", "f");
    let collector = Collector::new(Budget::new(1_000, 1 << 20), Policy::default());
    let mut account = Account::new(collector, Arc::default());
    let mut rest = Rest::new(&Export::endpoint("http://127.0.0.1:1"), None).unwrap();
    let (core, _) = TraceCore::open(&TRACE, None, None, Sink::Collector(collector));
    let trace = Tracked::new(core);
    rest.trace_started(&trace);
    rest.trace_gone(&trace, &mut account);
    assert!(rest.lanes.is_empty() && rest.due.is_empty());
}

/// The end of a trace whose create got no answer, or lies in the spool, stays: nobody else would end it there.
#[test]
fn a_trace_that_the_backend_may_have_heard_of_keeps_its_end_where_others_give_way() {
    static TRACE: crate::private::TraceMeta = crate::private::TraceMeta::new("bot", "f");
    let collector = Collector::new(Budget::new(8_000, 1 << 30), Policy::default());
    let mut account = Account::new(collector, Arc::default());
    let end = |resent: bool, account: &mut Account| {
        let (core, _) = TraceCore::open(&TRACE, None, None, Sink::Collector(collector));
        let mut lane = Lane::new(Tracked::new(core));
        let root = SpanRecord::root(&lane.trace, None);
        let span = SpanItem { record: root, details: None, sweep: 1, holder: HolderId::NOBODY };
        let end = TraceItem { root, details: None, sweep: 1, holder: HolderId::NOBODY, of_trace: 0 };
        account.accept(1, [span.receipt(), end.receipt()]);
        lane.append(&mut vec![span]);
        (lane.end, lane.resent) = (Some(end), resent);
        lane
    };
    let mut lanes = [false, true].map(|resent| end(resent, &mut account));
    let taken = collector.budget.take_records(8_000);
    collector.shares.hold(&[(HolderId::NOBODY, Amount::of(taken, 0))], false);
    let mut excess = collector.shares.judge(&HashMap::new(), &collector.budget, Instant::now());
    assert!(!excess.is_spent());
    assert!(lanes.iter_mut().all(|lane| lane.evict(&mut excess, &mut account)));
    let left = lanes.map(|lane| (lane.spans.len(), lane.end.is_some(), lane.gone));
    assert_eq!(left, [(0, false, Some(DropReason::QueueFull)), (0, true, None)]);
}
