//! What attributes cost while nothing records: in time, and counted in instructions.

use std::hint::black_box;
use std::process::Stdio;
use std::time::Instant;

use crate::peers::{self, Peer, block_on};
use crate::sides::{Plan, Sample, own};
use crate::table::{Findings, Table, figure};
use crate::work::{Kind, Work};

#[inline(never)]
fn plain(i: u64) {
    black_box(i);
}

/// A function that calls others, as those that get annotated do: what it keeps over a call, it keeps either way.
#[inline(never)]
fn plain_caller(i: u64) {
    plain(i);
    plain(black_box(i) + 1);
}

#[tracium::span(kind = "tool")]
#[inline(never)]
fn ours_caller(i: u64) {
    plain(i);
    plain(black_box(i) + 1);
}

#[fastrace::trace(name = "caller")]
#[inline(never)]
fn fastrace_caller(i: u64) {
    plain(i);
    plain(black_box(i) + 1);
}

#[tracing::instrument(level = "info", skip_all)]
#[inline(never)]
fn tracing_caller(i: u64) {
    plain(i);
    plain(black_box(i) + 1);
}

#[allow(clippy::unused_async)] // As the annotated ones are.
async fn plain_async(i: u64) {
    black_box(i);
}

#[tracium::trace(agent = "bench")]
#[inline(never)]
fn ours_trace(i: u64) {
    black_box(i);
}

#[tracium::span(kind = "tool")]
async fn ours_async(i: u64) {
    black_box(i);
}

#[fastrace::trace(name = "leaf")]
async fn fastrace_async(i: u64) {
    black_box(i);
}

#[tracing::instrument(level = "info", skip_all)]
async fn tracing_async(i: u64) {
    black_box(i);
}

/// Calls `function` `times` times. The name is what callgrind counts in.
#[inline(never)]
fn counted_loop(times: u64, function: impl Fn(u64)) {
    for i in 0..times {
        function(black_box(i));
    }
}

const CALLERS: [Way; 4] = [
    ("plain-caller", |times| counted_loop(times, plain_caller)),
    ("tracium-caller", |times| counted_loop(times, ours_caller)),
    ("fastrace-caller", |times| counted_loop(times, fastrace_caller)),
    ("tracing-caller", |times| counted_loop(times, tracing_caller)),
];

/// A way to call something, by name.
type Way = (&'static str, fn(u64));

const SYNC: [Way; 6] = [
    ("plain", |times| counted_loop(times, plain)),
    ("tracium", |times| counted_loop(times, peers::ours::leaf)),
    ("fastrace", |times| counted_loop(times, peers::fastrace::leaf)),
    ("tracing", |times| counted_loop(times, peers::tracing::leaf)),
    ("tracium-in-scope", |times| tracium::Context::root().run(|| counted_loop(times, peers::ours::leaf))),
    ("tracium-trace", |times| counted_loop(times, ours_trace)),
];

const ASYNC: [Way; 4] = [
    ("plain", |times| counted_loop(times, |i| block_on(plain_async(i)))),
    ("tracium", |times| counted_loop(times, |i| block_on(ours_async(i)))),
    ("fastrace", |times| counted_loop(times, |i| block_on(fastrace_async(i)))),
    ("tracing", |times| counted_loop(times, |i| block_on(tracing_async(i)))),
];

fn times(ways: &[Way], plan: Plan) -> Vec<Sample> {
    const CALLS: u32 = 100_000;
    let mut nanos = vec![Vec::new(); ways.len()];
    for round in 0..plan.pick(200, 60) {
        for turn in 0..ways.len() {
            let at = (turn + round) % ways.len();
            let started = Instant::now();
            (ways[at].1)(u64::from(CALLS));
            #[allow(clippy::cast_precision_loss)] // Far below 2^52.
            nanos[at].push(started.elapsed().as_nanos() as f64 / f64::from(CALLS));
        }
    }
    nanos.into_iter().map(Sample::of).collect()
}

/// Calls `which` for callgrind: off, or `on-<work>-<peer>`.
pub(crate) fn run_counted(which: &str, calls: usize) -> Result<(), String> {
    if let Some((kind, peer)) = which.strip_prefix("on-").and_then(|on| on.split_once('-')) {
        let work = match kind {
            "root" => Work::new(Kind::Sync, calls, 1),
            kind => Work::new(kind.parse()?, 1, calls + 1),
        };
        let peer = peers::start(peer)?;
        let ran = |peer: &dyn Peer| peer.run(&work).ok_or_else(|| "no such work".to_owned()).map(drop);
        // Once before, uncounted: what only the first span costs.
        ran(&*peer)?;
        peer.settle()?;
        counted_loop(1, |_| drop(ran(&*peer)));
        return Ok(());
    }
    let way = SYNC
        .iter()
        .chain(&CALLERS)
        .find(|(name, _)| *name == which)
        .ok_or_else(|| format!("no call is named {which:?}"))?;
    (way.1)(calls as u64);
    Ok(())
}

/// Instructions of `calls` calls, per call; `None` without valgrind.
fn instructions(which: &str, calls: u32) -> Option<f64> {
    let program = own(&[]).ok()?.get_program().to_owned();
    let output = std::process::Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted_loop*"])
        .arg(program)
        .args(["counted", which, &calls.to_string()])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let collected = text.lines().find_map(|line| line.split_once("Collected :"))?.1.trim().parse::<u32>().ok()?;
    (collected > 0).then(|| f64::from(collected) / f64::from(calls))
}

/// The median over the plain call's, and the same of the least.
fn over(samples: &[Sample], at: usize) -> String {
    let least = samples[at].min() - samples[0].min();
    format!("{} ({})", figure(over_plain(samples, at)), figure(least))
}

fn over_plain(samples: &[Sample], at: usize) -> f64 {
    samples[at].median() - samples[0].median()
}

pub(crate) fn report(plan: Plan, findings: &mut Findings) {
    let header = ["over the plain call", "tracium", "fastrace", "tracing", "goal"];
    let title = "Attributes while nothing records: ns, median (least), over the plain call; instructions, counted";
    let mut table = Table::new(title, &header);
    let sync = times(&SYNC, plan);
    let least = over_plain(&sync, 2).min(over_plain(&sync, 3));
    let what = "attribute when off, ns over the plain call";
    let goal = findings.goal(what, over_plain(&sync, 1), least, "less than both");
    let label = format!("off: sync span (plain {})", figure(sync[0].median()));
    table.row(vec![label, over(&sync, 1), over(&sync, 2), over(&sync, 3), goal]);
    for (at, label) in [(4, "off: sync span inside a scope"), (5, "off: sync trace, which is a scope also then")] {
        table.row(vec![label.to_owned(), over(&sync, at), dash(), dash(), dash()]);
    }
    let polls = times(&ASYNC, plan);
    let label = format!("off: async span (plain {})", figure(polls[0].median()));
    table.row(vec![label, over(&polls, 1), over(&polls, 2), over(&polls, 3), dash()]);
    count(plan, &mut table, findings);
    findings.add(table);
}

fn dash() -> String {
    "-".to_owned()
}

/// The rows that are counted, which no noise of the machine changes.
fn count(plan: Plan, table: &mut Table, findings: &mut Findings) {
    const CALLS: u32 = 10_000;
    let Some(bare) = instructions("plain", CALLS) else {
        let note = "instructions are not counted: `valgrind --tool=callgrind` is not here, or does not run";
        findings.notes.push(note.to_owned());
        return;
    };
    let over = |which: &str| instructions(which, CALLS).map_or(f64::NAN, |count| count - bare);
    let ours = over("tracium");
    let goal = findings.goal("attribute on a leaf when off, instructions", ours, 5.0, "at most 5");
    let (fastrace, tracing) = if plan.quick { (f64::NAN, f64::NAN) } else { (over("fastrace"), over("tracing")) };
    let label = "off: sync span on a leaf without a frame, instructions".to_owned();
    table.row(vec![label, figure(ours), figure(fastrace), figure(tracing), goal]);
    if let Some(bare) = instructions("plain-caller", CALLS) {
        let over = |which: &str| instructions(which, CALLS).map_or(f64::NAN, |count| count - bare);
        let [ours, fastrace, tracing] = ["tracium-caller", "fastrace-caller", "tracing-caller"].map(over);
        let goal = findings.goal("attribute on a caller when off, instructions", ours, 5.0, "at most 5");
        let label = "off: sync span on a function that calls others, instructions".to_owned();
        table.row(vec![label, figure(ours), figure(fastrace), figure(tracing), goal]);
    }
    if plan.quick {
        return;
    }
    for (kind, label) in [("sync", "sync span"), ("root", "trace with one root span"), ("async", "async span")] {
        let on = |peer: &str| {
            let count = instructions(&format!("on-{kind}-{peer}"), CALLS / 5);
            figure(count.map_or(f64::NAN, |count| count - bare))
        };
        let label = format!("on: {label}, instructions");
        table.row(vec![label, on("tracium"), on("fastrace"), on("tracing"), dash()]);
    }
}
