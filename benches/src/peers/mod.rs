//! Whoever is measured: the same functions, annotated in each one's way.

pub(crate) mod fastrace;
pub(crate) mod opentelemetry;
pub(crate) mod ours;
pub(crate) mod tracing;

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::work::Work;

/// A library that records spans, set up in this process.
pub(crate) trait Peer: Sync {
    /// Does the work on this thread; `None` where there is no such thing.
    fn run(&self, work: &Work) -> Option<Ran>;

    /// Waits until all that was emitted has been delivered or lost.
    fn settle(&self) -> Result<Account, String>;
}

/// What a round came to, on one thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran {
    pub(crate) took: Duration,
    /// Also what was emitted outside the time, such as to prepare it.
    pub(crate) emitted: u64,
}

/// What has become of all that was emitted, ever.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    pub(crate) delivered: u64,
    pub(crate) dropped: u64,
}

/// Times `trace`, as often as `work` says.
pub(crate) fn traces(work: &Work, mut trace: impl FnMut(u64)) -> Ran {
    let leaves = work.leaves();
    let started = Instant::now();
    for _ in 0..work.traces {
        trace(leaves);
    }
    Ran { took: started.elapsed(), emitted: (work.traces * work.spans) as u64 }
}

/// Polls `future` until it is ready. No thread is parked: whatever is pending here is to be polled again.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// Pending once.
#[derive(Debug, Default)]
pub(crate) struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A value to capture.
pub(crate) fn text(bytes: usize) -> String {
    "The quick brown fox jumps over the lazy dog. ".chars().cycle().take(bytes).collect()
}

/// Sets up the peer of that name; once a process.
pub(crate) fn start(name: &str) -> Result<Box<dyn Peer>, String> {
    match name {
        "tracium" => Ok(Box::new(ours::Ours::start()?)),
        "fastrace" => Ok(Box::new(fastrace::Fastrace::start())),
        "opentelemetry" => Ok(Box::new(opentelemetry::Otel::start())),
        "tracing" => Ok(Box::new(tracing::Tracing::start())),
        _ => Err(format!("no peer is called {name:?}")),
    }
}
