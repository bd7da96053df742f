//! Faults of a backend, and what becomes of the spans: against a server on loopback, with the accounting at the end.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::super::server::{Request, Response, Server, accept};
use super::Rest;
use crate::collect::ledger::DropReason;
use crate::collect::policy::Policy;
use crate::collect::{Budget, Collector, Sink, install_thread, uninstall_thread};
use crate::config::{Backoff, Connection, Endpoint, SpoolSettings};
use crate::export::Handle;
use crate::stats::Stats;
use crate::trace::{start_span, start_trace};

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
        let endpoint = Endpoint {
            base_url: url.to_owned(),
            api_key: "trc_secret".to_owned(),
            workspace_id: None,
            connection: Connection {
                request_timeout: Duration::from_secs(2),
                proxy: None,
                root_certificates: Vec::new(),
                backoff: Backoff::default(),
            },
        };
        let collector = Collector::new(budget, Policy { content: true, ..Policy::default() });
        install_thread(Sink::Collector(collector));
        let rest = Rest::new(&endpoint, None).unwrap().with_spool(&endpoint, spool).unwrap();
        Self { handle: Handle::spawn(collector, Box::new(rest)) }
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
fn passing_failures_lose_nothing() {
    for status in [408, 429, 502, 503, 504] {
        let server = scripted(vec![Response::status(status), Response::status(status)]);
        let export = Export::to(&server.url());
        trace(3);
        let stats = export.flush();
        assert_eq!((stats.emitted, stats.acknowledged, stats.dropped), (4, 4, 0), "{status}");
    }
}

#[test]
fn a_flush_may_be_given_all_the_time_there_is() {
    let server = Server::start(accept);
    let export = Export::to(&server.url());
    trace(1);
    assert!(export.handle.flush(Duration::MAX).complete);
}

#[test]
fn retry_after_is_waited_for() {
    let mut answer = Response::status(429);
    answer.headers.push(("retry-after", "1".to_owned()));
    let server = scripted(vec![answer]);
    let export = Export::to(&server.url());
    trace(1);
    export.flush();
    let requests = server.requests();
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(900), "{requests:?}");
}

#[test]
fn a_500_is_tried_a_bounded_time_and_then_counted() {
    let server = Server::start(|_| Response::status(500));
    let export = Export::to(&server.url());
    trace(2);
    let stats = export.flush();
    assert_eq!((stats.emitted, stats.dropped_by(DropReason::ServerError)), (3, 3), "{stats:?}");
    assert_eq!(server.requests().len(), 5);
    assert!(stats.last_error.unwrap().1.contains("500"));
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
fn a_wrong_key_is_tried_a_bounded_time_and_then_counted() {
    let server = Server::start(|_| Response::status(401));
    let export = Export::to(&server.url());
    trace(1);
    let stats = export.flush();
    assert_eq!((stats.emitted, stats.dropped_by(DropReason::Unauthorized)), (2, 2), "{stats:?}");
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
fn a_trace_that_the_backend_forgot_is_created_again() {
    let forgot = AtomicUsize::new(0);
    let server = Server::start(move |request| match of(request) {
        "spans" if forgot.fetch_add(1, Ordering::Relaxed) == 0 => Response::status(404),
        _ => accept(request),
    });
    let export = Export::to(&server.url());
    trace(1);
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped), (2, 0), "{stats:?}");
    let calls: Vec<_> = server.requests().iter().map(|request| of(request).to_owned()).collect();
    assert_eq!(calls, ["traces", "spans", "traces", "spans", "complete"]);
}

#[test]
fn too_much_at_once_is_split_and_only_what_cannot_be_is_lost() {
    let server = Server::start(|request| {
        let big = request.body.to_string().len() > 8_000;
        if big { Response::status(413) } else { accept(request) }
    });
    let export = Export::to(&server.url());
    start_trace("bot").run(|| {
        (0..100).for_each(|_| start_span("tool", "step").run(|| ()));
        start_span("tool", "huge").run(|| {
            crate::current_span().record_input(&"x ".repeat(10_000));
        });
        (0..100).for_each(|_| start_span("tool", "step").run(|| ()));
    });
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::TooLarge)), (201, 1), "{stats:?}");
}

#[test]
fn a_login_page_or_a_redirect_is_never_counted_as_sent_and_the_key_is_not_sent_on() {
    let other = Server::start(accept);
    let mut page = Response::json(200, "<html>please log in</html>");
    page.headers[0].1 = "text/html".to_owned();
    let mut redirect = Response::status(307);
    redirect.headers.push(("location", format!("{}/agents/traces", other.url())));
    for answer in [page, redirect] {
        let server = Server::start(move |_| answer.clone());
        let export = Export::to(&server.url());
        trace(1);
        let stats = export.flush();
        assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::BadResponse)), (0, 2), "{stats:?}");
    }
    assert!(other.requests().is_empty());
}

#[test]
fn a_truncated_answer_and_a_stalled_one_are_tried_again() {
    let mut truncated = Response::json(200, "{\"id\": \"0123456789\"}");
    truncated.truncated = true;
    let mut stalled = Response::status(200);
    stalled.delay = Duration::from_secs(3);
    let server = scripted(vec![truncated, stalled]);
    let export = Export::to(&server.url());
    trace(1);
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped), (2, 0), "{stats:?}");
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
fn full_buffers_refuse_and_count_and_take_again_once_there_is_room() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", dead.local_addr().unwrap());
    drop(dead);
    let export = Export::with_budget(&url, Budget::new(10, 128 << 20));
    trace(20);
    let stats = export.at_rest();
    assert_eq!((stats.emitted, stats.queued, stats.dropped_by(DropReason::QueueFull)), (21, 10, 11), "{stats:?}");
    assert_eq!(stats.buffered_records, 10);
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
fn a_dead_backend_holds_up_neither_flush_nor_shutdown_and_what_is_left_is_counted() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", dead.local_addr().unwrap());
    drop(dead);
    let export = Export::to(&url);
    trace(5);
    let before = Instant::now();
    let report = export.handle.flush(Duration::from_millis(300));
    assert!(!report.complete && report.queued == 6, "{report:?}");
    assert_eq!(export.at_rest().queued, 6);
    export.handle.shutdown(Duration::from_millis(300));
    assert!(before.elapsed() < Duration::from_secs(5));
    let stats = export.at_rest();
    assert_eq!((stats.queued, stats.dropped_by(DropReason::Shutdown)), (0, 6), "{stats:?}");
    trace(1);
    assert_eq!(export.at_rest().dropped_by(DropReason::Shutdown), 8, "what ends after the shutdown is counted");
    assert!(export.handle.shutdown(Duration::from_secs(1)).complete, "a second one does nothing");
}

#[test]
fn spans_open_when_the_export_shuts_down_are_counted_when_they_end() {
    let server = Server::start(accept);
    let export = Export::to(&server.url());
    let trace = start_trace("bot").open();
    let span = trace.context().run(|| start_span("tool", "slow").open());
    export.flush();
    export.handle.shutdown(Duration::from_secs(5));
    span.end();
    trace.end();
    let stats = export.at_rest();
    assert_eq!((stats.emitted, stats.dropped_by(DropReason::Shutdown)), (2, 2), "{stats:?}");
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
