//! Durations and counts as people read them.

use std::time::Duration;

use crate::TokenUsage;

/// `3.2 s`, `45 ms`, `120 µs`: two digits or more, in the unit that needs the fewest.
pub(super) fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let micros = (nanos + 500) / 1_000;
    let millis = (nanos + 500_000) / 1_000_000;
    let tenths = (nanos + 50_000_000) / 100_000_000;
    let seconds = (nanos + 500_000_000) / 1_000_000_000;
    // Each limit is asked of the rounded number, so that none shows as a thousand of its unit.
    if nanos < 1_000 {
        format!("{nanos} ns")
    } else if micros < 1_000 {
        format!("{micros} µs")
    } else if millis < 1_000 {
        format!("{millis} ms")
    } else if tenths < 600 {
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else if seconds < 3_600 {
        format!("{} min {} s", seconds / 60, seconds % 60)
    } else {
        let minutes = (seconds + 30) / 60;
        format!("{} h {} min", thousands(u64::try_from(minutes / 60).unwrap_or(u64::MAX)), minutes % 60)
    }
}

/// `1,234,567`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1.2M`, for where there is no room for every digit.
pub(super) fn compact(number: u64) -> String {
    const UNITS: [char; 6] = ['k', 'M', 'G', 'T', 'P', 'E'];
    let mut unit = 1_u64;
    for name in UNITS {
        let next = unit.saturating_mul(1_000);
        if number < next {
            break;
        }
        let (whole, tenth) = (number / next, number % next / (next / 10));
        if whole < 1_000 {
            return if whole < 100 { format!("{whole}.{tenth}{name}") } else { format!("{whole}{name}") };
        }
        unit = next;
    }
    number.to_string()
}

/// `812→64 tok`.
pub(super) fn tokens(usage: TokenUsage) -> String {
    format!("{}→{} tok", thousands(usage.input), thousands(usage.output))
}

/// `(512 cached)`, where some are.
pub(super) fn cached(usage: TokenUsage) -> String {
    match usage.cached_input {
        Some(cached) if cached > 0 => format!("({} cached)", thousands(cached)),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_the_unit_that_needs_the_fewest_digits() {
        for (nanos, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1 µs"),
            (120_000, "120 µs"),
            (999_499, "999 µs"),
            (999_500, "1 ms"),
            (45_000_000, "45 ms"),
            (999_499_999, "999 ms"),
            (999_500_000, "1.0 s"),
            (3_249_000_000, "3.2 s"),
            (59_949_000_000, "59.9 s"),
            (59_950_000_000, "1 min 0 s"),
            (125_400_000_000, "2 min 5 s"),
            (3_599_500_000_000, "1 h 0 min"),
            (7_530_000_000_000, "2 h 6 min"),
        ] {
            assert_eq!(duration(Duration::from_nanos(nanos)), text, "{nanos}");
        }
        assert_eq!(duration(Duration::MAX), "5,124,095,576,030,431 h 0 min");
    }

    #[test]
    fn counts_are_grouped_by_thousands_or_cut_to_a_unit() {
        for (number, grouped, short) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (1_000, "1,000", "1.0k"),
            (12_345, "12,345", "12.3k"),
            (999_999, "999,999", "999k"),
            (1_234_567, "1,234,567", "1.2M"),
            (u64::MAX, "18,446,744,073,709,551,615", "18.4E"),
        ] {
            assert_eq!((thousands(number).as_str(), compact(number).as_str()), (grouped, short));
        }
    }

    #[test]
    fn tokens_say_what_went_in_and_what_came_out() {
        let usage = TokenUsage::new(1_812, 64);
        assert_eq!((tokens(usage), cached(usage)), ("1,812→64 tok".to_owned(), String::new()));
        assert_eq!(cached(usage.cached_input(512)), "(512 cached)");
        assert_eq!(cached(usage.cached_input(0)), "");
    }
}
