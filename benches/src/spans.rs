//! Spans and traces, side by side: their time, their allocations, many threads, tenants and captured values.

use std::time::Duration;

use crate::limit;
use crate::sides::{Plan, Sample, Side, compare, compare_for};
use crate::table::{Findings, Table, ratio, time};
use crate::work::{Kind, Work};

/// In the order of the table's columns; ours first.
const PEERS: [&str; 4] = ["tracium", "fastrace", "opentelemetry", "tracing"];

pub(crate) type Section = fn(&mut [Side], Plan, &mut Findings) -> Result<(), String>;

const FIRST: &str = "ns, median (least)";
const HEADER: [&str; 8] =
    [FIRST, "tracium", "fastrace", "OTel SDK", "tracing + otel", "/ fastrace", "/ OTel SDK", "goal (/ fastrace)"];

pub(crate) fn start() -> Result<Vec<Side>, String> {
    PEERS.iter().map(|peer| Side::peer(peer)).collect()
}

fn median(sample: Option<&Sample>) -> f64 {
    sample.map_or(f64::NAN, Sample::median)
}

/// What has become of the spans of a comparison.
fn check(what: &str, samples: &[Option<Sample>], findings: &mut Findings) {
    findings.check_lost(what, samples[0].as_ref());
    for (name, sample) in PEERS.iter().zip(samples).skip(1) {
        if let Some(sample) = sample {
            findings.note_lost(what, name, sample);
        }
    }
}

fn row(table: &mut Table, label: &str, samples: &[Option<Sample>], goal: Option<f64>, findings: &mut Findings) {
    check(label, samples, findings);
    let ours = median(samples[0].as_ref());
    let to_fastrace = ours / median(samples[1].as_ref());
    let goal = goal.map_or_else(
        || "-".to_owned(),
        |goal| findings.goal(&format!("{label}, over fastrace"), to_fastrace, goal, &format!("at most {goal}")),
    );
    let cells = std::iter::once(label.to_owned()).chain(samples.iter().map(|sample| time(sample.as_ref())));
    let ratios = [ratio(ours, median(samples[1].as_ref())), ratio(ours, median(samples[2].as_ref())), goal];
    table.row(cells.chain(ratios).collect());
}

/// The rows of one span or trace.
pub(crate) fn report(sides: &mut [Side], plan: Plan, findings: &mut Findings) -> Result<(), String> {
    let mut table = Table::new("A span, a trace", &HEADER);
    // As much as no peer's queue overflows by: each of fastrace's async spans takes a place of 10,240.
    let spans = |kind, traces| Work::new(kind, traces, 100);
    let rows = [
        ("sync span, 100 in a trace", spans(Kind::Sync, 100), Some(0.45)),
        ("trace with one root span", Work::new(Kind::Sync, 1_000, 1), Some(0.4)),
        ("async span, ready at once, 100 in a trace", spans(Kind::Async, 50), Some(0.5)),
        ("async span, yields once, 100 in a trace", spans(Kind::Yielding, 25), Some(0.5)),
        ("sync span that returns a Result", spans(Kind::Fallible, 100), None),
    ];
    for (label, work, goal) in rows {
        let samples = compare(sides, &work, plan)?;
        row(&mut table, label, &samples, goal, findings);
    }
    let limit = limit::measure(plan);
    let mut cells = vec!["the limit: two reads of the clock and 128 bytes".to_owned(), time(Some(&limit))];
    cells.resize(HEADER.len(), "-".to_owned());
    table.row(cells);
    findings.add(table);
    Ok(())
}

/// Allocations of plain spans, in traces that are not counted.
pub(crate) fn allocations(sides: &mut [Side], plan: Plan, findings: &mut Findings) -> Result<(), String> {
    /// Records of a segment come from its pool: what is left is what its handing over takes, for hundreds of spans.
    const AT_MOST: f64 = 0.01;
    let header = ["heap allocations per span", "tracium", "fastrace", "OTel SDK", "tracing + otel", "goal"];
    let mut table =
        Table::new("Heap allocations of the thread that calls (mean; a plain span, without its trace's own)", &header);
    for (label, kind) in
        [("sync", Kind::Sync), ("async, ready at once", Kind::Async), ("async, yields once", Kind::Yielding)]
    {
        const SPANS: usize = 2_000;
        let rounds = plan.pick(20, 8);
        let mut cells = vec![label.to_owned()];
        let mut of = |traces, spans| {
            let work = Work::new(kind, traces, spans).counting();
            compare_for(sides, &work, rounds, Duration::from_secs(3))
        };
        let (long, bare) = (of(1, SPANS + 1)?, of(1, 1)?);
        let spans = f64::from(SPANS as u32);
        let per_span = |with: &Sample, without: &Sample| {
            let (middle, mean) = with.allocations();
            let (root, _) = without.allocations();
            let less_root = |all: f64| ((all * (spans + 1.0) - root) / spans).max(0.0);
            (less_root(middle), less_root(mean))
        };
        for (long, bare) in long.iter().zip(&bare) {
            cells.push(match (long, bare) {
                (Some(long), Some(bare)) => format!("{:.3}", per_span(long, bare).1),
                _ => "-".to_owned(),
            });
        }
        check(label, &long, findings);
        if let (Some(long), Some(bare)) = (&long[0], &bare[0]) {
            let (_, mean) = per_span(long, bare);
            cells.push(findings.goal(&format!("heap allocations, {label}"), mean, AT_MOST, "0"));
            if mean > AT_MOST {
                findings.fail(format!("a plain span, {label}: {mean:.3} heap allocations where there should be none"));
            }
        }
        table.row(cells);
    }
    findings.add(table);
    Ok(())
}

/// The same spans from more and more threads.
pub(crate) fn contention(sides: &mut [Side], plan: Plan, findings: &mut Findings) -> Result<(), String> {
    let mut table =
        Table::new("Contention: sync spans, 100 in a trace, time of all threads together per span", &HEADER);
    for threads in [1, 2, 4, 8] {
        let work = Work::new(Kind::Sync, plan.pick(200, 100), 100).threads(threads);
        let most = Duration::from_millis(plan.pick(4_000, 600));
        let samples = compare_for(sides, &work, plan.pick(60, 12), most)?;
        let label = format!("{threads} thread{}", if threads == 1 { "" } else { "s" });
        row(&mut table, &label, &samples, None, findings);
    }
    findings.add(table);
    Ok(())
}

/// Tenants and captured values.
pub(crate) fn extras(sides: &mut [Side], plan: Plan, findings: &mut Findings) -> Result<(), String> {
    let mut table = Table::new("Tenants and captured values", &HEADER);
    let rows = [
        ("sync span of a tenant, 100 in a trace", Work::new(Kind::Tenant, 100, 100)),
        ("trace of a tenant", Work::new(Kind::Tenant, 1_000, 1)),
        ("current_tenant(), in a scope of a tenant", Work::new(Kind::CurrentTenant, 10, 10_000)),
        ("sync span that captures 1 kB", Work::new(Kind::Capture, 20, 100).extra(1_000)),
        ("sync span that captures 100 kB", Work::new(Kind::Capture, 2, 50).extra(100_000)),
    ];
    for (label, work) in rows {
        let samples = compare_for(sides, &work, plan.pick(60, 12), Duration::from_millis(plan.pick(3_000, 500)))?;
        row(&mut table, label, &samples, None, findings);
    }
    findings.notes.push(
        "captured values: ours become JSON, redacted by key and bounded; the peers copy the text and do neither"
            .to_owned(),
    );
    findings.add(table);
    Ok(())
}
