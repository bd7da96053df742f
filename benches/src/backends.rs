//! What requests cost over the tower layer, by what becomes of their traces: the backend takes them, refuses the
//! connection, or takes it and is silent for ever, until the buffers are full and after.
//!
//! A process each, all in the same minutes and by turns.

use std::io::BufRead;
use std::net::TcpListener;
use std::time::Duration;

use tower::{Layer, service_fn};
use tracium::ExporterKind;

use crate::layers::{handler, layer, time};
use crate::sides::{Plan, Sample, Side};
use crate::table::{Findings, Table, figure, ratio};

/// Buffers that are full after a round or two.
const FEW: usize = 4_096;

/// The process that has requests, and an export to `url` with buffers for `records`: nanoseconds per request, for each
/// line that it reads.
pub(crate) fn serve(url: &str, records: usize) -> Result<(), String> {
    let builder = tracium::builder().exporter(ExporterKind::Otlp).otlp_endpoint(url).max_records(records);
    // Its drop would wait for backends that never come.
    std::mem::forget(builder.init().map_err(|error| error.to_string())?);
    let service = layer().trace("bench", |_| Some("/chat/{room}".to_owned())).layer(service_fn(handler));
    for line in std::io::stdin().lock().lines() {
        let settle = line.map_err(|error| error.to_string())? == "settle";
        let nanos = time(&service);
        // So that no round has to share the processor with what another left behind.
        if settle {
            tracium::flush(Duration::from_secs(10));
        }
        let stats = tracium::stats();
        println!("{nanos} {} {} {}", stats.emitted, stats.acknowledged, stats.dropped);
    }
    Ok(())
}

/// A round of a side: its nanoseconds, and what it emitted so far, of which was acknowledged, and dropped.
fn round(side: &mut Side, word: &str) -> Result<(f64, [u64; 3]), String> {
    side.say(word)?;
    let line = side.hear()?;
    let mut words = line.split(' ');
    let nanos = words.next().and_then(|nanos| nanos.parse().ok());
    let mut count = || words.next().and_then(|count| count.parse().ok());
    match (nanos, count(), count(), count()) {
        (Some(nanos), Some(emitted), Some(acknowledged), Some(dropped)) => {
            Ok((nanos, [emitted, acknowledged, dropped]))
        }
        _ => Err(format!("{}: answered {line:?}", side.name)),
    }
}

pub(crate) fn report(plan: Plan, findings: &mut Findings) -> Result<(), String> {
    let mut sink = Side::start("sink", &["sink"])?;
    let live = sink.hear()?;
    // Connections are taken by the system, and nobody ever reads from them.
    let silent = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let url = |listener: &TcpListener| match listener.local_addr() {
        Ok(address) => Ok(format!("http://{address}")),
        Err(error) => Err(error.to_string()),
    };
    let hanging = url(&silent)?;
    let refused = url(&TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?)?;
    let (all, few) = (usize::pow(2, 20).to_string(), FEW.to_string());
    let sides = [
        ("a backend that takes all", "settle", &live, &all),
        ("connections refused", "go on", &refused, &all),
        ("no answer, ever", "go on", &hanging, &all),
        ("connections refused, buffers full", "go on", &refused, &few),
        ("no answer, ever, buffers full", "go on", &hanging, &few),
    ];
    let mut running = Vec::new();
    for (name, word, url, records) in sides {
        running.push((Side::start(name, &["requests", url, records])?, word, Vec::new(), [0; 3]));
    }
    // The first is for what only the first time costs.
    for number in 0..=plan.pick(100, 30) {
        for (side, word, nanos, counts) in &mut running {
            let (took, so_far) = round(side, word)?;
            *counts = so_far;
            if number > 0 {
                nanos.push(took);
            }
        }
    }
    let title = "A request with tenant and trace through the tower layer, by the state of the backend";
    let mut table =
        Table::new(title, &["backend", "ns, median", "least", "to the first", "spans", "acknowledged", "lost"]);
    let mut first = f64::NAN;
    for (side, word, nanos, [emitted, acknowledged, dropped]) in running {
        let sample = Sample::of(nanos);
        if first.is_nan() {
            first = sample.median();
        }
        let taken = word == "settle";
        if (taken && acknowledged + dropped != emitted)
            || (!taken && acknowledged > 0)
            || acknowledged + dropped > emitted
        {
            findings.fail(format!("{}: of {emitted}, {acknowledged} are acknowledged, {dropped} lost", side.name));
        }
        table.row(vec![
            side.name.clone(),
            figure(sample.median()),
            figure(sample.min()),
            ratio(sample.median(), first),
            emitted.to_string(),
            acknowledged.to_string(),
            dropped.to_string(),
        ]);
    }
    findings.add(table);
    Ok(())
}
