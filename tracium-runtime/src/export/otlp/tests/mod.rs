//! OTLP against a server on loopback, with the accounting at the end. What becomes of spans when the backend fails is tested
//! for all exporters together, in `tests/faults` of the root package.

#[allow(dead_code)]
#[path = "../../../../../tests/support/otlp.rs"]
pub(in crate::export) mod otlp;
mod sampling;
mod spooled;
mod tenants;

use std::time::Duration;

use prost::Message;

use self::otlp::{accept, answer, spans, spans_of};
use super::Otlp;
use crate::collect::ledger::DropReason;
use crate::collect::policy::Policy;
use crate::collect::sampler::Sampler;
use crate::collect::{Budget, Collector, Sink, install_thread, uninstall_thread};
use crate::config::{Backoff, Connection, OtlpTarget, SpoolSettings};
use crate::export::server::{self, Server};
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

    /// With a spool.
    fn spooling(url: &str, budget: Budget, spool: &SpoolSettings, change: impl FnOnce(&mut OtlpTarget)) -> Self {
        let mut target = Self::target(url);
        change(&mut target);
        let collector = Collector::new(budget, Policy { content: true, ..Policy::default() });
        install_thread(Sink::Collector(collector));
        let otlp = Otlp::new(&target, None).unwrap().with_spool(&target, Some(spool)).unwrap();
        Self { handle: Handle::spawn_all(collector, vec![("otlp", Box::new(otlp))]) }
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
                backoff: Backoff::default(),
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
            assert_eq!(
                stats.emitted + exporter.recovered,
                exporter.acknowledged + exporter.dropped + exporter.queued + exporter.spooled,
                "{exporter:?}"
            );
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
