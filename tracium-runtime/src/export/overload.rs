//! What becomes of tenants where one of them emits more than anybody could hold: on REST and on OTLP, through an outage.

use std::collections::{BTreeMap, HashSet};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use super::otlp::{Otlp, tests::otlp as read};
use super::rest::Rest;
use super::server::{self, Request, Response, Server};
use super::{Answer, Command, Exporter, Handle};
use crate::collect::ledger::DropReason;
use crate::collect::policy::Policy;
use crate::collect::room::OnFull;
use crate::collect::{Budget, Collector, Sink, install_thread, uninstall_thread};
use crate::config::{Backoff, Connection, Endpoint, OtlpTarget};
use crate::stats::Stats;
use crate::trace::{start_span, start_trace};
use crate::{TenantId, current_span};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rest,
    Otlp,
}

const BOTH: [Kind; 2] = [Kind::Rest, Kind::Otlp];
const OTHERS: [&str; 4] = ["acme", "globex", "initech", "umbrella"];

/// An address where nobody listens yet.
fn dead_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// An export to a backend that is down until [`recover`](Self::recover).
struct Export {
    kind: Kind,
    address: SocketAddr,
    handle: Handle,
}

impl Export {
    fn new(kind: Kind, budget: Budget) -> Self {
        Self::with(kind, budget, Policy { content: true, ..Policy::default() })
    }

    fn with(kind: Kind, budget: Budget, policy: Policy) -> Self {
        let address = dead_address();
        let connection = Connection {
            request_timeout: Duration::from_secs(5),
            proxy: None,
            root_certificates: Vec::new(),
            backoff: Backoff::default(),
        };
        let url = format!("http://{address}");
        let exporter: Box<dyn Exporter> = match kind {
            Kind::Rest => {
                let key = "trc_secret".to_owned();
                let endpoint = Endpoint { base_url: url, api_key: key, workspace_id: None, connection };
                Box::new(Rest::new(&endpoint, None).unwrap())
            }
            Kind::Otlp => {
                let target = OtlpTarget {
                    url: format!("{url}/v1/traces"),
                    headers: Vec::new(),
                    resource: Vec::new(),
                    gzip: true,
                    tenant_header: None,
                    routing: None,
                    connection,
                };
                Box::new(Otlp::new(&target, None).unwrap())
            }
        };
        let collector = Collector::new(budget, policy);
        Self { kind, address, handle: Handle::spawn(collector, exporter) }
    }

    /// Runs `work` on a thread that records here.
    fn spawn(&self, work: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
        let sink = Sink::Collector(self.handle.collector);
        thread::spawn(move || {
            install_thread(sink);
            work();
            uninstall_thread(None);
        })
    }

    fn run(&self, work: impl FnOnce() + Send + 'static) {
        self.spawn(work).join().unwrap();
    }

    /// The backend is there, and gets what is held.
    fn recover(&self) -> (Server, Stats) {
        let kind = self.kind;
        let server = Server::start_at(self.address, move |request| accept(kind, request));
        let report = self.handle.flush(Duration::from_secs(60));
        assert!(report.complete, "{report:?}");
        // What traces lost is counted when nobody holds them.
        self.handle.flush(Duration::from_secs(60));
        (server, self.at_rest())
    }

    /// The accounting, with what must hold once nobody emits.
    fn at_rest(&self) -> Stats {
        let stats = Stats::of(self.handle.collector);
        assert_eq!(stats.emitted, stats.acknowledged + stats.dropped + stats.queued, "{stats:?}");
        let by_tenant: u64 = stats.tenants_lost.iter().map(|loss| loss.dropped).sum();
        assert_eq!(by_tenant + stats.others_lost, stats.dropped, "{stats:?}");
        stats
    }

    /// How many spans of each tenant arrived, traces' roots not counted, and how many of them with a value whole.
    fn arrived(&self, server: &Server) -> BTreeMap<String, (usize, usize)> {
        let mut arrived = BTreeMap::<String, (usize, usize)>::new();
        let (requests, mut known) = (server.requests(), HashSet::new());
        let mut add = |id: String, tenant: &str, input: &str| {
            // Sent again: a slow machine's answer came too late.
            if !known.insert(id) {
                return;
            }
            let counts = arrived.entry(tenant.to_owned()).or_default();
            counts.0 += 1;
            counts.1 += usize::from(input.contains("xxxx"));
        };
        for request in &requests {
            match self.kind {
                Kind::Rest => {
                    for span in request.body["spans"].as_array().into_iter().flatten() {
                        let id = span["id"].to_string();
                        add(id, span["tenant_id"].as_str().unwrap_or_default(), &span["input"].to_string());
                    }
                }
                Kind::Otlp => {
                    for span in read::spans_of(request) {
                        if !span.parent_span_id.is_empty() {
                            let attributes = read::attributes(&span.attributes);
                            let text = |key: &str| attributes.get(key).map(ToString::to_string).unwrap_or_default();
                            let id = format!("{:?}", span.span_id);
                            add(id, text("tenant.id").trim_matches('"'), &text("input.value"));
                        }
                    }
                }
            }
        }
        arrived
    }
}

fn accept(kind: Kind, request: &Request) -> Response {
    match kind {
        Kind::Rest => server::accept(request),
        Kind::Otlp => read::accept(request),
    }
}

/// A trace of `tenant` with so many spans, each with a value of so many bytes.
fn trace(tenant: &str, spans: usize, captured: usize) {
    start_trace("bot").tenant(tenant).run(|| {
        for _ in 0..spans {
            start_span("tool", "step").run(|| {
                if captured > 0 {
                    current_span().record_input(&"x".repeat(captured));
                }
            });
        }
    });
}

fn lost(stats: &Stats, tenant: &str) -> u64 {
    stats.lost_by(Some(&TenantId::try_from(tenant).unwrap()))
}

/// The flood's losses are its own, and everybody else's spans are there: so many of each.
fn assert_others_lost_nothing(export: &Export, expected: usize, captured: bool) {
    let (server, stats) = export.recover();
    let kind = export.kind;
    for tenant in OTHERS {
        assert_eq!(lost(&stats, tenant), 0, "{kind:?} {tenant}: {:?}", stats.tenants_lost);
    }
    assert!(lost(&stats, "flood") > 0, "{kind:?}: {stats:?}");
    assert_eq!(lost(&stats, "flood"), stats.dropped_by(DropReason::QueueFull), "{kind:?}: {stats:?}");
    assert_eq!((stats.buffered_records, stats.buffered_bytes), (0, 0), "{kind:?}: {stats:?}");
    let arrived = export.arrived(&server);
    for tenant in OTHERS {
        let whole = if captured { expected } else { 0 };
        assert_eq!(arrived.get(tenant), Some(&(expected, whole)), "{kind:?} {tenant}: {arrived:?}");
    }
}

/// Lets the export thread see what is there.
fn look(export: &Export) {
    let (answer, answered) = std::sync::mpsc::channel();
    assert!(export.handle.send(Command::Flush { deadline: Instant::now(), answer: Answer::Thread(answer) }));
    answered.recv().unwrap();
}

/// Lets the export thread make room: what is under way comes back first.
fn wait_for_room(export: &Export) {
    let budget = &export.handle.collector.budget;
    let waited = Instant::now();
    loop {
        look(export);
        if !budget.is_past_mark() {
            return;
        }
        assert!(waited.elapsed() < Duration::from_secs(30), "{:?}", Stats::of(export.handle.collector));
        thread::yield_now();
    }
}

#[test]
fn a_flood_that_came_first_and_filled_everything_gives_way_to_the_others() {
    for kind in BOTH {
        let export = Export::new(kind, Budget::new(40_000, 128 << 20));
        export.run(|| (0..80).for_each(|_| trace("flood", 1_000, 0)));
        wait_for_room(&export);
        // Of 8,000 each might have; more together than was kept free for them.
        for _ in 0..5 {
            let others = OTHERS.map(|tenant| export.spawn(move || (0..10).for_each(|_| trace(tenant, 99, 0))));
            others.into_iter().for_each(|thread| thread.join().unwrap());
            wait_for_room(&export);
        }
        assert_others_lost_nothing(&export, 5 * 990, false);
    }
}

#[test]
fn the_only_tenant_has_all_that_was_asked_for() {
    for kind in BOTH {
        let export = Export::new(kind, Budget::with_reserve(40_000, 128 << 20));
        export.run(|| (0..39).for_each(|_| trace("flood", 1_000, 0)));
        look(&export);
        let stats = export.at_rest();
        assert_eq!((stats.emitted, stats.queued, stats.dropped), (39_039, 39_039, 0), "{kind:?}: {stats:?}");
    }
}

#[test]
fn a_flood_beside_the_others_on_the_same_threads_costs_them_nothing() {
    for kind in BOTH {
        let export = Export::new(kind, Budget::new(60_000, 128 << 20));
        let threads = [0, 1].map(|first| {
            export.spawn(move || {
                for round in 0..80 {
                    trace("flood", 1_000, 0);
                    (0..10).for_each(|_| trace("flood", 3, 0));
                    trace(OTHERS[(round + first) % 4], 9, 0);
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_others_lost_nothing(&export, 2 * 20 * 9, false);
    }
}

#[test]
fn a_flood_of_large_values_leaves_the_others_theirs() {
    for kind in BOTH {
        let export = Export::new(kind, Budget::new(1 << 20, 32 << 20));
        let flood = export.spawn(|| (0..100).for_each(|_| trace("flood", 20, 20_000)));
        let others = OTHERS.map(|tenant| export.spawn(move || (0..20).for_each(|_| trace(tenant, 5, 2_000))));
        others.into_iter().for_each(|thread| thread.join().unwrap());
        flood.join().unwrap();
        wait_for_room(&export);
        // Of 6 MiB each might have, 2 MiB.
        for _ in 0..5 {
            let others = OTHERS.map(|tenant| export.spawn(move || (0..4).for_each(|_| trace(tenant, 5, 20_000))));
            others.into_iter().for_each(|thread| thread.join().unwrap());
            wait_for_room(&export);
        }
        let stats = Stats::of(export.handle.collector);
        assert!(stats.buffered_bytes <= 32 << 20, "{stats:?}");
        assert_others_lost_nothing(&export, 200, true);
    }
}

#[test]
fn a_flood_of_spans_that_never_end_is_held_back_as_well() {
    for kind in BOTH {
        let export = Export::new(kind, Budget::new(40_000, 128 << 20));
        let sink = Sink::Collector(export.handle.collector);
        install_thread(sink);
        let flood = start_trace("bot").tenant("flood").open();
        let mut open = Vec::new();
        for _ in 0..100 {
            flood.context().run(|| open.extend((0..600).map(|_| start_span("tool", "step").open())));
            look(&export);
        }
        for tenant in OTHERS {
            (0..10).for_each(|_| trace(tenant, 99, 0));
        }
        drop(open);
        flood.end();
        uninstall_thread(None);
        assert_others_lost_nothing(&export, 990, false);
    }
}

#[test]
fn a_trace_that_was_held_back_goes_on_once_there_is_room() {
    let export = Export::new(Kind::Otlp, Budget::new(20_000, 128 << 20));
    install_thread(Sink::Collector(export.handle.collector));
    let long = start_trace("bot").tenant("flood").open();
    let steps = |count: usize| {
        long.context().run(|| (0..count).for_each(|_| start_span("tool", "step").run(|| ())));
    };
    trace("acme", 10, 0);
    steps(40_000);
    look(&export);
    steps(100);
    let (_server, stats) = export.recover();
    assert!(lost(&stats, "flood") >= 100, "{stats:?}");
    let before = stats.dropped;
    steps(100);
    long.end();
    export.handle.flush(Duration::from_secs(60));
    uninstall_thread(None);
    assert_eq!(export.at_rest().dropped, before);
}

#[test]
fn who_may_wait_for_room_waits_and_loses_nothing() {
    for kind in BOTH {
        let on_full = OnFull::Block(Duration::from_secs(60));
        let export = Export::with(kind, Budget::new(2_000, 128 << 20), Policy { on_full, ..Policy::default() });
        let worker = export.spawn(|| (0..10).for_each(|_| trace("acme", 999, 0)));
        look(&export);
        let _server = Server::start_at(export.address, move |request| accept(kind, request));
        worker.join().unwrap();
        assert!(export.handle.flush(Duration::from_secs(60)).complete);
        let stats = export.at_rest();
        assert_eq!((stats.emitted, stats.acknowledged), (10_000, 10_000), "{kind:?}: {stats:?}");
    }
}

#[test]
fn who_waited_in_vain_goes_on_and_a_runtimes_threads_never_wait() {
    let on_full = OnFull::Block(Duration::from_millis(20));
    let export = Export::with(Kind::Otlp, Budget::new(100, 128 << 20), Policy { on_full, ..Policy::default() });
    export.run(|| trace("acme", 1_000, 0));
    look(&export);
    assert_eq!(export.at_rest().dropped_by(DropReason::QueueFull), 901);
    let forever = OnFull::Block(Duration::from_secs(1 << 40));
    let export =
        Export::with(Kind::Otlp, Budget::new(100, 128 << 20), Policy { on_full: forever, ..Policy::default() });
    export.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { trace("acme", 1_000, 0) });
    });
    look(&export);
    assert_eq!(export.at_rest().dropped_by(DropReason::QueueFull), 901);
}

#[test]
fn losses_are_counted_on_their_tenants_whatever_the_reason() {
    for kind in BOTH {
        let export = Export::new(kind, Budget::new(1 << 20, 128 << 20));
        let _server = Server::start_at(export.address, move |request| match kind {
            Kind::Rest => Response::status(403),
            Kind::Otlp => read::answer(403, request.raw[..0].to_vec()),
        });
        export.run(|| {
            trace("acme", 9, 0);
            trace("globex", 19, 0);
            start_trace("bot").run(|| start_span("tool", "step").run(|| ()));
        });
        export.handle.flush(Duration::from_secs(30));
        let stats = export.at_rest();
        let of = |at: usize| {
            let loss = &stats.tenants_lost[at];
            (loss.tenant.as_ref().map(TenantId::as_str), loss.dropped_by(DropReason::Rejected))
        };
        assert_eq!([of(0), of(1), of(2)], [(None, 2), (Some("acme"), 10), (Some("globex"), 20)], "{kind:?}");
        // A handle that is gone leaves nothing to be sent, and what comes then is lost, too.
        export.handle.shutdown(Duration::from_secs(1));
        export.run(|| trace("acme", 4, 0));
        let acme = &export.at_rest().tenants_lost[1];
        assert_eq!((acme.dropped, acme.dropped_by(DropReason::Shutdown)), (15, 5), "{kind:?}");
    }
}
