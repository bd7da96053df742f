//! What is collected and sent is what a recorder sees: the same programs, made by chance, once for each.
//!
//! Plain spans take a shorter way into the buffers than a recorder's; this is where the two are held against each other.

#[allow(dead_code)]
#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::Value;
use tracium::testing::{RecordedStatus, Recorder};
use tracium::{ExporterKind, TenantId, current_span, set_tenant};

use self::server::{Server, accept};

const PROGRAMS: u64 = 200;
const PURPOSE: &str = "on purpose";

/// What a program does, one after the other.
type Block = Vec<Op>;

#[derive(Clone, Debug)]
enum Op {
    Leaf,
    Sync(Block),
    Fallible(Block, bool),
    Panics(Block),
    Ready(Block),
    Waits(Block),
    /// Dropped at its first wait.
    Dropped(Block),
    Tenant(&'static str, Block),
    Set(Option<&'static str>),
    /// Something is recorded on the span around: from then on the trace's spans are none that can be passed over.
    Says,
    OnAThread(Block),
    /// More than a segment holds: what is open around ends away from its record.
    Many,
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn block(&mut self, depth: u64) -> Block {
        (0..=self.below(4)).map(|_| self.op(depth)).collect()
    }

    fn op(&mut self, depth: u64) -> Op {
        const TENANTS: [&str; 2] = ["acme", "globex"];
        let tenant = TENANTS[self.below(2) as usize];
        if depth == 0 {
            return if self.below(4) == 0 { Op::Set((self.below(3) > 0).then_some(tenant)) } else { Op::Leaf };
        }
        let depth = depth - 1;
        match self.below(40) {
            0..8 => Op::Sync(self.block(depth)),
            8..13 => Op::Ready(self.block(depth)),
            13..18 => Op::Waits(self.block(depth)),
            18..21 => Op::Fallible(self.block(depth), self.below(2) == 0),
            21..24 => Op::Tenant(tenant, self.block(depth)),
            24..26 => Op::Dropped(self.block(depth)),
            26..28 => Op::Panics(self.block(depth)),
            28..30 => Op::OnAThread(self.block(depth)),
            30..33 => Op::Set((self.below(3) > 0).then_some(tenant)),
            33 => Op::Says,
            34 => Op::Many,
            _ => Op::Leaf,
        }
    }
}

#[tracium::span(kind = "tool")]
fn leaf() {}

#[tracium::span(kind = "tool")]
fn sync(block: &[Op]) {
    run(block);
}

#[tracium::span(kind = "tool")]
fn fallible(block: &[Op], fails: bool) -> Result<(), std::fmt::Error> {
    run(block);
    if fails { Err(std::fmt::Error) } else { Ok(()) }
}

#[tracium::span(kind = "tool")]
fn panics(block: &[Op]) {
    run(block);
    std::panic::panic_any(PURPOSE);
}

#[tracium::span(kind = "tool")]
async fn ready(block: &[Op]) {
    run_async(block, false).await;
}

#[tracium::span(kind = "tool")]
async fn waits(block: &[Op]) {
    run_async(block, true).await;
}

#[tracium::tenant_scope(from = tenant)]
fn for_tenant(tenant: &str, block: &[Op]) {
    run(block);
}

#[tracium::trace(agent = agent)]
fn program(agent: &str, block: &[Op]) {
    run(block);
}

fn run(block: &[Op]) {
    for op in block {
        match op {
            Op::Leaf => leaf(),
            Op::Sync(block) => sync(block),
            Op::Fallible(block, fails) => drop(fallible(block, *fails)),
            Op::Panics(block) => drop(catch_unwind(AssertUnwindSafe(|| panics(block)))),
            Op::Ready(block) => drive(ready(block)),
            Op::Waits(block) => drive(waits(block)),
            Op::Dropped(block) => {
                let mut future = Box::pin(waits(block));
                let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }
            Op::Tenant(tenant, block) => for_tenant(tenant, block),
            // Refused where there is another one: to both alike.
            Op::Set(tenant) => drop(set_tenant(tenant.map(|id| TenantId::try_from(id).unwrap()))),
            Op::Says => drop(current_span().add_tags(["said"])),
            Op::OnAThread(block) => {
                let block = block.clone();
                tracium::thread::spawn(move || run(&block)).join().unwrap();
            }
            Op::Many => (0..300).for_each(|_| leaf()),
        }
    }
}

fn run_async(block: &[Op], waits_between: bool) -> Pin<Box<dyn Future<Output = ()> + '_>> {
    Box::pin(async move {
        for op in block {
            if waits_between {
                Yield(false).await;
            }
            match op {
                Op::Ready(block) => ready(block).await,
                Op::Waits(block) => waits(block).await,
                op => run(std::slice::from_ref(op)),
            }
        }
    })
}

struct Yield(bool);

impl Future for Yield {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Polls until it is done, where it stands: under whatever scope is open.
fn drive(future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    while future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {}
}

/// A span, told the same way by both.
#[derive(Debug)]
struct Span {
    id: String,
    /// `None` under the root.
    parent: Option<String>,
    depth: u64,
    what: String,
}

/// A trace as one text: each span with what is under it, in an order that does not hang on time.
fn tree(head: &str, spans: &[Span]) -> String {
    fn under(parent: Option<&str>, depth: u64, spans: &BTreeMap<Option<&str>, Vec<&Span>>) -> String {
        let children = spans.get(&parent).into_iter().flatten();
        let mut texts: Vec<String> = children
            .map(|span| {
                assert_eq!(span.depth, depth, "{span:?}");
                format!("{}{}", span.what, under(Some(&span.id), depth + 1, spans))
            })
            .collect();
        texts.sort_unstable();
        if texts.is_empty() {
            return String::new();
        }
        let runs = texts.chunk_by(|one, next| one == next).map(|run| format!("{}x{}", run[0], run.len()));
        format!("({})", runs.collect::<Vec<_>>().join(" "))
    }
    let mut by_parent: BTreeMap<Option<&str>, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        by_parent.entry(span.parent.as_deref()).or_default().push(span);
    }
    let lost = by_parent.keys().flatten().filter(|parent| spans.iter().all(|span| span.id != **parent)).count();
    assert_eq!(lost, 0, "{head}: spans that hang under nobody: {spans:?}");
    format!("{head} {} spans {}", spans.len(), under(None, 1, &by_parent))
}

fn what(name: &str, tenant: Option<&str>, failed: bool, error: Option<&str>, tags: &str) -> String {
    format!("<{name} {} {failed} {} {tags}>", tenant.unwrap_or("-"), error.unwrap_or("-"))
}

/// The traces of each agent, as the recorder has them.
fn recorded(recorder: &Recorder) -> BTreeMap<String, Vec<String>> {
    let mut traces: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let all = recorder.spans();
    for trace in recorder.traces() {
        let spans: Vec<Span> = all
            .iter()
            .filter(|span| span.trace_id == trace.id)
            .map(|span| Span {
                id: span.id.to_string(),
                parent: (span.parent_id != trace.root_id).then(|| span.parent_id.to_string()),
                depth: u64::from(span.depth),
                what: what(
                    &span.name,
                    span.tenant.as_ref().map(TenantId::as_str),
                    span.status == RecordedStatus::Failed,
                    span.error.as_deref(),
                    span.tags.first().map_or("", String::as_str),
                ),
            })
            .collect();
        let failed = trace.status == RecordedStatus::Failed;
        let head = what(&trace.agent, trace.tenant.as_ref().map(TenantId::as_str), failed, None, "");
        traces.entry(trace.agent).or_default().push(tree(&head, &spans));
    }
    sorted(traces)
}

/// The traces of each agent, as the backend got them.
fn received(server: &Server) -> BTreeMap<String, Vec<String>> {
    let mut heads: BTreeMap<String, (String, Option<String>)> = BTreeMap::new();
    let mut spans: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    let mut failed: BTreeMap<String, bool> = BTreeMap::new();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    for request in server.requests() {
        let body = &request.body;
        if let Some(agent) = text(&body["agent_name"]) {
            heads.insert(text(&body["trace_id"]).unwrap(), (agent, text(&body["tenant_id"])));
            continue;
        }
        let mut path = request.path.rsplit('/');
        let (call, id) = (path.next().unwrap(), path.next().unwrap().to_owned());
        if call != "spans" {
            failed.insert(id, call == "fail");
            continue;
        }
        for span in body["spans"].as_array().unwrap().iter().filter(|span| span["status"] != "in_progress") {
            let tags: Vec<&str> = span["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            spans.entry(id.clone()).or_default().push(Span {
                id: text(&span["id"]).unwrap(),
                parent: text(&span["parent_span_id"]),
                depth: span["depth_level"].as_u64().unwrap() + 1,
                what: what(
                    span["name"].as_str().unwrap(),
                    span["tenant_id"].as_str(),
                    span["status"] == "failed",
                    span["error"].as_str(),
                    tags.first().copied().unwrap_or_default(),
                ),
            });
        }
    }
    let mut traces: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, (agent, tenant)) in heads {
        let head = what(&agent, tenant.as_deref(), failed[&id], None, "");
        let mut spans = spans.remove(&id).unwrap_or_default();
        without_root(&mut spans);
        traces.entry(agent).or_default().push(tree(&head, &spans));
    }
    assert!(spans.is_empty(), "spans of traces that nobody created");
    sorted(traces)
}

/// A root that has something to say goes as a span, under which the others are one deeper; a recorder has it apart.
fn without_root(spans: &mut Vec<Span>) {
    let Some(at) = spans.iter().position(|span| span.what.contains("@trace:")) else { return };
    let root = spans.swap_remove(at).id;
    for span in spans {
        span.depth -= 1;
        span.parent.take_if(|parent| *parent == root);
    }
}

fn sorted(mut traces: BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    traces.values_mut().for_each(|trees| trees.sort_unstable());
    traces
}

#[test]
fn what_is_collected_is_what_a_recorder_sees() {
    // Panics on purpose need no report.
    std::panic::set_hook(Box::new(|info| {
        if info.payload().downcast_ref::<&str>() != Some(&PURPOSE) {
            eprintln!("{info}");
        }
    }));
    let server = Server::start(accept);
    let builder = tracium::builder().exporter(ExporterKind::Rest).api_key("trc_test").base_url(server.url());
    let guard = builder.capture_content(true).init().unwrap();
    let programs: Vec<(String, Block)> =
        (0..PROGRAMS).map(|seed| (format!("program-{seed}"), Random(seed).block(5))).collect();

    let recorder = Recorder::install();
    programs.iter().for_each(|(agent, block)| program(agent, block));
    let expected = recorded(&recorder);
    drop(recorder);

    // On several threads, which the export thread reads meanwhile.
    std::thread::scope(|scope| {
        for part in programs.chunks(PROGRAMS as usize / 4) {
            scope.spawn(move || part.iter().for_each(|(agent, block)| program(agent, block)));
        }
    });
    let report = tracium::flush(Duration::from_secs(60));
    assert!(report.complete, "{report:?}");
    let stats = tracium::stats();
    assert_eq!((stats.emitted, stats.dropped, stats.queued), (stats.acknowledged, 0, 0), "{stats:?}");

    let seen = received(&server);
    drop(guard);
    for (agent, block) in &programs {
        assert_eq!(seen.get(agent), expected.get(agent), "{block:?}");
    }
    assert!(stats.emitted > 10_000, "{} spans are too few to tell", stats.emitted);
}
