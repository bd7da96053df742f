//! Outages that memory cannot bear, and restarts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};

use super::otlp::{accept, answer, spans, spans_of};
use super::*;
use crate::config::{Destination, Routing};
use crate::export::server::Response;
use crate::export::spool::tests::{Scratch, nobody, until};

const ROOM: u64 = 1 << 30;

fn budget() -> Budget {
    Budget::new(1 << 20, 128 << 20)
}

/// An export to nobody, which has put all of `emit` into the spool and ended.
fn spooled_by_an_earlier_run(spool: &SpoolSettings, change: impl FnOnce(&mut OtlpTarget), emit: impl FnOnce()) -> u64 {
    let (_, url) = nobody();
    let export = Export::spooling(&url, budget(), spool, change);
    emit();
    export.handle.shutdown(Duration::from_millis(150));
    until("all of it on disk", || Stats::of(export.handle.collector).queued == 0);
    let stats = export.at_rest();
    assert_eq!((stats.spooled, stats.dropped), (stats.emitted + stats.recovered, 0), "{stats:?}");
    stats.emitted
}

/// Waits until nothing is left to be sent.
fn drained(export: &Export) -> Stats {
    until("all of it sent", || {
        export.handle.flush(Duration::from_secs(10));
        let stats = Stats::of(export.handle.collector);
        stats.spooled == 0 && stats.queued == 0
    });
    export.at_rest()
}

/// All spans that came, of which none came twice.
fn once(servers: &[&Server]) -> usize {
    let ids: Vec<_> = servers.iter().flat_map(|server| spans(server)).map(|span| span.span_id).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "a span came twice");
    ids.len()
}

/// Another process's: with what an earlier run left, and a server.
fn next_run(
    spool: &SpoolSettings,
    left: u64,
    change: impl FnOnce(&mut OtlpTarget),
    answer: impl Fn(&server::Request) -> Response + Send + Sync + 'static,
) -> (Server, Stats) {
    let server = Server::start(answer);
    let export = Export::spooling(&server.url(), budget(), spool, change);
    until("what was left", || Stats::of(export.handle.collector).recovered == left);
    let stats = drained(&export);
    (server, stats)
}

#[test]
fn an_outage_longer_than_memory_bears_loses_nothing() {
    let scratch = Scratch::new();
    let (address, url) = nobody();
    let export = Export::spooling(&url, Budget::new(4_096, 128 << 20), &scratch.settings(ROOM), |_| ());
    for _ in 0..200 {
        trace(99);
        // As fast as the disk is, and no faster.
        until("room in memory", || Stats::of(export.handle.collector).buffered_records < 3_000);
    }
    until("all of it on disk", || Stats::of(export.handle.collector).spooled == 20_000);
    let stats = export.at_rest();
    assert_eq!((stats.emitted, stats.acknowledged, stats.dropped), (20_000, 0, 0), "{stats:?}");
    let server = Server::start_at(address, accept);
    let stats = drained(&export);
    assert_eq!((stats.acknowledged, stats.dropped), (20_000, 0), "{stats:?}");
    assert_eq!(once(&[&server]), 20_000);
}

#[test]
fn what_a_shutdown_leaves_the_next_start_sends_once() {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    let left = spooled_by_an_earlier_run(&spool, |_| (), || (0..10).for_each(|_| trace(20)));
    assert_eq!(left, 210);
    let (server, stats) = next_run(&spool, left, |_| (), accept);
    assert_eq!((stats.recovered, stats.acknowledged, stats.dropped), (210, 210, 0), "{stats:?}");
    assert_eq!(once(&[&server]), 210);
    assert!(server.requests().iter().all(|request| request.header("authorization") == Some("Bearer trc_secret")));
    until("an empty directory", || std::fs::read_dir(&spool.directory).unwrap().count() == 0);
}

#[test]
fn two_at_once_on_one_directory_send_each_span_once() {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    let left: u64 = (0..6).map(|_| spooled_by_an_earlier_run(&spool, |_| (), || trace(49))).sum();
    let servers = [Server::start(accept), Server::start(accept)];
    let exports = [0, 1].map(|at: usize| Export::spooling(&servers[at].url(), budget(), &spool, |_| ()));
    let acknowledged = |export: &Export| Stats::of(export.handle.collector).acknowledged;
    until("all of it sent", || exports.iter().map(acknowledged).sum::<u64>() == left);
    exports.iter().for_each(|export| drop(drained(export)));
    assert_eq!(once(&[&servers[0], &servers[1]]), 300);
}

#[test]
fn live_spans_and_the_backlog_go_on_beside_each_other() {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    let left: u64 = (0..12).map(|_| spooled_by_an_earlier_run(&spool, |_| (), || trace(9))).sum();
    let slow = |request: &server::Request| {
        let mut answer = accept(request);
        answer.delay = Duration::from_millis(30);
        answer
    };
    let server = Server::start(slow);
    let export = Export::spooling(&server.url(), budget(), &spool, |_| ());
    until("what was left", || Stats::of(export.handle.collector).recovered == left);
    trace(4);
    let stats = drained(&export);
    assert_eq!((stats.acknowledged, stats.dropped), (left + 5, 0), "{stats:?}");
    assert_eq!(once(&[&server]) as u64, left + 5);
}

#[test]
fn answers_mean_the_same_from_disk() {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: "too old".to_owned() };
    let partial = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    for (response, reason, lost) in [
        (answer(200, partial), DropReason::Rejected, 2),
        (answer(500, Vec::new()), DropReason::ServerError, 5),
        (answer(307, Vec::new()), DropReason::BadResponse, 5),
    ] {
        let left = spooled_by_an_earlier_run(&spool, |_| (), || trace(4));
        let (_, stats) = next_run(&spool, left, |_| (), move |_| response.clone());
        assert_eq!((stats.acknowledged, stats.dropped_by(reason)), (5 - lost, lost), "{stats:?}");
    }
}

#[test]
fn too_much_at_once_from_disk_is_split_and_only_what_cannot_be_is_lost() {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    let left = spooled_by_an_earlier_run(
        &spool,
        |target| target.gzip = false,
        || {
            trace(100);
            start_trace("bot").run(|| {
                crate::current_span().record_input(&"x ".repeat(20_000));
            });
        },
    );
    let limited = |request: &server::Request| {
        if request.raw.len() > 8_000 { answer(413, Vec::new()) } else { accept(request) }
    };
    let (server, stats) = next_run(&spool, left, |target| target.gzip = false, limited);
    assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::TooLarge)), (101, 1), "{stats:?}");
    assert!(server.requests().len() > 4);
    until("an empty directory", || std::fs::read_dir(&spool.directory).unwrap().count() == 0);
}

#[test]
fn what_was_spooled_compressed_is_sent_as_the_next_start_is_set() {
    for before in [true, false] {
        let scratch = Scratch::new();
        let spool = scratch.settings(ROOM);
        let left = spooled_by_an_earlier_run(&spool, |target| target.gzip = before, || trace(4));
        let (server, stats) = next_run(&spool, left, |target| target.gzip = !before, accept);
        assert_eq!(stats.acknowledged, 5, "{stats:?}");
        let requests = server.requests();
        assert_eq!(requests.iter().flat_map(spans_of).count(), 5);
        assert!(requests.iter().all(|request| (request.header("content-encoding") == Some("gzip")) != before));
    }
}

fn of_tenants(tenants: &[&str]) {
    for tenant in tenants {
        start_trace("bot").tenant(*tenant).run(|| start_span("tool", "step").run(|| ()));
    }
}

/// The `tenant.id` of every span that came.
fn tenants_of(server: &Server) -> BTreeSet<String> {
    let tenant = |span: &opentelemetry_proto::tonic::trace::v1::Span| {
        otlp::attributes(&span.attributes)["tenant.id"].as_str().unwrap().to_owned()
    };
    spans(server).iter().map(tenant).collect()
}

fn route(bank: &str) -> Routing {
    let bank = format!("{bank}/v1/traces");
    let route = move |tenant: Option<&crate::TenantId>| {
        (tenant?.as_str() == "bank").then(|| Destination::new(bank.clone()).api_key("trc_bank"))
    };
    Routing { route: Arc::new(route), http_hosts: Vec::new() }
}

#[test]
fn tenants_with_a_destination_of_their_own_are_routed_anew_and_one_that_is_down_holds_up_no_other() {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    let (_, nowhere) = nobody();
    let left = spooled_by_an_earlier_run(
        &spool,
        |target| target.routing = Some(route(&nowhere)),
        || {
            of_tenants(&["acme", "bank", "globex"]);
        },
    );
    let (bank_address, bank_url) = nobody();
    let common = Server::start(accept);
    let change = |target: &mut OtlpTarget| target.routing = Some(route(&bank_url));
    let export = Export::spooling(&common.url(), budget(), &spool, change);
    until("everyone else's", || Stats::of(export.handle.collector).acknowledged == 4);
    assert_eq!(Stats::of(export.handle.collector).recovered, left);
    let bank = Server::start_at(bank_address, accept);
    let stats = drained(&export);
    assert_eq!((stats.acknowledged, stats.dropped), (6, 0), "{stats:?}");
    assert_eq!(tenants_of(&common), ["acme", "globex"].map(str::to_owned).into());
    assert_eq!(tenants_of(&bank), ["bank".to_owned()].into());
    assert!(bank.requests().iter().all(|request| request.header("authorization") == Some("Bearer trc_bank")));
}

#[test]
fn a_tenant_in_a_header_is_named_from_disk_as_well() {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    let header = |target: &mut OtlpTarget| target.tenant_header = Some("x-scope-orgid".to_owned());
    let left = spooled_by_an_earlier_run(&spool, header, || of_tenants(&["acme", "globex"]));
    let (server, stats) = next_run(&spool, left, header, accept);
    assert_eq!(stats.acknowledged, 4, "{stats:?}");
    for request in server.requests() {
        let named = request.header("x-scope-orgid").unwrap().to_owned();
        for span in spans_of(&request) {
            assert_eq!(otlp::attributes(&span.attributes)["tenant.id"], named.as_str());
        }
    }
}

#[test]
fn what_holds_all_tenants_is_not_sent_in_the_name_of_one_or_none() {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    let left = spooled_by_an_earlier_run(&spool, |_| (), || of_tenants(&["acme", "globex"]));
    let header = |target: &mut OtlpTarget| target.tenant_header = Some("x-scope-orgid".to_owned());
    let (server, stats) = next_run(&spool, left, header, accept);
    assert_eq!(stats.dropped_by(DropReason::Unroutable), 4, "{stats:?}");
    assert!(server.requests().is_empty());
}

#[test]
fn two_exporters_with_one_spool_each_get_everything() {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    let (first, second) = (Server::start(accept), Server::start(accept));
    let target = |url: &str| {
        let target = Export::target(url);
        Otlp::new(&target, None).unwrap().with_spool(&target, Some(&spool)).unwrap()
    };
    let (_, url) = nobody();
    let collector = Collector::new(budget(), Policy::default());
    install_thread(Sink::Collector(collector));
    let exporters: Vec<(&'static str, Box<dyn Exporter>)> =
        vec![("first", Box::new(target(&url))), ("second", Box::new(target(&second.url())))];
    let export = Export { handle: Handle::spawn_all(collector, exporters) };
    trace(4);
    export.handle.shutdown(Duration::from_secs(2));
    until("all of it on disk", || Stats::of(collector).queued == 0);
    let stats = export.at_rest();
    assert_eq!((stats.spooled, stats.exporters[1].spooled), (5, 0), "{stats:?}");
    assert_eq!(once(&[&second]), 5);
    let next = Export::spooling(&first.url(), budget(), &spool, |_| ());
    until("what was left", || Stats::of(next.handle.collector).recovered == 5);
    assert_eq!(drained(&next).acknowledged, 5);
}
