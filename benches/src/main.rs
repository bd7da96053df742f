//! Comparisons of tracium with its peers. `cargo run -p tracium-benches --release -- report` prints them all, in plain
//! text and as Markdown, in under 4 minutes; `report --quick` in under 40 seconds.
//!
//! Whatever has state of its process (a subscriber, a reporter, our `init`) is measured in a process of its own, which
//! is this program again with another word. It ends with a failure where a promise is broken: a span that was emitted
//! and neither delivered nor counted, or lost where none should be, or an allocation where there should be none.

mod alloc;
mod backends;
mod build;
mod child;
mod delivery;
mod encoders;
mod growth;
mod layers;
mod limit;
mod memory;
mod off;
mod peers;
mod report;
mod sides;
mod sink;
mod sizes;
mod spans;
mod table;
mod work;

use std::process::ExitCode;

use crate::sides::Plan;

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

const USAGE: &str = "usage: tracium-benches report [--quick] [section ..]
sections: off, spans, allocations, contention, extras, growth, encoders, burst, rate, sizes, layers; all without
by name only: build";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// False where the run found a promise broken.
fn run(words: &[&str]) -> Result<bool, String> {
    match words {
        ["report", rest @ ..] => {
            let (options, sections): (Vec<&str>, Vec<&str>) = rest.iter().partition(|word| word.starts_with("--"));
            if options.iter().any(|option| *option != "--quick") || !report::are_sections(&sections) {
                return Err(USAGE.to_owned());
            }
            return report::report(Plan { quick: !options.is_empty() }, &sections);
        }
        // The rest is what this program asks of itself.
        ["serve", peer] => child::serve(peer)?,
        ["counted", which, calls] => off::run_counted(which, number(calls)?)?,
        ["sink"] => sink::serve()?,
        ["requests", url, records] => backends::serve(url, number(records)?)?,
        ["burst", by, url, threads, traces] => delivery::burst_ours(by, url, number(threads)?, number(traces)?)?,
        ["burst-peer", peer, threads, traces] => delivery::burst_peer(peer, number(threads)?, number(traces)?)?,
        ["deliver", by, url, traces] => delivery::deliver(by, url, number(traces)?)?,
        _ => return Err(USAGE.to_owned()),
    }
    Ok(true)
}

fn number(word: &str) -> Result<usize, String> {
    word.parse().map_err(|_| USAGE.to_owned())
}
