//! Times and texts as the API wants them.

// Dates are small numbers: those that are not are refused where they are read.
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss)]

use std::borrow::Cow;

use super::super::text::cut;

/// An agent's name as the API takes it: what it does not is replaced, since a refused create would cost the trace.
pub(super) fn agent_name(name: &str) -> Cow<'_, str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.');
    let name = if name.is_empty() { "agent" } else { cut(name, 256) };
    if name.chars().all(allowed) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.chars().map(|c| if allowed(c) { c } else { '_' }).collect())
    }
}

/// `id` as one segment of a path: the backend may have answered any text as an id.
pub(super) fn path_segment(id: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if id.bytes().all(plain) {
        return Cow::Borrowed(id);
    }
    let mut out = String::new();
    for byte in id.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(out)
}

/// Appends RFC 3339 in UTC, with microseconds. Two a span: digits go straight into the buffer.
pub(super) fn write_rfc3339(out: &mut Vec<u8>, unix_nanos: u64) {
    let seconds = unix_nanos / 1_000_000_000;
    let (year, month, day) = civil((seconds / 86_400) as i64);
    let mut text = *b"0000-00-00T00:00:00.000000+00:00";
    let mut put = |from: usize, to: usize, mut value: u64| {
        for digit in text[from..to].iter_mut().rev() {
            *digit = b'0' + (value % 10) as u8;
            value /= 10;
        }
    };
    put(0, 4, year as u64);
    put(5, 7, u64::from(month));
    put(8, 10, u64::from(day));
    put(11, 13, seconds / 3_600 % 24);
    put(14, 16, seconds / 60 % 60);
    put(17, 19, seconds % 60);
    put(20, 26, unix_nanos / 1_000 % 1_000_000);
    out.extend_from_slice(&text);
}

/// The date that is `days` after 1970-01-01, in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, u32, u32) {
    // Counted in eras of 400 years that begin on March 1st, so that the leap day is the last of its year.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * from_march + 2) / 5 + 1) as u32;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc3339(unix_nanos: u64) -> String {
        let mut out = Vec::new();
        write_rfc3339(&mut out, unix_nanos);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_rfc_3339_in_utc_with_microseconds() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(rfc3339(951_782_400_000_001_999), "2000-02-29T00:00:00.000001+00:00");
        assert_eq!(rfc3339(1_795_198_256_934_646_000), "2026-11-20T18:10:56.934646+00:00");
    }

    #[test]
    fn agent_names_hold_only_what_the_api_takes() {
        assert_eq!(agent_name("support-bot v1.2"), "support-bot v1.2");
        assert_eq!(agent_name("no/slash"), "no_slash");
        assert_eq!(agent_name(""), "agent");
        assert_eq!(agent_name(&"é".repeat(300)).chars().count(), 256);
    }

    #[test]
    fn ids_stay_one_segment_of_a_path() {
        assert_eq!(path_segment("a-b_1"), "a-b_1");
        assert_eq!(path_segment("../x?y"), "%2E%2E%2Fx%3Fy");
    }
}
