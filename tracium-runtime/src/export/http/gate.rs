//! How fast to go on after a failure: jittered exponential backoff, for one sender and for the backend as a whole.

use std::time::{Duration, Instant};

use crate::id::next_random;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);
/// A `Retry-After` of hours would be a way to make us forget everything.
const LONGEST_ASKED: Duration = Duration::from_secs(120);

/// Whether the backend takes anything at all: while it is down, one request at a time asks.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    failures: u32,
    until: Option<Instant>,
}

impl Gate {
    /// An answer came: the backend is there.
    pub(crate) fn open(&mut self) {
        *self = Self::default();
    }

    /// How long to wait after the `attempts`-th failure. Where the backend as a whole is down, everyone waits.
    pub(crate) fn pause(&mut self, attempts: u32, asked: Option<Duration>, backend_down: bool) -> Duration {
        let now = Instant::now();
        let attempts = if backend_down {
            // Requests that were under way together fail together: that is one failure.
            if self.until.is_none_or(|until| until <= now) {
                self.failures += 1;
            }
            self.failures
        } else {
            attempts
        };
        let pause = asked.map_or_else(|| backoff(attempts), |asked| asked.min(LONGEST_ASKED));
        if backend_down {
            self.until = Some(now + pause);
        }
        pause
    }

    /// How many requests may be under way at `now`.
    pub(crate) fn width(&self, now: Instant, most: usize) -> usize {
        match self.until {
            Some(until) if now < until => 0,
            Some(_) => 1,
            None => most,
        }
    }

    /// `due`, or when the gate opens if that is later.
    pub(crate) fn not_before(&self, due: Instant) -> Instant {
        self.until.map_or(due, |until| due.max(until))
    }
}

/// Full jitter over the upper half: failures that came together do not come back together.
fn backoff(attempts: u32) -> Duration {
    let most = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(LONGEST);
    let half = most / 2;
    let jitter = next_random() % (half.as_millis() as u64 + 1);
    half + Duration::from_millis(jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_and_is_bounded() {
        for attempts in 1..40 {
            let pause = backoff(attempts);
            assert!(pause >= FIRST / 2 && pause <= LONGEST, "{attempts}: {pause:?}");
        }
        assert!(backoff(10) > Duration::from_secs(10));
    }

    #[test]
    fn a_backend_that_is_down_is_asked_by_one_request_at_a_time() {
        let mut gate = Gate::default();
        let now = Instant::now();
        assert_eq!(gate.width(now, 32), 32);
        let pause = gate.pause(1, None, true);
        assert_eq!(gate.width(now, 32), 0);
        assert_eq!(gate.width(now + pause + Duration::from_secs(1), 32), 1);
        gate.open();
        assert_eq!(gate.width(now, 32), 32);
    }

    #[test]
    fn requests_that_fail_together_are_one_failure() {
        let mut gate = Gate::default();
        let pauses: Vec<_> = (0..32).map(|_| gate.pause(1, None, true)).collect();
        assert!(pauses.iter().all(|pause| *pause <= FIRST), "{pauses:?}");
    }

    #[test]
    fn retry_after_is_honoured_and_capped() {
        let mut gate = Gate::default();
        assert_eq!(gate.pause(1, Some(Duration::from_secs(7)), true), Duration::from_secs(7));
        assert_eq!(gate.pause(1, Some(Duration::from_secs(86_400)), true), LONGEST_ASKED);
    }
}
