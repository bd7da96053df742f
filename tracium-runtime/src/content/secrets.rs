//! Secrets that show by their form, wherever they stand in a string.

use super::edits::{Edited, Edits};
use super::encoded::data_url;
use super::url::url;

/// What replaces a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// Bytes at which some form is tested. They are rare in text, so that one scan for them is nearly all the work.
const fn is_anchor(byte: u8) -> bool {
    matches!(byte, b'b' | b'B' | b'-' | b'_' | b'K' | b':' | b';' | b'J')
}

/// Where the next of them is. Blocks without one are skipped by a branch-free test that the compiler vectorizes.
fn next_anchor(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(block) = bytes[at..].first_chunk::<32>() {
        // Each byte against each anchor, so that no table is in the way.
        let hit = block.iter().fold(0, |hit, &byte| {
            let is = |anchor: u8| u8::from(byte == anchor);
            hit | is(b'b') | is(b'B') | is(b'-') | is(b'_') | is(b'K') | is(b':') | is(b';') | is(b'J')
        });
        if hit != 0 {
            break;
        }
        at += block.len();
    }
    bytes[at..].iter().position(|&byte| is_anchor(byte)).map(|found| at + found)
}

/// Replaces secrets and data URLs in a text, of which about `limit` bytes are wanted. `queries` redacts those of http
/// URLs as well: right for error texts, wrong for content.
pub(super) fn redact(text: &str, limit: usize, queries: bool) -> Edited<'_> {
    let bytes = text.as_bytes();
    let mut edits = Edits::new(text, limit);
    let mut at = 0;
    loop {
        let horizon = edits.horizon();
        let Some(found) = bytes.get(at..horizon).and_then(next_anchor) else { break };
        at += found;
        at = match bytes[at] {
            b'-' => key_block(&mut edits, at).or_else(|| dashed(&mut edits, at)),
            b'_' => underscored(&mut edits, at),
            b'K' => access_key_id(&mut edits, at),
            b'J' => web_token(&mut edits, at),
            b':' => url(&mut edits, at, queries),
            b';' => data_url(&mut edits, at),
            _ => scheme(&mut edits, at),
        }
        .unwrap_or(at + 1);
    }
    edits.finish(text.len())
}

/// How many bytes of `bytes` from `at` on satisfy `test`.
fn run(bytes: &[u8], at: usize, test: impl Fn(u8) -> bool) -> usize {
    bytes[at..].iter().take_while(|&&byte| test(byte)).count()
}

/// Letters of keys: `[A-Za-z0-9_-]`.
const fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Letters of bearer tokens (RFC 6750).
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// Replaces a key that begins with `prefix`, whose last byte stands at `at`, when `least` letters of it follow.
fn prefixed(edits: &mut Edits<'_>, at: usize, prefix: &[u8], least: usize) -> Option<usize> {
    let bytes = edits.source().as_bytes();
    let start = (at + 1).checked_sub(prefix.len()).filter(|&start| start >= edits.settled())?;
    let begins = start == 0 || !bytes[start - 1].is_ascii_alphanumeric();
    if !begins || &bytes[start..=at] != prefix {
        return None;
    }
    let letters = run(bytes, at + 1, is_key);
    if letters < least {
        return None;
    }
    let end = at + 1 + letters;
    edits.replace(start, end, REDACTED);
    Some(end)
}

/// `sk-`, `xoxb-` and the like, by their dash.
fn dashed(edits: &mut Edits<'_>, at: usize) -> Option<usize> {
    match edits.source().as_bytes().get(at.checked_sub(1)?)? {
        b'k' => prefixed(edits, at, b"sk-", 16),
        b't' => prefixed(edits, at, b"glpat-", 16),
        b'a' => prefixed(edits, at, b"xoxa-", 8),
        b'b' => prefixed(edits, at, b"xoxb-", 8),
        b'p' => prefixed(edits, at, b"xoxp-", 8),
        b'r' => prefixed(edits, at, b"xoxr-", 8),
        b's' => prefixed(edits, at, b"xoxs-", 8),
        _ => None,
    }
}

/// `ghp_`, `github_pat_`, `sk_live_` and the like, by their underscore.
fn underscored(edits: &mut Edits<'_>, at: usize) -> Option<usize> {
    match edits.source().as_bytes().get(at.checked_sub(1)?)? {
        b'p' => prefixed(edits, at, b"ghp_", 16),
        b'o' => prefixed(edits, at, b"gho_", 16),
        b'u' => prefixed(edits, at, b"ghu_", 16),
        b's' => prefixed(edits, at, b"ghs_", 16),
        b'r' => prefixed(edits, at, b"ghr_", 16),
        b'f' => prefixed(edits, at, b"hf_", 20),
        b'e' => prefixed(edits, at, b"sk_live_", 16).or_else(|| prefixed(edits, at, b"rk_live_", 16)),
        b't' => prefixed(edits, at, b"github_pat_", 16).or_else(|| prefixed(edits, at, b"sk_test_", 16)),
        _ => None,
    }
}

/// `AKIA` and 16 capitals or digits, by the K.
fn access_key_id(edits: &mut Edits<'_>, at: usize) -> Option<usize> {
    let bytes = edits.source().as_bytes();
    let start = at.checked_sub(1).filter(|&start| start >= edits.settled())?;
    if !bytes[start..].starts_with(b"AKIA") || (start > 0 && bytes[start - 1].is_ascii_alphanumeric()) {
        return None;
    }
    let letters = run(bytes, start + 4, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let end = start + 4 + letters;
    if letters < 16 {
        return None;
    }
    edits.replace(start, end, REDACTED);
    Some(end)
}

/// `eyJ...` in three parts, by the J: a JSON web token.
fn web_token(edits: &mut Edits<'_>, at: usize) -> Option<usize> {
    let bytes = edits.source().as_bytes();
    let start = at.checked_sub(2).filter(|&start| start >= edits.settled())?;
    if !bytes[start..].starts_with(b"eyJ") || (start > 0 && is_key(bytes[start - 1])) {
        return None;
    }
    let mut end = start;
    for least in [10, 10, 0] {
        let letters = run(bytes, end, is_key);
        if letters < least {
            return None;
        }
        end += letters;
        if least > 0 {
            if bytes.get(end) != Some(&b'.') {
                return None;
            }
            end += 1;
        }
    }
    edits.replace(start, end, REDACTED);
    Some(end)
}

/// `-----BEGIN .. PRIVATE KEY-----` up to its end, or to the text's where the end was cut off.
fn key_block(edits: &mut Edits<'_>, at: usize) -> Option<usize> {
    let source = edits.source();
    let title = source[at..].strip_prefix("-----BEGIN ")?;
    let len = run(title.as_bytes(), 0, |byte| byte.is_ascii_uppercase() || byte == b' ');
    let label = &title[..len];
    if !(label.ends_with("PRIVATE KEY") || label.ends_with("PRIVATE KEY BLOCK")) || !title[len..].starts_with("-----") {
        return None;
    }
    let closing = format!("-----END {label}-----");
    let end = source[at..].find(&closing).map_or(source.len(), |found| at + found + closing.len());
    edits.replace(at, end, REDACTED);
    Some(end)
}

/// `Bearer <token>`, and `Basic <base64>` after `authorization:`.
fn scheme(edits: &mut Edits<'_>, at: usize) -> Option<usize> {
    let bytes = edits.source().as_bytes();
    let named = |name: &[u8]| bytes[at..].get(..name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name));
    let (bearer, name) = match bytes.get(at + 1)?.to_ascii_lowercase() {
        b'e' if named(b"bearer") => (true, "bearer".len()),
        b'a' if named(b"basic") => (false, "basic".len()),
        _ => return None,
    };
    if at > 0 && bytes[at - 1].is_ascii_alphanumeric() {
        return None;
    }
    let spaces = run(bytes, at + name, |byte| byte == b' ' || byte == b'\t');
    let start = at + name + spaces;
    let mut len = run(bytes, start, is_token);
    // The end of a sentence is not the end of a token.
    while len > 0 && bytes[start + len - 1] == b'.' {
        len -= 1;
    }
    let token = &bytes[start..start + len];
    let header = follows_authorization(&bytes[..at]);
    let secret = header || (bearer && looks_like_token(token, bytes[at] == b'B'));
    if spaces == 0 || len == 0 || !secret {
        return None;
    }
    edits.replace(start, start + len, REDACTED);
    Some(start + len)
}

/// True when what comes before is `authorization:` or `"authorization": "`.
fn follows_authorization(before: &[u8]) -> bool {
    const NAME: &[u8] = b"authorization";
    let between = |byte: &u8| matches!(byte, b' ' | b'\t' | b':' | b'=' | b'"' | b'\'' | b'\\' | b'(' | b'[');
    let gap = before.iter().rev().take(8).take_while(|byte| between(byte)).count();
    let name = &before[..before.len() - gap];
    gap > 0 && name.len().checked_sub(NAME.len()).is_some_and(|at| name[at..].eq_ignore_ascii_case(NAME))
}

/// Tells a credential from the next word of "the bearer of bad news" or "Bearer authentication failed".
fn looks_like_token(token: &[u8], capital: bool) -> bool {
    const WORDS: [&[u8]; 6] =
        [b"authentication", b"authorization", b"credential", b"credentials", b"certificate", b"instrument"];
    let any = |test: fn(&u8) -> bool| token.iter().skip(1).any(test);
    let digits = token.iter().any(u8::is_ascii_digit);
    let odd = any(|byte| byte.is_ascii_uppercase() || matches!(byte, b'.' | b'_' | b'~' | b'+' | b'/' | b'='));
    let word = WORDS.iter().any(|word| token.eq_ignore_ascii_case(word));
    (digits && token.len() >= 6)
        || ((odd || (capital && !word)) && token.len() >= 8)
        || (token.len() >= 20 && !token.contains(&b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> String {
        redact(text, usize::MAX, false).text.into_owned()
    }

    #[test]
    fn secrets_are_replaced_where_they_stand() {
        for (text, expected) in [
            ("use sk-proj_abcdefghijkl-1234 now", "use [redacted] now"),
            ("Bearer abc.def.ghi", "Bearer [redacted]"),
            ("sent Bearer s3cr3t.", "sent Bearer [redacted]."),
            ("AUTHORIZATION: bearer xyz", "AUTHORIZATION: bearer [redacted]"),
            ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [redacted]"),
            ("{'authorization': 'Basic dTpw'}", "{'authorization': 'Basic [redacted]'}"),
            ("xoxb-1234567890-abc and xoxp-9876543210", "[redacted] and [redacted]"),
            ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted]"),
            ("(AKIAIOSFODNN7EXAMPLE)", "([redacted])"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_def", "[redacted]"),
            ("a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b", "a [redacted] b"),
            ("-----BEGIN PRIVATE KEY-----\nMIIE", "[redacted]"),
            ("see data:image/png;base64,iVBORw0KGgo= here", "see [data image/png, 8 bytes] here"),
            ("url(data:;base64,AAAA)", "url([data text/plain, 3 bytes])"),
            ("postgres://user:pass@host/db", "postgres://[redacted]@host/db"),
            ("é sk-aaaaaaaaaaaaaaaa€", "é [redacted]€"),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn ordinary_text_is_borrowed() {
        for text in [
            "",
            "the bearer of bad news",
            "Bearer authentication failed",
            "Bearer token is missing",
            "a basic example",
            "Basic training",
            "risk-averse-and-very-long-compound-word",
            "task-force-with-a-long-name-indeed",
            "sk-learn",
            "-----BEGIN CERTIFICATE-----",
            "---------------",
            "https://example.com/@user?q=1",
            "AKIA",
            "eyJ",
            "data:x",
            "data:image/png;base64,",
            "AKIAlowercaselowercase",
            "ghp_short",
            "snake_case_with_p_inside",
            "a:b;c-d_e",
            "std::vec::Vec",
            "://",
            "b",
            "-",
            "_",
            "K",
            "J",
            ";base64,AAAA",
        ] {
            assert!(matches!(redact(text, usize::MAX, false).text, std::borrow::Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn a_secret_across_the_limit_does_not_leak_its_half() {
        let text = format!("{}sk-{}", "a ".repeat(45), "x".repeat(50));
        let edited = redact(&text, 100, false);
        assert!(!edited.text.contains("xx"));
        assert_eq!(edited.consumed, text.len());
    }

    #[test]
    fn text_after_a_large_image_is_kept() {
        let text = format!("data:image/png;base64,{} a cat", "A1b2".repeat(100_000));
        assert_eq!(redact(&text, 1000, false).text, "[data image/png, 300000 bytes] a cat");
    }

    #[test]
    fn anchors_without_secrets_take_linear_time() {
        for text in
            ["-----BEGIN ", "Bearer ", "sk-", "://a@", ";base64,", "data:a;base64,", "eyJ.", "authorization: Basic "]
        {
            let long = text.repeat(50_000);
            let _ = redact(&long, usize::MAX, true);
        }
    }
}
