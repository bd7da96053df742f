//! Time: a counter that is read in nanoseconds of cost, tied to the wall clock on the export side only.
//!
//! On `x86_64` machines whose kernel itself keeps time by the processor's time-stamp counter, that counter is read
//! (8.6 ns where `Instant::now` takes 18.8 ns, and a span needs two); everywhere else it is `Instant`. Neither jumps with the wall clock.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment, in ticks of this process's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(NonZeroU64);

struct Clock {
    /// Ticks are the processor's; else they are nanoseconds since `start`.
    counter: bool,
    start: Instant,
    start_ticks: u64,
    /// Nanoseconds since the Unix epoch at `start`, by the wall clock as it stood then.
    start_unix: u64,
}

/// How ticks become time: measured anew now and then, since the two run apart by a few parts in a million.
#[derive(Clone, Copy)]
struct Scale {
    ticks: u64,
    /// Nanoseconds since the clock's start at `ticks`.
    nanos: u64,
    nanos_per_tick: f64,
    /// The last tick that it is good for.
    until: u64,
}

/// How long a measured scale is good for.
const FRESH: f64 = 1e9;
/// The shortest time that a scale is measured over: the two clocks are read within some 50 ns of each other.
const BASELINE: Duration = Duration::from_millis(2);

thread_local! {
    // Of the thread that asks, which is mostly the exporter's, twice a span: neither a lock nor a look at another clock.
    static SCALE: Cell<Option<Scale>> = const { Cell::new(None) };
}

/// The clock was started, and ticks are the processor's: all that a span needs to know of it.
static COUNTS: AtomicBool = AtomicBool::new(false);

fn clock() -> &'static Clock {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    CLOCK.get_or_init(|| {
        let start = Instant::now();
        let counter = counter::is_reliable();
        COUNTS.store(counter, Ordering::Relaxed);
        let start_ticks = if counter { counter::read() } else { 0 };
        Clock { counter, start, start_ticks, start_unix: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos) }
    })
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Clock {
    /// A scale that is good for `ticks`.
    #[inline]
    fn scale(&self, ticks: u64) -> Scale {
        match SCALE.get() {
            Some(scale) if ticks <= scale.until => scale,
            _ => self.measure(),
        }
    }

    #[cold]
    fn measure(&self) -> Scale {
        while self.start.elapsed() < BASELINE {
            std::thread::yield_now();
        }
        let ticks = counter::read();
        let nanos = nanos(self.start.elapsed());
        let passed = ticks.wrapping_sub(self.start_ticks).max(1);
        #[allow(clippy::cast_precision_loss)] // Days of ticks are exact to a nanosecond or so.
        let nanos_per_tick = nanos as f64 / passed as f64;
        #[allow(clippy::cast_sign_loss)]
        let until = ticks.saturating_add((FRESH / nanos_per_tick) as u64);
        let scale = Scale { ticks, nanos, nanos_per_tick, until };
        SCALE.set(Some(scale));
        scale
    }

    /// Nanoseconds since the clock's start.
    fn nanos_at(&self, ticks: u64) -> u64 {
        if !self.counter {
            return ticks;
        }
        let scale = self.scale(ticks);
        #[allow(clippy::cast_precision_loss, clippy::cast_sign_loss)]
        let apart = |ticks: u64| (ticks as f64 * scale.nanos_per_tick) as u64;
        match ticks.checked_sub(scale.ticks) {
            Some(after) => scale.nanos + apart(after),
            None => scale.nanos.saturating_sub(apart(scale.ticks - ticks)),
        }
    }
}

impl Timestamp {
    #[inline(always)]
    pub(crate) fn now() -> Self {
        // A tick more or less costs nothing, and never 0 saves a test.
        let ticks = if COUNTS.load(Ordering::Relaxed) { counter::read() } else { Self::ticks() } | 1;
        Self::from_u64(ticks)
    }

    /// Where the clock is not the counter, or not started yet.
    #[cold]
    fn ticks() -> u64 {
        let clock = clock();
        if clock.counter { counter::read() } else { nanos(clock.start.elapsed()) }
    }

    #[inline]
    pub(crate) fn to_u64(self) -> u64 {
        self.0.get()
    }

    #[inline]
    pub(crate) fn from_u64(ticks: u64) -> Self {
        Self(NonZeroU64::new(ticks).unwrap_or(NonZeroU64::MIN))
    }

    /// Nanoseconds since the Unix epoch, by the wall clock as it stood when the clock started.
    pub(crate) fn unix_nanos(self) -> u64 {
        let clock = clock();
        clock.start_unix.saturating_add(clock.nanos_at(self.to_u64()))
    }

    /// How long after `earlier` this is; zero where it is before.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let clock = clock();
        Duration::from_nanos(clock.nanos_at(self.to_u64()).saturating_sub(clock.nanos_at(earlier.to_u64())))
    }

    pub(crate) fn system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.unix_nanos())
    }
}

#[cfg(target_arch = "x86_64")]
mod counter {
    /// Whether the kernel keeps its own time by this counter: it has checked then that the counter runs at one
    /// rate, on all cores alike.
    pub(super) fn is_reliable() -> bool {
        let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        std::fs::read_to_string(source).is_ok_and(|name| name.trim() == "tsc")
    }

    #[inline]
    #[allow(unsafe_code)]
    pub(super) fn read() -> u64 {
        // SAFETY: every x86_64 processor has the instruction; it reads a register and touches no memory.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod counter {
    pub(super) fn is_reliable() -> bool {
        false
    }

    pub(super) fn read() -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_runs_with_the_systems() {
        // Read before and after ours, so that it does not matter where the thread is kept waiting.
        let (before, first, after) = (Instant::now(), Timestamp::now(), Instant::now());
        std::thread::sleep(Duration::from_millis(30));
        let (least, ours, most) = (after.elapsed(), Timestamp::now().since(first), before.elapsed());
        assert!(least.mul_f64(0.99) <= ours && ours <= most.mul_f64(1.01), "{least:?}, {ours:?}, {most:?}");
        let wall = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap();
        let apart = wall(SystemTime::now()).abs_diff(wall(Timestamp::now().system_time()));
        assert!(apart < Duration::from_secs(5), "{apart:?}");
    }

    /// Row 31 of the faults: the wall clock is looked at once, so that no jump of it reaches a duration or an order.
    #[test]
    fn times_of_day_are_as_far_apart_as_the_moments_are() {
        let moments: Vec<Timestamp> = (0..1_000).map(|_| Timestamp::now()).collect();
        let clock = clock();
        for pair in moments.windows(2) {
            let apart = pair[1].system_time().duration_since(pair[0].system_time()).unwrap();
            assert!(apart.abs_diff(pair[1].since(pair[0])) <= Duration::from_nanos(1), "{pair:?}");
        }
        // A clock whose wall clock stood a day earlier or later shows other times of day, and the same durations.
        let day = 86_400 * 1_000_000_000;
        for start_unix in [clock.start_unix - day, clock.start_unix + day] {
            let jumped = Clock { start_unix, ..*clock };
            let (first, last) = (moments[0].to_u64(), moments[999].to_u64());
            assert_eq!(jumped.nanos_at(last) - jumped.nanos_at(first), clock.nanos_at(last) - clock.nanos_at(first));
        }
    }

    #[test]
    fn a_later_moment_is_never_earlier() {
        let first = Timestamp::now();
        let second = Timestamp::now();
        assert!(second >= first);
        assert_eq!(first.since(second), Duration::ZERO);
    }
}
