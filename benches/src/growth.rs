//! How the cost of a span grows: with its trace, its depth, with tenants and with traces that are open.

use std::time::Duration;

use crate::sides::{Plan, Sample, Side, compare_for};
use crate::table::{Findings, Table, figure, thousands};
use crate::work::{Kind, Work};

const HEADER: [&str; 6] =
    ["growth of the cost of a span", "ns, median", "least", "over the first", "goal", "ns to discard, behind"];

/// Rows of one table, each over the first.
struct Growth<'a> {
    table: Table,
    first: Option<f64>,
    findings: &'a mut Findings,
}

impl<'a> Growth<'a> {
    fn new(title: &str, findings: &'a mut Findings) -> Self {
        Self { table: Table::new(title, &HEADER), first: None, findings }
    }

    fn row(&mut self, label: &str, [median, least, behind]: [f64; 3], at_most: f64) {
        let first = *self.first.get_or_insert(median);
        let ratio = median / first;
        let goal = self.findings.goal(&format!("growth: {label}"), ratio, at_most, &format!("at most {at_most}"));
        let ratio = format!("{ratio:.2}");
        self.table.row(vec![label.to_owned(), figure(median), figure(least), ratio, goal, figure(behind)]);
    }

    fn done(self) {
        self.findings.add(self.table);
    }
}

fn measure(side: &mut [Side], work: &Work, plan: Plan, what: &str, findings: &mut Findings) -> Result<Sample, String> {
    let samples = compare_for(side, work, plan.pick(80, 15), Duration::from_millis(plan.pick(2_500, 250)))?;
    findings.check_lost(what, samples[0].as_ref());
    samples.into_iter().next().flatten().ok_or_else(|| format!("{what}: nothing was measured"))
}

pub(crate) fn report(plan: Plan, findings: &mut Findings) -> Result<(), String> {
    in_a_trace(plan, findings)?;
    at_depth(plan, findings)?;
    with_tenants(plan, findings)?;
    with_live_traces(plan, findings)
}

/// Marginal: without what the trace itself takes.
fn in_a_trace(plan: Plan, findings: &mut Findings) -> Result<(), String> {
    let mut side = [Side::peer("tracium")?];
    let root = measure(&mut side, &Work::new(Kind::Sync, 1_000, 1), plan, "a trace alone", findings)?;
    let mut growth = Growth::new("Spans in a trace (marginal: without the trace's own cost)", findings);
    for spans in [10, 100, 1_000, 10_000, 100_000] {
        let work = Work::new(Kind::Sync, (10_000 / spans).max(1), spans + 1);
        let label = format!("{} in a trace", thousands(f64::from(spans as u32)));
        let sample = measure(&mut side, &work, plan, &label, growth.findings)?;
        let spans = f64::from(spans as u32);
        let marginal = |all: f64, root: f64| (all * (spans + 1.0) - root) / spans;
        let (median, least) = (marginal(sample.median(), root.median()), marginal(sample.min(), root.min()));
        growth.row(&label, [median, least, sample.settling()], 1.5);
    }
    growth.done();
    Ok(())
}

fn at_depth(plan: Plan, findings: &mut Findings) -> Result<(), String> {
    let mut side = [Side::peer("tracium")?];
    let mut growth = Growth::new("Depth", findings);
    for depth in [1, 10, 100, 1_000] {
        let work = Work::new(Kind::Depth, 20, 500).extra(depth);
        let label = format!("depth {}", thousands(f64::from(depth as u32)));
        let sample = measure(&mut side, &work, plan, &label, growth.findings)?;
        growth.row(&label, figures(&sample), 1.5);
    }
    growth.done();
    Ok(())
}

fn figures(sample: &Sample) -> [f64; 3] {
    [sample.median(), sample.min(), sample.settling()]
}

fn goal_of(number: usize) -> f64 {
    if number <= 1_000 { 1.5 } else { 3.0 }
}

fn with_tenants(plan: Plan, findings: &mut Findings) -> Result<(), String> {
    let mut side = [Side::peer("tracium")?];
    let mut growth =
        Growth::new("Tenants, by turns, 10 spans in a trace of each (its trace's cost included)", findings);
    for tenants in [1, 10, 100, 1_000, 10_000, 100_000] {
        let work = Work::new(Kind::Tenants, 500, 10).extra(tenants);
        let label = format!("{} tenants", thousands(f64::from(tenants as u32)));
        let sample = measure(&mut side, &work, plan, &label, growth.findings)?;
        growth.row(&label, figures(&sample), goal_of(tenants));
    }
    growth.done();
    Ok(())
}

fn with_live_traces(plan: Plan, findings: &mut Findings) -> Result<(), String> {
    let mut side = [Side::peer("tracium")?];
    let mut growth = Growth::new("Live traces: spans of another one meanwhile, 100 in a trace", findings);
    let mut resident = Vec::new();
    let numbers = [1, 10, 100, 1_000, 10_000, 100_000];
    for live in numbers {
        let work = Work::new(Kind::Live, 100, 100).extra(live);
        let label = format!("{} live traces", thousands(f64::from(live as u32)));
        let sample = measure(&mut side, &work, plan, &label, growth.findings)?;
        growth.row(&label, figures(&sample), goal_of(live));
        resident.push(sample.resident);
    }
    growth.done();
    // Between two large numbers: what the buffers themselves take is in both.
    let (less, more) = (resident[numbers.len() - 2], resident[numbers.len() - 1]);
    let traces = f64::from((numbers[numbers.len() - 1] - numbers[numbers.len() - 2]) as u32);
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let each = more.saturating_sub(less) as f64 / traces;
    /// The trace itself, its scope, its future, and what the export thread knows of it.
    const AT_MOST: f64 = 1_024.0;
    findings.promise("memory per open trace, in bytes", each, AT_MOST);
    let mut table = Table::new("Memory", &["resident bytes", "tracium"]);
    table.row(vec!["per open trace, its boxed future included".to_owned(), figure(each)]);
    findings.add(table);
    Ok(())
}
