//! Faults of a backend, and what becomes of the spans: against a server on loopback, with the accounting at the end.

#[allow(dead_code)]
#[path = "../../../../../tests/support/otlp.rs"]
pub(in crate::export) mod otlp;
mod sampling;
mod tenants;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;

use self::otlp::{accept, answer, spans, spans_of};
use super::Otlp;
use crate::collect::ledger::DropReason;
use crate::collect::policy::Policy;
use crate::collect::sampler::Sampler;
use crate::collect::{Budget, Collector, Sink, install_thread, uninstall_thread};
use crate::config::{Connection, OtlpTarget};
use crate::export::server::{self, Response, Server};
use crate::export::{Exporter, Handle};
use crate::stats::Stats;
use crate::trace::{start_span, start_trace};

/// An export of its own for what this thread opens.
struct Export {
    handle: Handle,
}

impl Export {
    fn to(url: &str) -> Self {
        Self::with(url, |_| ())
    }

    fn sampled(url: &str, sampler: Sampler) -> Self {
        Self::of(url, |_| (), Budget::new(1 << 20, 128 << 20), Some(sampler), Vec::new())
    }

    fn with(url: &str, change: impl FnOnce(&mut OtlpTarget)) -> Self {
        Self::of(url, change, Budget::new(1 << 20, 128 << 20), None, Vec::new())
    }

    fn of(
        url: &str,
        change: impl FnOnce(&mut OtlpTarget),
        budget: Budget,
        sampler: Option<Sampler>,
        beside: Vec<(&'static str, Box<dyn Exporter>)>,
    ) -> Self {
        let mut target = Self::target(url);
        change(&mut target);
        let collector = Collector::new(budget, Policy { content: true, sampler, ..Policy::default() });
        install_thread(Sink::Collector(collector));
        let otlp: Box<dyn Exporter> = Box::new(Otlp::new(&target, None).unwrap());
        let exporters = std::iter::once(("otlp", otlp)).chain(beside).collect();
        Self { handle: Handle::spawn_all(collector, exporters) }
    }

    fn target(url: &str) -> OtlpTarget {
        OtlpTarget {
            url: format!("{url}/v1/traces"),
            headers: vec![("authorization".to_owned(), "Bearer trc_secret".to_owned())],
            resource: vec![("service.name".to_owned(), "tests".to_owned())],
            gzip: true,
            tenant_header: None,
            routing: None,
            connection: Connection {
                request_timeout: Duration::from_secs(2),
                proxy: None,
                root_certificates: Vec::new(),
            },
        }
    }

    fn exporter(url: &str) -> Box<dyn Exporter> {
        Box::new(Otlp::new(&Self::target(url), None).unwrap())
    }

    fn flush(&self) -> Stats {
        let report = self.handle.flush(Duration::from_secs(30));
        assert!(report.complete, "{report:?}");
        self.at_rest()
    }

    /// The accounting, with the identity that must hold once nobody emits.
    fn at_rest(&self) -> Stats {
        let stats = Stats::of(self.handle.collector);
        assert_eq!(
            stats.emitted + stats.recovered,
            stats.acknowledged + stats.dropped + stats.queued + stats.spooled,
            "{stats:?}"
        );
        for exporter in &stats.exporters {
            assert_eq!(stats.emitted, exporter.acknowledged + exporter.dropped + exporter.queued, "{exporter:?}");
        }
        stats
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        uninstall_thread(None);
    }
}

fn trace(spans: usize) {
    start_trace("bot").tenant("acme").run(|| {
        for _ in 0..spans {
            start_span("tool", "step").run(|| ());
        }
    });
}

/// A server that answers the first requests from `script`, and then as one that is well.
fn scripted(script: Vec<Response>) -> Server {
    let next = AtomicUsize::new(0);
    Server::start(move |request| {
        script.get(next.fetch_add(1, Ordering::Relaxed)).cloned().unwrap_or_else(|| accept(request))
    })
}

#[test]
fn many_traces_leave_in_one_request_compressed_and_under_the_key() {
    let server = Server::start(accept);
    let export = Export::to(&server.url());
    (0..50).for_each(|_| trace(20));
    let stats = export.flush();
    assert_eq!((stats.emitted, stats.acknowledged, stats.dropped), (1_050, 1_050, 0), "{stats:?}");
    assert_eq!((stats.buffered_records, stats.buffered_bytes), (0, 0), "{stats:?}");
    let requests = server.requests();
    assert_eq!(requests.len() as u64, stats.requests);
    assert!(requests.len() <= 3, "{}", requests.len());
    assert_eq!(spans(&server).len(), 1_050);
    for request in requests {
        assert_eq!(request.path, "/v1/traces");
        assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
        assert_eq!(request.header("content-encoding"), Some("gzip"));
        assert_eq!(request.header("authorization"), Some("Bearer trc_secret"));
    }
}

#[test]
fn a_request_has_a_bounded_size() {
    let server = Server::start(accept);
    let export = Export::with(&server.url(), |target| target.gzip = false);
    (0..200).for_each(|_| trace(100));
    start_trace("large").run(|| {
        for _ in 0..100 {
            start_span("tool", "large").run(|| {
                crate::current_span().record_input(&"x ".repeat(40_000));
            });
        }
    });
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped), (20_301, 0), "{stats:?}");
    for request in server.requests() {
        assert!(spans_of(&request).len() <= 8_192 && request.raw.len() < 3 << 20, "{} bytes", request.raw.len());
    }
}

#[test]
fn passing_failures_lose_nothing() {
    for status in [429, 502, 503, 504] {
        let server = scripted(vec![answer(status, Vec::new()), answer(status, Vec::new())]);
        let export = Export::to(&server.url());
        trace(3);
        let stats = export.flush();
        assert_eq!((stats.emitted, stats.acknowledged, stats.dropped), (4, 4, 0), "{status}");
        assert_eq!(server.requests().len(), 3);
    }
}

#[test]
fn retry_after_is_waited_for_in_seconds_and_as_a_date() {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 2;
    let date = http_date(at);
    for value in ["1".to_owned(), date] {
        let mut later = answer(429, Vec::new());
        later.headers.push(("retry-after", value.clone()));
        let server = scripted(vec![later]);
        let export = Export::to(&server.url());
        trace(1);
        export.flush();
        let requests = server.requests();
        assert!(requests[1].at - requests[0].at >= Duration::from_millis(400), "{value}: {requests:?}");
    }
}

/// A date of this day, which the tests need not compute as a calendar.
fn http_date(unix: u64) -> String {
    let days = unix / 86_400;
    // Days since 1970-01-01, in years of the Gregorian calendar.
    let (mut year, mut day) = (1970, days);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (unix / 3_600 % 24, unix / 60 % 60, unix % 60);
    format!("Sat, {:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT", day + 1, names[month])
}

#[test]
fn a_partial_success_is_counted_exactly_and_never_sent_again() {
    let server = Server::start(|request| {
        let rejected_spans = i64::from(spans_of(request).len() > 1) * 3;
        let partial = ExportTracePartialSuccess { rejected_spans, error_message: "too old".to_owned() };
        answer(200, ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec())
    });
    let export = Export::to(&server.url());
    trace(9);
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::Rejected)), (7, 3), "{stats:?}");
    assert_eq!(server.requests().len() as u64, stats.requests);
    assert_eq!(spans(&server).len(), 10, "each was sent once");
    assert!(stats.last_error.unwrap().1.contains("too old"));
}

#[test]
fn a_500_or_a_refusal_is_counted_at_once() {
    for (status, reason) in [
        (500, DropReason::ServerError),
        (400, DropReason::Rejected),
        (403, DropReason::Rejected),
        (404, DropReason::Rejected),
    ] {
        let server = Server::start(move |_| answer(status, Vec::new()));
        let export = Export::to(&server.url());
        trace(2);
        let stats = export.flush();
        assert_eq!((stats.emitted, stats.dropped_by(reason)), (3, 3), "{stats:?}");
        assert_eq!(server.requests().len() as u64, stats.requests);
        assert!(stats.last_error.unwrap().1.contains(&status.to_string()));
    }
}

#[test]
fn a_wrong_key_is_tried_a_bounded_time_and_then_counted() {
    let server = Server::start(|_| answer(401, Vec::new()));
    let export = Export::to(&server.url());
    trace(1);
    let stats = export.flush();
    assert_eq!((stats.emitted, stats.dropped_by(DropReason::Unauthorized)), (2, 2), "{stats:?}");
    assert_eq!(server.requests().len(), 5);
    let server = scripted(vec![answer(401, Vec::new()), answer(401, Vec::new())]);
    let export = Export::to(&server.url());
    trace(1);
    assert_eq!(export.flush().acknowledged, 2, "the backend's check of it may be down");
}

#[test]
fn too_much_at_once_is_split_and_only_what_cannot_be_is_lost() {
    for gzip in [true, false] {
        let server = Server::start(|request| {
            let huge = spans_of(request).iter().any(|span| span.encoded_len() > 8_000);
            if huge || spans_of(request).len() > 50 { answer(413, Vec::new()) } else { accept(request) }
        });
        let export = Export::with(&server.url(), |target| target.gzip = gzip);
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
}

#[test]
fn a_login_page_or_a_redirect_is_never_counted_as_sent_and_the_key_is_not_sent_on() {
    let other = Server::start(accept);
    let mut page = answer(200, b"<html>please log in</html>".to_vec());
    page.headers[0].1 = "text/html".to_owned();
    let mut redirect = answer(307, Vec::new());
    redirect.headers.push(("location", format!("{}/v1/traces", other.url())));
    for response in [page, redirect] {
        let server = Server::start(move |_| response.clone());
        let export = Export::to(&server.url());
        trace(1);
        let stats = export.flush();
        assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::BadResponse)), (0, 2), "{stats:?}");
    }
    assert!(other.requests().is_empty());
}

#[test]
fn a_truncated_answer_and_a_stalled_one_are_tried_again() {
    let mut truncated = Response::json(200, "{\"partialSuccess\": {}}");
    truncated.truncated = true;
    let mut stalled = answer(200, Vec::new());
    stalled.delay = Duration::from_secs(3);
    let server = scripted(vec![truncated, stalled]);
    let export = Export::to(&server.url());
    trace(1);
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped), (2, 0), "{stats:?}");
}

#[test]
fn a_dead_backend_holds_up_neither_flush_nor_shutdown_and_what_is_left_is_counted() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", dead.local_addr().unwrap());
    drop(dead);
    let export = Export::to(&url);
    trace(5);
    let report = export.handle.flush(Duration::from_millis(300));
    assert!(!report.complete && report.queued == 6, "{report:?}");
    assert_eq!(export.at_rest().queued, 6);
    export.handle.shutdown(Duration::from_millis(300));
    let stats = export.at_rest();
    assert_eq!((stats.queued, stats.dropped_by(DropReason::Shutdown)), (0, 6), "{stats:?}");
    assert_eq!((stats.buffered_records, stats.buffered_bytes), (0, 0), "{stats:?}");
}

#[test]
fn a_span_that_is_open_is_not_sent_before_it_ends() {
    let server = Server::start(accept);
    let export = Export::to(&server.url());
    let trace = start_trace("long").open();
    let span = trace.context().run(|| start_span("llm", "slow").open());
    std::thread::sleep(Duration::from_millis(2_300));
    export.flush();
    assert!(server.requests().is_empty());
    span.end();
    trace.end();
    export.flush();
    assert_eq!(spans(&server).len(), 2);
}

#[test]
fn a_backend_that_comes_up_later_gets_everything() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let export = Export::to(&format!("http://{address}"));
    (0..20).for_each(|_| trace(9));
    assert!(!export.handle.flush(Duration::from_millis(300)).complete, "nobody is there");
    assert_eq!(export.at_rest().queued, 200);
    let server = Server::start_at(address, accept);
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped), (200, 0), "{stats:?}");
    assert_eq!(spans(&server).len(), 200);
}

#[test]
fn a_connection_that_is_reset_while_it_is_kept_loses_nothing() {
    // A response that breaks off closes the connection that the next request was to use.
    let mut cut = Response::json(200, "{\"partialSuccess\": {}}");
    cut.truncated = true;
    let server = scripted(vec![accept_empty(), cut]);
    let export = Export::to(&server.url());
    for _ in 0..3 {
        trace(1);
        export.flush();
    }
    let stats = export.at_rest();
    assert_eq!((stats.acknowledged, stats.dropped), (6, 0), "{stats:?}");
}

fn accept_empty() -> Response {
    answer(200, Vec::new())
}

#[test]
fn full_buffers_refuse_and_count_and_take_again_once_there_is_room() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let export = Export::of(&format!("http://{address}"), |_| (), Budget::new(10, 128 << 20), None, Vec::new());
    trace(20);
    let stats = export.at_rest();
    assert_eq!((stats.emitted, stats.queued, stats.dropped_by(DropReason::QueueFull)), (21, 10, 11), "{stats:?}");
    let _server = Server::start_at(address, accept);
    assert_eq!(export.flush().acknowledged, 10);
    trace(1);
    assert_eq!(export.flush().acknowledged, 12);
}

#[test]
fn a_mask_that_panics_withholds_the_value_and_nothing_else() {
    let server = Server::start(accept);
    let collector = Collector::new(Budget::new(1_000, 1 << 20), Policy { content: true, ..Policy::default() });
    install_thread(Sink::Collector(collector));
    let mask: crate::config::Mask = Arc::new(|_, _| panic!("the user's"));
    let otlp = Otlp::new(&Export::target(&server.url()), Some(mask)).unwrap();
    let export = Export { handle: Handle::spawn(collector, Box::new(otlp)) };
    start_trace("bot").run(|| {
        crate::current_span().record_input("secret").add_metadata("k", &"secret").fail("secret");
    });
    assert_eq!(export.flush().acknowledged, 1);
    let span = &spans(&server)[0];
    assert!(!format!("{span:?}").contains("secret"), "{span:?}");
    assert_eq!(otlp::attributes(&span.attributes)["input.value"], "[withheld: the mask failed]");
}
