//! What arrives: a burst of a million spans at once, and spans per second where the emitter keeps to what is taken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tracium::ExporterKind;

use crate::memory;
use crate::peers::opentelemetry::{Otel, provider};
use crate::peers::tracing::Tracing;
use crate::peers::{self, Peer};
use crate::sides::{Plan, own};
use crate::sink::{Arrived, Sink};
use crate::table::{Findings, Table, figure, thousands};
use crate::work::{Kind, Work};

/// In each trace, its root included.
const SPANS: usize = 100;
/// The ways out that are measured.
const REST: &str = "rest";
const OTLP: &str = "otlp";
const PATIENCE: Duration = Duration::from_secs(90);

/// What a process that emitted says of it.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    emitted: u64,
    delivered: u64,
    dropped: u64,
    queued: u64,
    requests: u64,
    /// How much its resident memory grew, at most, in bytes.
    growth: u64,
    /// The most records that were seen in its buffers at once.
    buffered: u64,
    /// How much it had grown when the last was emitted, and how many lay in its buffers then.
    growth_emitted: u64,
    buffered_emitted: u64,
    emitting_millis: u64,
    total_millis: u64,
    cpu_millis: u64,
}

impl Outcome {
    fn print(&self) {
        let Self { emitted, delivered, dropped, queued, requests, growth, buffered, growth_emitted, .. } = self;
        let Self { buffered_emitted, emitting_millis, total_millis, cpu_millis, .. } = self;
        println!(
            "{emitted} {delivered} {dropped} {queued} {requests} {growth} {buffered} {growth_emitted} {buffered_emitted} {emitting_millis} {total_millis} \
             {cpu_millis}"
        );
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map_while(|word| word.parse().ok());
        Some(Self {
            emitted: numbers.next()?,
            delivered: numbers.next()?,
            dropped: numbers.next()?,
            queued: numbers.next()?,
            requests: numbers.next()?,
            growth: numbers.next()?,
            buffered: numbers.next()?,
            growth_emitted: numbers.next()?,
            buffered_emitted: numbers.next()?,
            emitting_millis: numbers.next()?,
            total_millis: numbers.next()?,
            cpu_millis: numbers.next()?,
        })
    }
}

/// Starts export to `url` and sends a trace, so that connections and statics are there before anything is measured.
fn start(by: &str, url: &str) -> Result<tracium::Guard, String> {
    let builder = tracium::builder().api_key("trc_bench");
    let builder = if by == OTLP {
        builder.exporter(ExporterKind::Otlp).otlp_endpoint(url)
    } else {
        builder.exporter(ExporterKind::Rest).base_url(url)
    };
    let guard = builder.init().map_err(|error| error.to_string())?;
    peers::ours::trace(1);
    if tracium::flush(PATIENCE).complete { Ok(guard) } else { Err("the sink takes nothing".to_owned()) }
}

fn millis(since: Instant) -> u64 {
    since.elapsed().as_millis() as u64
}

/// The process of a burst of ours: all at once, then a flush.
pub(crate) fn burst_ours(by: &str, url: &str, threads: usize, traces: usize) -> Result<(), String> {
    let _guard = start(by, url)?;
    let before = tracium::stats();
    let resident = memory::resident();
    let done = AtomicBool::new(false);
    let mut result = Outcome::default();
    let started = Instant::now();
    let complete = thread::scope(|scope| {
        let most = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Acquire) {
                most = most.max(tracium::stats().buffered_records);
                thread::sleep(Duration::from_millis(5));
            }
            most
        });
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| (0..traces / threads).for_each(|_| peers::ours::trace(SPANS as u64 - 1)));
            }
        });
        result.emitting_millis = millis(started);
        result.buffered_emitted = tracium::stats().buffered_records;
        result.growth_emitted = memory::resident().saturating_sub(resident);
        let complete = tracium::flush(PATIENCE).complete;
        done.store(true, Ordering::Release);
        result.buffered = most.join().unwrap_or_default();
        complete
    });
    result.total_millis = millis(started);
    let stats = tracium::stats();
    if complete {
        peers::ours::check(&stats)?;
    }
    result.emitted = stats.emitted - before.emitted;
    result.delivered = stats.acknowledged - before.acknowledged;
    result.dropped = stats.dropped;
    result.queued = stats.queued;
    result.requests = stats.requests;
    result.growth = memory::peak().saturating_sub(resident);
    result.cpu_millis = memory::cpu_millis();
    result.print();
    Ok(())
}

/// The process of a burst of a peer with its default settings, to a counter in the process itself.
pub(crate) fn burst_peer(name: &str, threads: usize, traces: usize) -> Result<(), String> {
    let peer: Box<dyn Peer> = match name {
        "opentelemetry" => Box::new(Otel::with(provider(true))),
        "tracing" => Box::new(Tracing::with(provider(true))),
        _ => peers::start(name)?,
    };
    let work = Work::new(Kind::Sync, 1, 2);
    peer.run(&work);
    let before = peer.settle()?;
    let resident = memory::resident();
    let work = Work::new(Kind::Sync, traces / threads, SPANS);
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| peer.run(&work));
        }
    });
    let emitting_millis = millis(started);
    let after = peer.settle()?;
    Outcome {
        emitted: (traces * SPANS) as u64,
        delivered: after.delivered - before.delivered,
        growth: memory::peak().saturating_sub(resident),
        emitting_millis,
        total_millis: millis(started),
        ..Outcome::default()
    }
    .print();
    Ok(())
}

/// The process that emits as fast as is taken.
pub(crate) fn deliver(by: &str, url: &str, traces: usize) -> Result<(), String> {
    /// A third of what the buffers hold: always something to send, and never too much.
    const AHEAD: u64 = 300_000;
    let _guard = start(by, url)?;
    let before = tracium::stats();
    let cpu_before = memory::cpu_millis();
    let started = Instant::now();
    for trace in 0..traces {
        // Asked now and then only, since the question takes every thread's lock.
        while trace % 100 == 0 && tracium::stats().buffered_records > AHEAD {
            thread::sleep(Duration::from_millis(2));
        }
        peers::ours::trace(SPANS as u64 - 1);
    }
    let emitting_millis = millis(started);
    let complete = tracium::flush(PATIENCE).complete;
    let total_millis = millis(started);
    let stats = tracium::stats();
    if complete {
        peers::ours::check(&stats)?;
    }
    Outcome {
        emitted: stats.emitted - before.emitted,
        delivered: stats.acknowledged - before.acknowledged,
        dropped: stats.dropped,
        queued: stats.queued,
        requests: stats.requests - before.requests,
        emitting_millis,
        total_millis,
        cpu_millis: memory::cpu_millis() - cpu_before,
        ..Outcome::default()
    }
    .print();
    Ok(())
}

fn ask(arguments: &[&str]) -> Result<Outcome, String> {
    let output = own(arguments)?.stderr(std::process::Stdio::inherit()).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    Outcome::from_line(line).ok_or_else(|| format!("{arguments:?}: {}, {line:?}", output.status))
}

#[allow(clippy::cast_precision_loss)] // Far below 2^52.
fn float(count: u64) -> f64 {
    count as f64
}

const MIB: f64 = 1024.0 * 1024.0;

/// A million spans at once.
pub(crate) fn burst(plan: Plan, findings: &mut Findings) -> Result<(), String> {
    let traces: usize = plan.pick(10_000, 2_000);
    let spans = (traces * SPANS) as u64;
    let header = [
        "burst",
        "arrived",
        "lost",
        "growth, MiB",
        "bytes / buffered span",
        "when emitted",
        "emitted in, ms",
        "done in, ms",
    ];
    let title = format!(
        "A burst of {} spans, {SPANS} in a trace (ours to a sink by HTTP; the peers to a counter in the process, which flatters them)",
        thousands(float(spans))
    );
    let mut table = Table::new(&title, &header);
    for (by, threads) in [(REST, 1), (REST, 4), (OTLP, 1), (OTLP, 4)] {
        let label = format!("tracium by {by}, {threads} thread{}", if threads == 1 { "" } else { "s" });
        let mut sink = Sink::start(true)?;
        let result = ask(&["burst", by, &sink.url, &threads.to_string(), &traces.to_string()])?;
        let arrived = sink.arrived()?;
        check(&label, &result, &arrived, spans, Some(by), findings);
        let each = float(result.growth) / float(result.buffered);
        let growth = float(result.growth) / MIB;
        // A smaller burst is mostly what connections and buffers take that are there once.
        if !plan.quick {
            findings.promise(&format!("{label}, burst, bytes per buffered span"), each, 160.0);
            findings.promise(&format!("{label}, burst, resident growth in MiB"), growth, 190.0);
        }
        let emitted = float(result.growth_emitted) / float(result.buffered_emitted);
        table.row(cells(&label, &result, &[figure(each), figure(emitted)]));
    }
    for peer in ["fastrace", "opentelemetry", "tracing"] {
        for threads in plan.pick([1, 4].as_slice(), &[1]) {
            let label = format!("{peer}, {threads} thread{}", if *threads == 1 { "" } else { "s" });
            let result = ask(&["burst-peer", peer, &threads.to_string(), &traces.to_string()])?;
            table.row(cells(&label, &result, &["-".to_owned(), "-".to_owned()]));
        }
    }
    findings.add(table);
    Ok(())
}

fn cells(label: &str, result: &Outcome, [each, emitted]: &[String; 2]) -> Vec<String> {
    vec![
        label.to_owned(),
        thousands(float(result.delivered)),
        thousands(float(result.emitted - result.delivered)),
        figure(float(result.growth) / MIB),
        each.clone(),
        emitted.clone(),
        thousands(float(result.emitting_millis)),
        thousands(float(result.total_millis)),
    ]
}

/// Everything arrived, by our own accounting and by the sink's.
fn check(label: &str, result: &Outcome, arrived: &Arrived, spans: u64, looks: Option<&str>, findings: &mut Findings) {
    let Outcome { emitted, delivered, dropped, queued, requests, .. } = *result;
    if emitted != spans {
        findings.fail(format!("{label}: {spans} spans were emitted, and {emitted} count as that"));
    }
    if dropped > 0 || queued > 0 || delivered != emitted {
        findings.fail(format!(
            "{label}: of {emitted} spans {delivered} arrived; {dropped} were dropped and {queued} are still queued"
        ));
    }
    // The one before the measurement is a trace with one span. By REST, a root is not sent as a span, but ends its trace.
    let at_sink = (arrived.spans + arrived.ends).saturating_sub(2);
    if looks.is_some() && at_sink != delivered {
        findings.fail(format!("{label}: {delivered} count as delivered, and {at_sink} are at the sink"));
    }
    if arrived.creates != arrived.ends {
        let Arrived { creates, ends, .. } = arrived;
        findings.fail(format!("{label}: the sink saw {creates} traces begin and {ends} end"));
    }
    if arrived.requests < requests {
        findings.fail(format!("{label}: {requests} requests were sent, and {} are at the sink", arrived.requests));
    }
}

/// Delivered spans per second.
pub(crate) fn rate(plan: Plan, findings: &mut Findings) -> Result<(), String> {
    let traces: usize = plan.pick(10_000, 2_000);
    let spans = (traces * SPANS) as u64;
    let header = [
        "end to end, to a sink that does not decode",
        "spans/s",
        "requests/s",
        "MB/s",
        "CPU us/span",
        "sink's CPU",
        "goal",
    ];
    let mut table =
        Table::new("Delivered, emission and sink on the same cores (the peers have no such exporter)", &header);
    // OTLP is compressed, at level 1.
    for (by, label, goal) in [(REST, "REST", 250_000.0), (OTLP, "OTLP, gzip", 600_000.0)] {
        let mut rounds = Vec::new();
        for _ in 0..plan.pick(5, 1) {
            let mut sink = Sink::start(false)?;
            let result = ask(&["deliver", by, &sink.url, &traces.to_string()])?;
            let arrived = sink.arrived()?;
            check(&format!("delivery by {label}"), &result, &arrived, spans, None, findings);
            let seconds = float(result.total_millis) / 1000.0;
            let cells = vec![
                thousands(float(result.requests) / seconds),
                thousands(float(arrived.bytes) / seconds / 1e6),
                figure(float(result.cpu_millis) * 1000.0 / float(spans)),
                figure(float(arrived.cpu_millis) * 1000.0 / float(spans)),
            ];
            rounds.push((float(result.delivered) / seconds, cells));
        }
        rounds.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let most = rounds.last().map_or(f64::NAN, |(rate, _)| *rate);
        let (rate, cells) = rounds.swap_remove(rounds.len() / 2);
        let what = format!("at least {}", thousands(goal));
        let goal = findings.goal_at_least(&format!("delivered by {label}, spans/s"), rate, goal, &what);
        let first = [label.to_owned(), format!("{} ({})", thousands(rate), thousands(most))];
        table.row(first.into_iter().chain(cells).chain([goal]).collect());
    }
    findings.add(table);
    Ok(())
}
