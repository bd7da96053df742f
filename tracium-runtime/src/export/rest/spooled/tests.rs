//! Outages that memory cannot bear, and restarts, against a server on loopback.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::collect::ledger::DropReason;
use crate::collect::policy::Policy;
use crate::collect::shares::HolderId;
use crate::collect::{Budget, Collector, Sink};
use crate::config::{SpoolSettings, Target};
use crate::export::http::Bodies;
use crate::export::rest::Rest;
use crate::export::rest::encode::Encoder;
use crate::export::rest::lane::Lane;
use crate::export::rest::parcel::Parcel;
use crate::export::rest::tests::{Export, FailsOnce, of, trace};
use crate::export::server::{Request, Response, Server, accept};
use crate::export::spool::tests::{Scratch, nobody, until};
use crate::export::{Answer, Command, Exporter, Handle, Recipe, SpanItem, SpanRecord, Tracked};
use crate::stats::Stats;
use crate::trace::{SpanMeta, TraceCore, TraceMeta, start_span, start_trace};
use crate::{current_span, panics};

const ROOM: u64 = 1 << 30;

fn budget() -> Budget {
    Budget::new(1 << 20, 128 << 20)
}

/// An export to nobody, which has put all of `traces` into the spool and ended.
fn spooled_by_an_earlier_run(spool: &SpoolSettings, emit: impl FnOnce()) -> u64 {
    let (_, url) = nobody();
    let export = Export::with_spool(&url, budget(), Some(spool));
    emit();
    export.handle.shutdown(Duration::from_millis(150));
    until("all of it on disk", || export.stats().queued == 0);
    let stats = export.at_rest();
    assert_eq!((stats.spooled, stats.dropped), (stats.emitted + stats.recovered, 0), "{stats:?}");
    stats.emitted
}

/// Waits until nothing is left to be sent.
fn drained(export: &Export) -> Stats {
    until("all of it sent", || {
        export.handle.flush(Duration::from_secs(10));
        let stats = export.stats();
        stats.spooled == 0 && stats.queued == 0
    });
    export.at_rest()
}

/// How often each span came, by its id, and that of each trace the create came first and the end last.
fn arrived(servers: &[&Server]) -> BTreeMap<String, usize> {
    let mut spans = BTreeMap::new();
    for server in servers {
        let mut traces: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for request in server.requests() {
            let id = match request.body["trace_id"].as_str() {
                Some(id) => id.to_owned(),
                None => request.path.split('/').nth(3).unwrap().to_owned(),
            };
            traces.entry(id).or_default().push(of(&request).to_owned());
            for span in request.body["spans"].as_array().into_iter().flatten() {
                *spans.entry(span["id"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        for (id, calls) in traces {
            assert_eq!((calls[0].as_str(), calls.last().unwrap().as_str()), ("traces", "complete"), "{id}: {calls:?}");
        }
    }
    spans
}

fn start_at(address: SocketAddr) -> Server {
    Server::start_at(address, accept)
}

#[test]
fn an_outage_longer_than_memory_bears_loses_nothing() {
    let scratch = Scratch::new();
    let (address, url) = nobody();
    let export = Export::with_spool(&url, Budget::new(4_096, 128 << 20), Some(&scratch.settings(ROOM)));
    for _ in 0..200 {
        trace(99);
        // As fast as the disk is, and no faster.
        until("room in memory", || export.stats().buffered_records < 3_000);
    }
    until("all of it on disk", || export.stats().spooled == 20_000);
    let stats = export.at_rest();
    assert_eq!((stats.emitted, stats.acknowledged, stats.dropped), (20_000, 0, 0), "{stats:?}");
    let server = start_at(address);
    let stats = drained(&export);
    assert_eq!((stats.acknowledged, stats.dropped), (20_000, 0), "{stats:?}");
    let spans = arrived(&[&server]);
    assert_eq!(spans.len(), 19_800);
    assert!(spans.values().all(|count| *count == 1), "each once");
    until("the files gone", || scratch.spooled().is_empty());
}

#[test]
fn a_backend_that_is_down_for_a_second_costs_a_kill_nothing_that_ended_before() {
    let scratch = Scratch::new();
    let (address, url) = nobody();
    let export = Export::with_spool(&url, budget(), Some(&scratch.settings(ROOM)));
    trace(3);
    until("all of it on disk", || export.stats().spooled == 4);
    assert_eq!(export.at_rest().queued, 0);
    let server = start_at(address);
    assert_eq!(drained(&export).acknowledged, 4);
    assert_eq!(arrived(&[&server]).len(), 3);
}

#[test]
fn what_a_shutdown_leaves_the_next_start_sends_once() {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    let left = spooled_by_an_earlier_run(&spool, || (0..10).for_each(|_| trace(20)));
    assert_eq!(left, 210);
    let server = Server::start(accept);
    let export = Export::with_spool(&server.url(), budget(), Some(&spool));
    trace(1);
    until("what was left", || export.stats().recovered == 210);
    let stats = drained(&export);
    assert_eq!((stats.recovered, stats.emitted, stats.acknowledged), (210, 2, 212), "{stats:?}");
    assert!(arrived(&[&server]).into_values().eq([1; 201]));
    until("an empty directory", || fs::read_dir(&spool.directory).unwrap().count() == 0);
}

#[test]
fn two_at_once_on_one_directory_send_each_span_once() {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    let left: u64 = (0..6).map(|_| spooled_by_an_earlier_run(&spool, || (0..5).for_each(|_| trace(9)))).sum();
    let servers = [Server::start(accept), Server::start(accept)];
    let exports = [0, 1].map(|at: usize| Export::with_spool(&servers[at].url(), budget(), Some(&spool)));
    until("all of it sent", || exports.iter().map(|export| export.stats().acknowledged).sum::<u64>() == left);
    exports.iter().for_each(|export| drop(drained(export)));
    let spans = arrived(&[&servers[0], &servers[1]]);
    assert_eq!(spans.len(), 6 * 45);
    assert!(spans.values().all(|count| *count == 1), "{spans:?}");
}

#[test]
fn a_trace_that_goes_on_after_a_part_of_it_went_to_disk_arrives_whole() {
    let scratch = Scratch::new();
    let (address, url) = nobody();
    let export = Export::with_spool(&url, budget(), Some(&scratch.settings(ROOM)));
    let trace = start_trace("bot").tenant("acme").open();
    trace.context().run(|| start_span("tool", "early").run(|| ()));
    until("its first span on disk", || export.stats().spooled == 1);
    // A backend that takes no create of a trace that it has.
    let created = AtomicUsize::new(0);
    let server = Server::start_at(address, move |request| match of(request) {
        "traces" if created.fetch_add(1, Ordering::Relaxed) > 0 => Response::status(409),
        _ => accept(request),
    });
    trace.context().run(|| start_span("tool", "late").run(|| ()));
    trace.end();
    let stats = drained(&export);
    assert_eq!((stats.emitted, stats.acknowledged, stats.dropped), (3, 3, 0), "{stats:?}");
    assert_eq!(server.spans("bot").len(), 2);
}

/// Whether a 409 on the create that a parcel brings is for its own trace, and on its lane's.
#[test]
fn a_create_that_two_may_send_is_not_taken_for_somebody_elses() {
    static AGENT: TraceMeta = TraceMeta::new("bot", "f");
    static LEAF: SpanMeta = SpanMeta::new("tool", "leaf", "leaf");
    for abandoned in [false, true] {
        let collector = Collector::new(budget(), Policy::default());
        let (core, _) = TraceCore::open(&AGENT, None, None, Sink::Collector(collector));
        let mut lane = Lane::new(Tracked::new(core));
        let record = SpanRecord { meta: &LEAF, depth: 1, ..SpanRecord::root(&lane.trace, None) };
        lane.append(&mut vec![SpanItem { record, details: None, sweep: 1, holder: HolderId::NOBODY }]);
        lane.abandoned = abandoned;
        let parcel = Parcel::of(&mut lane, &Encoder::new(None, None), &Bodies::default(), usize::MAX).unwrap();
        assert_eq!((parcel.resent, lane.resent), (!abandoned, true));
        let parcel = Parcel::of_unit(parcel.into_unit(), None, true).unwrap();
        assert!(parcel.resent, "somebody began to send it before");
    }
}

/// A file of all of it would never fit, and nothing behind it would be tried.
#[test]
fn a_trace_that_is_larger_than_the_spool_goes_there_in_pieces_and_holds_nothing_up() {
    let scratch = Scratch::new();
    let (address, url) = nobody();
    let export = Export::with_spool(&url, budget(), Some(&scratch.settings(2_000_000)));
    start_trace("giant").tenant("acme").run(|| {
        for _ in 0..150 {
            start_span("tool", "step").run(|| {
                current_span().record_input(&"x".repeat(10_000));
            });
        }
        for _ in 0..150 {
            start_span("tool", "more").run(|| {
                current_span().record_input(&"x".repeat(10_000));
            });
        }
    });
    until("what fits on disk", || export.stats().spooled > 75);
    let stats = export.at_rest();
    assert_eq!((stats.dropped, stats.spooled + stats.queued), (0, 301), "{stats:?}");
    let server = start_at(address);
    let stats = drained(&export);
    assert_eq!((stats.acknowledged, stats.dropped), (301, 0), "{stats:?}");
    assert_eq!(server.spans("giant").len(), 300);
}

#[test]
fn a_spool_that_is_full_goes_on_in_memory_and_what_does_not_fit_there_is_counted() {
    let scratch = Scratch::new();
    let (address, url) = nobody();
    let spool = scratch.settings(100_000);
    let export = Export::with_spool(&url, Budget::new(2_048, 128 << 20), Some(&spool));
    let mut full = false;
    until("a loss", || {
        let stats = export.stats();
        full |= stats.last_error.as_ref().is_some_and(|(_, text)| text.contains("full to its bound"));
        // As fast as the disk is, and then no more slowly than memory fills.
        if full || stats.buffered_records < 1_000 {
            trace(50);
        }
        stats.dropped_by(DropReason::QueueFull) > 0
    });
    let stats = export.at_rest();
    assert!(full && stats.spooled > 0 && stats.queued > 1_000, "{stats:?}");
    let held: u64 = scratch
        .files("")
        .iter()
        .filter_map(|path| fs::metadata(path).ok())
        .filter(fs::Metadata::is_file)
        .map(|m| m.len())
        .sum();
    assert!(held <= 100_000, "{held}");
    let server = start_at(address);
    let stats = drained(&export);
    assert_eq!(stats.acknowledged + stats.dropped_by(DropReason::QueueFull), stats.emitted, "{stats:?}");
    assert!(!arrived(&[&server]).is_empty());
}

#[test]
fn a_spool_that_cannot_be_written_any_more_goes_on_in_memory() {
    let scratch = Scratch::new();
    let (address, url) = nobody();
    let spool = scratch.settings(ROOM);
    let export = Export::with_spool(&url, budget(), Some(&spool));
    trace(3);
    until("all of it on disk", || export.stats().spooled == 4);
    fs::remove_dir_all(&spool.directory).unwrap();
    fs::write(&spool.directory, "in the way").unwrap();
    trace(3);
    let says = |what: &str| export.stats().last_error.is_some_and(|(_, text)| text.contains(what));
    until("word of it", || says("the spool cannot be written"));
    let stats = export.at_rest();
    assert_eq!((stats.spooled + stats.dropped_by(DropReason::Spool), stats.queued), (4, 4), "{stats:?}");
    let server = start_at(address);
    let stats = drained(&export);
    assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::Spool)), (4, 4), "{stats:?}");
    assert_eq!(arrived(&[&server]).len(), 3);
}

#[test]
fn a_damaged_file_among_good_ones_is_set_aside_and_counted_and_the_rest_is_sent() {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    for _ in 0..3 {
        spooled_by_an_earlier_run(&spool, || trace(4));
    }
    let damaged = &scratch.spooled()[1];
    let mut bytes = fs::read(damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(damaged, bytes).unwrap();
    let server = Server::start(accept);
    let export = Export::with_spool(&server.url(), budget(), Some(&spool));
    until("what was left", || export.stats().recovered == 15);
    let stats = drained(&export);
    assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::Spool)), (10, 5), "{stats:?}");
    assert_eq!(arrived(&[&server]).len(), 8);
    assert_eq!(scratch.files(".corrupt").len(), 1);
}

/// An export to `url` that fails whenever `fails` says so, and starts anew.
fn that_fails(url: &str, spool: &SpoolSettings, fails: &Arc<AtomicBool>) -> Export {
    let make = {
        let (url, spool, fails) = (url.to_owned(), spool.clone(), Arc::clone(fails));
        move || -> Box<dyn Exporter> {
            let endpoint = Export::endpoint(&url);
            let rest = Rest::new(&endpoint, None).unwrap().with_spool(&endpoint, Some(&spool)).unwrap();
            Box::new(FailsOnce(rest, Arc::clone(&fails)))
        }
    };
    Export { handle: Handle::spawn_by(Export::collector(budget()), Recipe::by(make, 1)) }
}

/// Row 17 of the faults: what lay on disk, what was on its way there, and a file of which a part had arrived.
#[test]
fn what_is_in_the_spool_when_the_export_fails_is_sent_by_the_one_after_it_and_no_count_runs_ahead() {
    panics::install_hook();
    let scratch = Scratch::new();
    let (address, url) = nobody();
    let fails = Arc::new(AtomicBool::new(false));
    let export = that_fails(&url, &scratch.settings(ROOM), &fails);
    let fail = || {
        fails.store(true, Ordering::Relaxed);
        until("its failure", || !fails.load(Ordering::Relaxed));
    };
    (0..8).for_each(|_| trace(4));
    until("all of it on disk", || export.stats().spooled == 40);
    (0..50).for_each(|_| trace(50));
    export.handle.flush(Duration::ZERO);
    let (answer, answered) = mpsc::channel();
    export.handle.send(Command::Finish { deadline: Instant::now(), answer: Answer::Thread(answer) });
    fail();
    drop(answered);
    until("what it had on disk", || export.stats().recovered >= 40);
    assert!(export.stats().dropped_by(DropReason::ExportThread) >= 40);
    let ends = Arc::new(AtomicBool::new(false));
    let server = {
        let ends = Arc::clone(&ends);
        Server::start_at(address, move |request| match of(request) {
            "complete" if !ends.load(Ordering::Relaxed) => Response::status(503),
            _ => accept(request),
        })
    };
    until("a part of it", || export.stats().acknowledged > 0);
    fail();
    ends.store(true, Ordering::Relaxed);
    // The one after it looks for the files once it has started.
    until("the rest", || scratch.spooled().is_empty());
    let stats = drained(&export);
    assert!(stats.acknowledged >= 40 && stats.dropped_by(DropReason::Spool) == 0, "{stats:?}");
    assert!(arrived(&[&server]).len() >= 32);
}

/// A directory that was there when the process began, and is not when the export starts anew.
#[test]
fn a_spool_that_cannot_be_had_any_more_when_the_export_starts_anew_is_done_without() {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    let server = Server::start(accept);
    let recipe = Recipe::new(vec![Target::Rest(Export::endpoint(&server.url()))], None, Some(&spool), None);
    assert_eq!(recipe.make().unwrap().len(), 1);
    fs::remove_dir_all(&spool.directory).unwrap();
    fs::write(&spool.directory, "in the way").unwrap();
    let Err(error) = recipe.make().map(drop) else { panic!("a process that begins is told") };
    let collector = Collector::new(budget(), Policy::default());
    assert_eq!(recipe.make_anew(collector).unwrap().len(), 1);
    let said = Stats::of(collector).last_error.unwrap().1;
    assert!(said.contains("without a spool") && said.contains(&error.to_string()), "{said}");
}

#[test]
fn a_backend_that_is_slow_costs_nothing_that_fits_on_disk() {
    let scratch = Scratch::new();
    let server = Server::start(|request| {
        let mut answer = accept(request);
        answer.delay = Duration::from_millis(200);
        answer
    });
    let export = Export::with_spool(&server.url(), Budget::new(4_096, 128 << 20), Some(&scratch.settings(ROOM)));
    let mut spooled = 0;
    for _ in 0..100 {
        trace(99);
        until("room in memory", || {
            spooled = spooled.max(export.stats().spooled);
            export.stats().buffered_records < 3_000
        });
    }
    let stats = drained(&export);
    assert_eq!((stats.emitted, stats.acknowledged, stats.dropped), (10_000, 10_000, 0), "{stats:?}");
    assert!(stats.last_error.is_none() && spooled > 0, "it was never down: {stats:?}");
    assert!(arrived(&[&server]).into_values().eq(std::iter::repeat_n(1, 9_900)));
}

#[test]
fn a_file_stays_until_the_last_of_it_is_settled() {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    let left = spooled_by_an_earlier_run(&spool, || (0..8).for_each(|_| trace(4)));
    let ended = AtomicUsize::new(0);
    let fails_soon = Server::start(move |request| match of(request) {
        "complete" if ended.fetch_add(1, Ordering::Relaxed) == 0 => accept(request),
        "complete" => Response::status(503),
        _ => accept(request),
    });
    let export = Export::with_spool(&fails_soon.url(), budget(), Some(&spool));
    until("the end of one trace", || export.stats().acknowledged == 8 * 4 + 1);
    export.handle.shutdown(Duration::from_millis(150));
    assert_eq!(export.at_rest().spooled, 7, "the ends of the others");
    let server = Server::start(accept);
    let export = Export::with_spool(&server.url(), budget(), Some(&spool));
    until("the whole file", || export.stats().recovered == left);
    assert_eq!(drained(&export).acknowledged, left);
    assert!(arrived(&[&server]).into_values().eq([1; 32]), "again, under the same ids");
}

/// Sends what an earlier run left to a server that answers as it is told.
fn sent_to(
    answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    emit: impl FnOnce(),
) -> (Server, Stats, Vec<String>) {
    let scratch = Scratch::new();
    let spool = scratch.settings(ROOM);
    let left = spooled_by_an_earlier_run(&spool, emit);
    let server = Server::start(answer);
    let export = Export::with_spool(&server.url(), budget(), Some(&spool));
    until("what was left", || export.stats().recovered == left);
    let stats = drained(&export);
    let calls = server.requests().iter().map(|request| of(request).to_owned()).collect();
    (server, stats, calls)
}

#[test]
fn a_trace_that_the_backend_forgot_is_created_again_from_disk() {
    let forgot = AtomicUsize::new(0);
    let answer = move |request: &Request| match of(request) {
        "spans" if forgot.fetch_add(1, Ordering::Relaxed) == 0 => Response::status(404),
        _ => accept(request),
    };
    let (_, stats, calls) = sent_to(answer, || trace(1));
    assert_eq!((stats.acknowledged, stats.dropped), (2, 0), "{stats:?}");
    assert_eq!(calls, ["traces", "spans", "traces", "spans", "complete"]);
}

#[test]
fn too_much_at_once_from_disk_is_split_and_only_what_cannot_be_is_lost() {
    let answer = |request: &Request| {
        if request.raw.len() > 8_000 { Response::status(413) } else { accept(request) }
    };
    let (_, stats, _) = sent_to(answer, || {
        start_trace("bot").run(|| {
            (0..100).for_each(|_| start_span("tool", "step").run(|| ()));
            start_span("tool", "huge").run(|| {
                crate::current_span().record_input(&"x ".repeat(10_000));
            });
            (0..100).for_each(|_| start_span("tool", "step").run(|| ()));
        });
    });
    assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::TooLarge)), (201, 1), "{stats:?}");
}

#[test]
fn an_extra_never_costs_a_span_from_disk() {
    let answer = |request: &Request| {
        let extra = request.body["spans"].as_array().into_iter().flatten().any(|span| span.get("metadata").is_some());
        if extra { Response::status(422) } else { accept(request) }
    };
    let (_, stats, calls) =
        sent_to(answer, || start_trace("bot").run(|| start_span("tool", "step").metadata("k", &1).run(|| ())));
    assert_eq!((stats.acknowledged, stats.dropped), (2, 0), "{stats:?}");
    assert_eq!(calls, ["traces", "spans", "spans", "complete"]);
}

#[test]
fn refusals_and_failures_mean_the_same_from_disk() {
    for (status, reason, requests) in
        [(400, DropReason::Rejected, 1), (500, DropReason::ServerError, 5), (401, DropReason::Unauthorized, 5)]
    {
        let (_, stats, calls) = sent_to(move |_| Response::status(status), || trace(2));
        assert_eq!((stats.dropped_by(reason), calls.len()), (3, requests), "{stats:?}");
    }
}

#[test]
fn tenants_from_disk_stay_who_they_are() {
    let (server, stats, _) = sent_to(accept, || {
        for tenant in ["acme", "Zürich-会社"] {
            start_trace("bot").tenant(tenant).run(|| start_span("tool", "step").run(|| ()));
        }
        start_trace("bot").run(|| start_span("tool", "step").run(|| ()));
    });
    assert_eq!(stats.acknowledged, 6);
    let mut of_traces = BTreeMap::new();
    for request in server.requests().iter().filter(|request| of(request) == "traces") {
        let id = request.body["trace_id"].as_str().unwrap().to_owned();
        of_traces.insert(id, request.header("x-tenant-id").map(str::to_owned));
    }
    let mut tenants: Vec<_> = of_traces.values().cloned().collect();
    tenants.sort();
    assert_eq!(tenants, [None, Some("Z%C3%BCrich-%E4%BC%9A%E7%A4%BE".to_owned()), Some("acme".to_owned())]);
    for request in server.requests().iter().filter(|request| of(request) != "traces") {
        let id = request.path.split('/').nth(3).unwrap();
        assert_eq!(request.header("x-tenant-id").map(str::to_owned), of_traces[id]);
    }
}

#[test]
fn neither_key_nor_header_lies_on_disk() {
    let scratch = Scratch::new();
    spooled_by_an_earlier_run(&scratch.settings(ROOM), || trace(1));
    let file = fs::read(&scratch.spooled()[0]).unwrap();
    assert!(!file.windows(6).any(|bytes| bytes == b"secret"));
}
