//! One run over everything.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::sides::Plan;
use crate::table::Findings;
use crate::{build, delivery, encoders, growth, layers, off, sizes, spans};

const SECTIONS: [&str; 11] =
    ["off", "spans", "allocations", "contention", "extras", "growth", "encoders", "burst", "rate", "sizes", "layers"];

/// What the attributes cost those who compile; it takes minutes.
const BY_NAME_ONLY: &str = "build";

pub(crate) fn are_sections(names: &[&str]) -> bool {
    names.iter().all(|name| SECTIONS.contains(name) || *name == BY_NAME_ONLY)
}

/// Runs the sections of these names, or all; false where a promise was broken.
pub(crate) fn report(plan: Plan, sections: &[&str]) -> Result<bool, String> {
    let started = Instant::now();
    let wanted = |section: &str| sections.is_empty() || sections.contains(&section);
    let mut findings = Findings::default();
    println!("{}\n", setting());
    if wanted("off") {
        off::report(plan, &mut findings);
    }
    if ["spans", "allocations", "contention", "extras"].into_iter().any(wanted) {
        // One process of each peer for all of them.
        let mut sides = spans::start()?;
        let of_spans: [(&str, spans::Section); 4] = [
            ("spans", spans::report),
            ("allocations", spans::allocations),
            ("contention", spans::contention),
            ("extras", spans::extras),
        ];
        for (name, section) in of_spans {
            if wanted(name) {
                let done = section(&mut sides, plan, &mut findings);
                keep(done, &mut findings);
            }
        }
    }
    let others: [(&str, Section); 4] = [
        ("growth", growth::report),
        ("encoders", encoders::report),
        ("burst", delivery::burst),
        ("rate", delivery::rate),
    ];
    for (name, section) in others {
        if wanted(name) {
            let done = section(plan, &mut findings);
            keep(done, &mut findings);
        }
    }
    if wanted("sizes") {
        sizes::report(&mut findings);
    }
    // Last: it starts an export in this process, where `off` must have none.
    if wanted("layers") {
        keep(layers::report(plan, &mut findings), &mut findings);
    }
    if sections.contains(&BY_NAME_ONLY) {
        keep(build::report(plan, &mut findings), &mut findings);
    }
    let kept = findings.conclude();
    println!("----- Markdown -----\n\n{}\n\n{}", setting(), findings.markdown());
    println!("took {:.0} s", started.elapsed().as_secs_f64());
    Ok(kept)
}

type Section = fn(Plan, &mut Findings) -> Result<(), String>;

/// A section that breaks off is a failure; the others are run all the same.
fn keep(done: Result<(), String>, findings: &mut Findings) {
    if let Err(error) = done {
        findings.fail(error);
    }
}

/// The machine, the day and whom we are compared with: figures mean nothing without.
fn setting() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{}, {cores} cores, {}; {}. Load at the start: {}. Other work on the machine makes all of it slower.",
        model.map_or("unknown processor", |(_, name)| name),
        date(),
        versions(),
        load.split(' ').next().unwrap_or("unknown"),
    )
}

/// The versions that were built, from the workspace's lock file.
fn versions() -> String {
    let lock = include_str!("../../Cargo.lock");
    let version = |name: &str| {
        let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{name}\"\n")))?;
        entry.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
    };
    let peers = ["fastrace", "opentelemetry_sdk", "tracing", "tracing-opentelemetry"];
    peers.map(|name| format!("{name} {}", version(name).unwrap_or("?"))).join(", ")
}

/// Today, in UTC.
fn date() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    // Days to a date of the Gregorian calendar, by its cycle of 400 years that starts on a 1st of March.
    let days = since.as_secs() / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}
