//! How fast to go on after a failure: jittered exponential backoff, for one sender and for the backend as a whole.

use std::time::{Duration, Instant};

use crate::config::Backoff;
use crate::id::next_random;

/// A `Retry-After` of hours would be a way to make us forget everything.
const LONGEST_ASKED: Duration = Duration::from_secs(120);

/// Whether the backend takes anything at all: while it is down, one request at a time asks.
#[derive(Debug)]
pub(crate) struct Gate {
    backoff: Backoff,
    /// When the first of the failures was.
    since: Option<Instant>,
    failures: u32,
    until: Option<Instant>,
}

impl Gate {
    pub(crate) fn new(backoff: Backoff) -> Self {
        Self { backoff, since: None, failures: 0, until: None }
    }

    /// An answer came: the backend is there.
    pub(crate) fn open(&mut self) {
        *self = Self::new(self.backoff);
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
        let pause = asked.map_or_else(|| self.backoff.pause(attempts), |asked| asked.min(LONGEST_ASKED));
        if backend_down {
            self.since.get_or_insert(now);
            self.until = Some(now + pause);
        }
        pause
    }

    /// Whether the backend has been down for `long` at `now`.
    pub(crate) fn is_down_for(&self, long: Duration, now: Instant) -> bool {
        self.since.is_some_and(|since| now >= since + long)
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

impl Backoff {
    /// Full jitter over the upper half: failures that came together do not come back together.
    fn pause(self, attempts: u32) -> Duration {
        let most = self.first.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(self.longest);
        let half = most / 2;
        let jitter = next_random() % (half.as_micros() as u64 + 1);
        half + Duration::from_micros(jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_and_is_bounded() {
        let backoff = Backoff::default();
        for attempts in 1..40 {
            let pause = backoff.pause(attempts);
            assert!(pause >= backoff.first / 2 && pause <= backoff.longest, "{attempts}: {pause:?}");
        }
        assert!(backoff.pause(10) > Duration::from_secs(10));
    }

    #[test]
    fn a_backend_that_is_down_is_asked_by_one_request_at_a_time() {
        let mut gate = Gate::new(Backoff::default());
        let now = Instant::now();
        assert_eq!(gate.width(now, 32), 32);
        let pause = gate.pause(1, None, true);
        assert_eq!(gate.width(now, 32), 0);
        assert_eq!(gate.width(now + pause + Duration::from_secs(1), 32), 1);
        gate.pause(2, None, true);
        assert!(gate.is_down_for(Duration::from_secs(1), now + Duration::from_secs(2)), "since the first of them");
        assert!(!gate.is_down_for(Duration::from_secs(1), now));
        gate.open();
        assert_eq!(gate.width(now, 32), 32);
        assert!(!gate.is_down_for(Duration::ZERO, now));
    }

    #[test]
    fn requests_that_fail_together_are_one_failure() {
        let mut gate = Gate::new(Backoff::default());
        let pauses: Vec<_> = (0..32).map(|_| gate.pause(1, None, true)).collect();
        assert!(pauses.iter().all(|pause| *pause <= Backoff::default().first), "{pauses:?}");
    }

    #[test]
    fn retry_after_is_honoured_and_capped() {
        let mut gate = Gate::new(Backoff::default());
        assert_eq!(gate.pause(1, Some(Duration::from_secs(7)), true), Duration::from_secs(7));
        assert_eq!(gate.pause(1, Some(Duration::from_secs(86_400)), true), LONGEST_ASKED);
    }
}
