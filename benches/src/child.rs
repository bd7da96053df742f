//! A peer's process: it does a round of work for each line on its standard input, and answers with a line.

use std::io::{BufRead, Write};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::alloc::allocations;
use crate::memory;
use crate::peers::{self, Peer};
use crate::work::Work;

/// What a peer answers to work that it has no way to do.
pub(crate) const UNSUPPORTED: &str = "unsupported";

/// What a round came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) nanos: u64,
    pub(crate) allocations: u64,
    pub(crate) emitted: u64,
    /// Emitted and never delivered.
    pub(crate) lost: u64,
    /// Resident memory behind it, in bytes.
    pub(crate) resident: u64,
    /// What it took until all was delivered, after the round: the other side's part.
    pub(crate) settling_nanos: u64,
}

impl Round {
    fn to_line(self) -> String {
        let Self { nanos, allocations, emitted, lost, resident, settling_nanos } = self;
        format!("{nanos} {allocations} {emitted} {lost} {resident} {settling_nanos}")
    }

    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map_while(|word| word.parse().ok());
        Some(Self {
            nanos: numbers.next()?,
            allocations: numbers.next()?,
            emitted: numbers.next()?,
            lost: numbers.next()?,
            resident: numbers.next()?,
            settling_nanos: numbers.next()?,
        })
    }
}

/// Serves rounds of the peer called `name`, until its input ends.
pub(crate) fn serve(name: &str) -> Result<(), String> {
    let peer = peers::start(name)?;
    let mut emitted = 0;
    let mut lost_before = 0;
    for line in std::io::stdin().lock().lines() {
        let work = Work::from_line(&line.map_err(|error| error.to_string())?)?;
        let answer = match round(&*peer, &work) {
            None => UNSUPPORTED.to_owned(),
            Some((took, allocations, of_round)) => {
                emitted += of_round;
                let ended = Instant::now();
                let lost = lost(&*peer, name, emitted)?;
                let settling_nanos = ended.elapsed().as_nanos() as u64;
                let round = Round {
                    nanos: took.as_nanos() as u64,
                    allocations,
                    emitted: of_round,
                    // A peer may still deliver what counted as lost.
                    lost: lost.saturating_sub(lost_before),
                    resident: memory::resident(),
                    settling_nanos,
                };
                lost_before = lost.max(lost_before);
                round.to_line()
            }
        };
        println!("{answer}");
        std::io::stdout().flush().map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// What was emitted and not delivered. Ours has to know of each, and why.
fn lost(peer: &dyn Peer, name: &str, emitted: u64) -> Result<u64, String> {
    let account = peer.settle()?;
    let lost = emitted.checked_sub(account.delivered).ok_or_else(|| {
        format!("{name}: {} were delivered, and only {emitted} emitted: the bench counts wrongly", account.delivered)
    })?;
    if name == "tracium" && lost != account.dropped {
        return Err(format!("{name}: of {emitted} spans {lost} did not arrive, and {} count as lost", account.dropped));
    }
    Ok(lost)
}

/// A tenth of `work` ahead of the clock: while the other peers had their turn, the caches and the branch predictor have
/// forgotten this one, which hits the fastest hardest. What it emitted.
fn warm(peer: &dyn Peer, work: &Work) -> u64 {
    let tenth = Work { threads: 1, traces: work.traces / 10, ..*work };
    if tenth.traces == 0 { 0 } else { peer.run(&tenth).map_or(0, |ran| ran.emitted) }
}

fn round(peer: &dyn Peer, work: &Work) -> Option<(Duration, u64, u64)> {
    if work.threads == 1 {
        let before = warm(peer, work);
        let mut ran = None;
        if work.counts {
            let allocated = allocations(|| ran = peer.run(work));
            return ran.map(|ran| (ran.took, allocated, ran.emitted + before));
        }
        return peer.run(work).map(|ran| (ran.took, 0, ran.emitted + before));
    }
    // All threads are there and warm before any starts. The time is from the first one's start to the last one's end,
    // by their own clocks: this thread may be the last to wake where there are fewer cores than threads.
    let barrier = Barrier::new(work.threads);
    let one = Work { threads: 1, ..*work };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..work.threads)
            .map(|_| {
                scope.spawn(|| {
                    let before = warm(peer, &one);
                    barrier.wait();
                    let started = Instant::now();
                    peer.run(&one).map(|ran| (started, Instant::now(), ran.emitted + before))
                })
            })
            .collect();
        let ran: Option<Vec<_>> = threads.into_iter().map(|thread| thread.join().expect("no bench panics")).collect();
        let ran = ran?;
        let started = ran.iter().map(|(started, ..)| *started).min()?;
        let ended = ran.iter().map(|(_, ended, _)| *ended).max()?;
        Some((ended - started, 0, ran.iter().map(|(.., emitted)| emitted).sum()))
    })
}
