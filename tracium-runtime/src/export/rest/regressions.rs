//! Bugs that were, each with the scenario that showed it.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::super::server::{Response, Server, accept};
use super::tests::{Export, of, scripted, trace};
use crate::collect::ledger::DropReason;
use crate::collect::{Budget, Sink, install_thread};
use crate::private::{self as p, Missing};
use crate::{current_span, start_span, start_trace};

/// A create that succeeded in between forgave every 404, and the two went on for ever.
#[test]
fn a_backend_that_forgets_a_trace_again_and_again_is_asked_a_bounded_time() {
    let server = Server::start(|request| if of(request) == "spans" { Response::status(404) } else { accept(request) });
    let export = Export::to(&server.url());
    trace(1);
    let stats = export.flush();
    assert_eq!(stats.dropped_by(DropReason::UnknownTrace), 1, "{stats:?}");
    assert!(server.requests().len() < 20, "{}", server.requests().len());
}

/// Five times 503 counted against the one 404 that a deploy may cost.
#[test]
fn failures_that_are_borne_without_end_do_not_count_against_those_that_are_not() {
    let script = [vec![Response::status(201)], vec![Response::status(503); 5], vec![Response::status(404)]].concat();
    let server = scripted(script);
    let export = Export::to(&server.url());
    trace(3);
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped), (4, 0), "{stats:?}");
}

/// The first refusal of an extra was understood, and those of requests that were under way by then were not.
#[test]
fn an_extra_never_costs_a_span_of_any_trace_under_way() {
    let server = Server::start(|request| {
        let extra = request.body["spans"].as_array().into_iter().flatten().any(|span| span.get("metadata").is_some());
        let mut refusal = Response::status(422);
        refusal.delay = Duration::from_millis(100);
        if extra { refusal } else { accept(request) }
    });
    let export = Export::to(&server.url());
    for _ in 0..10 {
        start_trace("bot").run(|| start_span("tool", "step").metadata("k", &1).run(|| ()));
    }
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped), (20, 0), "{stats:?}");
}

/// A 409 on the first create was taken for our own, and the spans went into somebody else's trace.
#[test]
fn spans_never_go_into_a_trace_of_the_same_id_that_is_somebody_elses() {
    let server = Server::start(|request| if of(request) == "traces" { Response::status(409) } else { accept(request) });
    let export = Export::to(&server.url());
    start_trace("bot").tenant("globex").trace_id("order-1").run(|| start_span("tool", "step").run(|| ()));
    let stats = export.flush();
    assert_eq!(stats.dropped_by(DropReason::Rejected), 2, "{stats:?}");
    assert_eq!(server.requests().len(), 1);
}

/// The spans of a refused trace were lost uncounted, and a later one kept the export thread busy for ever.
#[test]
fn spans_of_a_trace_that_is_refused_are_counted_and_hold_nothing_up() {
    static PLACE: p::Place = p::Place::new("m", "f", 1, 1);
    static TRACE: p::TraceMeta = p::TraceMeta::new("bot", "f").at(PLACE);
    static TENANT: p::TenantMeta = p::TenantMeta::new(PLACE);
    let server = Server::start(accept);
    let export = Export::to(&server.url());
    let outer = p::enter(&TRACE);
    p::open_trace(&TRACE);
    let inner = p::enter(&TENANT);
    start_span("tool", "early").run(|| ());
    let late = start_span("tool", "late").open();
    assert!(p::bind_tenant(&TENANT, Ok(None), Missing::Reject).is_some());
    drop(inner);
    drop(outer);
    export.flush();
    late.end();
    let stats = export.flush();
    assert_eq!((stats.emitted, stats.dropped_by(DropReason::Rejected)), (2, 2), "{stats:?}");
    trace(1);
    assert_eq!(export.flush().acknowledged, 2);
    assert!(server.requests().iter().all(|request| request.body["agent_name"] != "f"));
}

/// What was captured on spans that were refused stayed with their trace until it ended.
#[test]
fn what_is_captured_on_refused_spans_is_given_back_at_once() {
    let server = Server::start(accept);
    let export = Export::with_budget(&server.url(), Budget::new(300, 128 << 20));
    let trace = start_trace("daemon").open();
    trace.context().run(|| {
        for _ in 0..1_000 {
            start_span("tool", "step").run(|| {
                current_span().record_input(&"x ".repeat(500));
            });
        }
    });
    let stats = export.flush();
    assert!(stats.dropped_by(DropReason::QueueFull) > 0, "{stats:?}");
    // What is left is the trace itself, open.
    assert!(stats.buffered_bytes < 1_000, "{stats:?}");
}

/// A trace that started on one thread and ended on another was lost, where the one was asked before and the other after.
#[test]
fn traces_that_start_and_end_on_different_threads_all_arrive() {
    let server = Server::start(accept);
    let export = Export::to(&server.url());
    let sink = Sink::Collector(export.handle.collector);
    let (sender, receiver) = mpsc::channel::<crate::OwnedSpan>();
    let opener = {
        let sink = sink.clone();
        thread::spawn(move || {
            install_thread(sink);
            for _ in 0..2_000 {
                // A thread of its own for some, which registers while a sweep is under way.
                let trace = start_trace("bot").open();
                trace.context().run(|| start_span("tool", "step").run(|| ()));
                sender.send(trace).unwrap();
            }
        })
    };
    let idle: Vec<_> = (0..100)
        .map(|_| {
            let sink = sink.clone();
            thread::spawn(move || {
                install_thread(sink);
                start_trace("idle").run(|| ());
            })
        })
        .collect();
    let ender = thread::spawn(move || receiver.into_iter().for_each(crate::OwnedSpan::end));
    while !ender.is_finished() {
        export.handle.flush(Duration::from_millis(1));
    }
    idle.into_iter().chain([opener, ender]).for_each(|thread| thread.join().unwrap());
    let stats = export.flush();
    assert_eq!((stats.emitted, stats.acknowledged), (4_100, 4_100), "{stats:?}");
}
