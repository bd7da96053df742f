//! Texts of errors and panics: drivers put connection strings and requests into them.

use super::escape::{cut_marker, floor_boundary};
use super::secrets;

/// Replaces secrets in a text: user info and queries of URLs, bearer tokens, keys that show by their form. The result
/// has at most `max_chars` characters; what was cut is counted in a marker at its end.
pub(crate) fn scrub_text(text: &str, max_chars: usize) -> String {
    let edited = secrets::redact(text, max_chars.saturating_mul(4), true);
    let left = text.len() - edited.consumed;
    let (clean, max) = (edited.text, max_chars);
    if left == 0 && (clean.len() <= max || clean.chars().nth(max).is_none()) {
        return clean.into_owned();
    }
    // The number of cut bytes shrinks with what is kept, and so may its digits: the longest marker decides.
    let room = max.saturating_sub(cut_marker(Some(text.len())).chars().count());
    if room == 0 {
        return clean.chars().take(max).collect();
    }
    let kept = clean.char_indices().nth(room).map_or(clean.len(), |(at, _)| at);
    let kept = floor_boundary(&clean, kept);
    let mut out = clean[..kept].to_owned();
    out.push_str(&cut_marker(Some(clean.len() - kept + left)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_user_info_and_queries() {
        for (text, expected) in [
            (
                "connect postgres://user:pass@db.local:5432/x failed",
                "connect postgres://[redacted]@db.local:5432/x failed",
            ),
            ("GET https://api.x.com/v1?key=abc&b=1: 401", "GET https://api.x.com/v1?[redacted] 401"),
            ("url (http://u:p@h/p?a=b) gone", "url (http://[redacted]@h/p?[redacted]) gone"),
            ("redis://:p@ss@host", "redis://[redacted]@host"),
            ("HTTPS://h?t=1", "HTTPS://h?[redacted]"),
            ("ws://h?t=1 what?", "ws://h?t=1 what?"),
            ("got Bearer abc123def and sk-abcdefghijklmnop", "got Bearer [redacted] and [redacted]"),
        ] {
            assert_eq!(scrub_text(text, 10_000), expected);
        }
    }

    #[test]
    fn the_result_never_exceeds_its_limit() {
        for text in ["é".repeat(500), "abc".repeat(300), format!("{}sk-{}", "x ".repeat(40), "y".repeat(90))] {
            for max in 0..200 {
                let out = scrub_text(&text, max);
                assert!(out.chars().count() <= max, "{max}");
                assert!(!out.contains("yy"));
                assert!(max < 40 || text.contains("sk-") || out.contains(" bytes cut]"));
            }
        }
        assert_eq!(scrub_text("short", 5), "short");
        assert!(scrub_text(&"a".repeat(10_001), 10_000).len() > 9_990);
    }
}
