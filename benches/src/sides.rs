//! The parent's side: a process for each peer, and rounds of all by turns, so that drift hits all alike.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::child::{Round, UNSUPPORTED};
use crate::work::Work;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) quick: bool,
}

impl Plan {
    /// `full`, or `quick` of it.
    pub(crate) fn pick<T>(self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// Another process of this program.
pub(crate) fn own(arguments: &[&str]) -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    // What is set around the bench must not change what it measures.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("TRACIUM_") || name.starts_with("OTEL_")) {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    Ok(command)
}

/// A process of this program that answers lines with lines.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Side {
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Result<Self, String> {
        let mut command = own(arguments)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("{name}: no pipes"));
        };
        Ok(Self { name: name.to_owned(), child, input: Some(input), output: BufReader::new(output) })
    }

    pub(crate) fn peer(name: &str) -> Result<Self, String> {
        Self::start(name, &["serve", name])
    }

    pub(crate) fn say(&mut self, line: &str) -> Result<(), String> {
        let input = self.input.as_mut().ok_or_else(|| format!("{}: has been closed", self.name))?;
        writeln!(input, "{line}").map_err(|error| format!("{}: {error}", self.name))
    }

    pub(crate) fn hear(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(0) => Err(format!("{}: its process ended (what it said is above)", self.name)),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(format!("{}: {error}", self.name)),
        }
    }

    /// One round; `None` where the peer has no such thing.
    pub(crate) fn round(&mut self, work: &Work) -> Result<Option<Round>, String> {
        self.say(&work.to_line())?;
        let line = self.hear()?;
        if line == UNSUPPORTED {
            return Ok(None);
        }
        Round::from_line(&line).map(Some).ok_or_else(|| format!("{}: answered {line:?}", self.name))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // The end of its input is the end of the process.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// What the rounds of one peer came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Nanoseconds per operation, sorted.
    nanos: Vec<f64>,
    allocations: Vec<f64>,
    settling: Vec<f64>,
    pub(crate) lost: u64,
    pub(crate) emitted: u64,
    pub(crate) resident: u64,
}

impl Sample {
    pub(crate) fn of(mut nanos: Vec<f64>) -> Self {
        nanos.sort_by(f64::total_cmp);
        Self { nanos, ..Self::default() }
    }

    pub(crate) fn median(&self) -> f64 {
        middle(&self.nanos)
    }

    pub(crate) fn min(&self) -> f64 {
        self.nanos.first().copied().unwrap_or(f64::NAN)
    }

    /// What a span took on the other side, until it was delivered: where there were many in a round.
    pub(crate) fn settling(&self) -> f64 {
        middle(&self.settling)
    }

    /// Of a span: the middle and the mean of all rounds.
    pub(crate) fn allocations(&self) -> (f64, f64) {
        let sum: f64 = self.allocations.iter().sum();
        (middle(&self.allocations), sum / f64::from(self.allocations.len() as u32))
    }
}

fn middle(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Rounds of `work` on all `sides` by turns. A side that has no such thing has no sample.
pub(crate) fn compare(sides: &mut [Side], work: &Work, plan: Plan) -> Result<Vec<Option<Sample>>, String> {
    compare_for(sides, work, plan.pick(150, 25), Duration::from_millis(plan.pick(8_000, 900)))
}

pub(crate) fn compare_for(
    sides: &mut [Side],
    work: &Work,
    rounds: usize,
    most: Duration,
) -> Result<Vec<Option<Sample>>, String> {
    const FEWEST: usize = 5;
    let mut samples = Vec::new();
    for side in &mut *sides {
        // Twice first, for what only the first time costs: pages, lazily made statics, branches to be learned.
        let known = side.round(work)?.is_some() && side.round(work)?.is_some();
        samples.push(known.then(Sample::default));
    }
    let started = Instant::now();
    let mut done = 0;
    while done < FEWEST.min(rounds) || (done < rounds && started.elapsed() < most) {
        for turn in 0..sides.len() {
            // Nobody is always the one behind the slowest.
            let at = (turn + done) % sides.len();
            let (Some(sample), Some(side)) = (&mut samples[at], sides.get_mut(at)) else { continue };
            let Some(round) = side.round(work)? else { continue };
            sample.nanos.push(per(round.nanos, work.all_spans()));
            sample.allocations.push(per(round.allocations, work.all_spans()));
            sample.settling.push(per(round.settling_nanos, round.emitted));
            sample.lost += round.lost;
            sample.emitted += round.emitted;
            sample.resident = round.resident;
        }
        done += 1;
    }
    for sample in samples.iter_mut().flatten() {
        sample.nanos.sort_by(f64::total_cmp);
        sample.allocations.sort_by(f64::total_cmp);
        sample.settling.sort_by(f64::total_cmp);
    }
    Ok(samples)
}

#[allow(clippy::cast_precision_loss)] // Far below 2^52.
fn per(total: u64, spans: u64) -> f64 {
    total as f64 / spans as f64
}
