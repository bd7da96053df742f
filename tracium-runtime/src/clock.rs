//! Time: a monotonic clock, tied once to the wall clock, so that a jump of the latter disturbs nothing.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment, in nanoseconds since the process first asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(u64);

struct Anchor {
    instant: Instant,
    /// Nanoseconds since the Unix epoch at `instant`.
    unix: u64,
}

fn anchor() -> &'static Anchor {
    static ANCHOR: OnceLock<Anchor> = OnceLock::new();
    ANCHOR.get_or_init(|| Anchor {
        instant: Instant::now(),
        unix: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos),
    })
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Timestamp {
    pub(crate) fn now() -> Self {
        Self(nanos(anchor().instant.elapsed()))
    }

    /// Nanoseconds since the Unix epoch, by the wall clock as it stood at the first timestamp.
    pub(crate) fn unix_nanos(self) -> u64 {
        anchor().unix.saturating_add(self.0)
    }

    /// How long after `earlier` this is; zero where it is before.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub(crate) fn system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.unix_nanos())
    }
}
