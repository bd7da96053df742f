//! Fitting JSON text into a byte limit.
//!
//! One scan makes a list of tokens. If cutting strings is enough, the largest cap under which everything fits is found by
//! binary search, so that the longest strings pay first and short ones stay whole. If even that is too much, the end of
//! the structure is left out, with a marker where it was.

use std::borrow::Cow;

use super::escape::{cut_marker, escaped_prefix, raw_prefix, write_string};
use super::grammar::{Grammar, Role};
use super::token::{Kind, Token, Tokens};

/// Stands where elements were left out of an array.
const MARKER: &str = "\"…[cut]\"";
/// Stands where members were left out of an object.
const MEMBER_MARKER: &str = "\"…\":\"[cut]\"";
/// A comma and the longer of both.
const MARKER_ROOM: usize = 1 + MEMBER_MARKER.len();
/// When the structure is cut anyway, strings keep this much: few elements with content say more than many without.
const KEPT_OF_STRINGS: usize = 256;

/// Cuts valid JSON to at most `max_bytes` (64 or more), still valid. White space between tokens goes, strings are cut
/// longest first, and only then elements, from the end. Text that is not JSON comes back as one JSON string, cut.
pub(crate) fn fit(json: &str, max_bytes: usize) -> Cow<'_, str> {
    if json.len() <= max_bytes {
        return Cow::Borrowed(json);
    }
    let Some(tokens) = scan(json) else {
        return Cow::Owned(as_string(json, max_bytes));
    };
    let strings: Vec<usize> = tokens
        .iter()
        .filter(|(token, _)| matches!(token.kind, Kind::Text(_)))
        .map(|(token, _)| content(*token))
        .collect();
    let rest: usize =
        tokens.iter().map(|(token, _)| token.end - token.start).sum::<usize>() - strings.iter().sum::<usize>();
    let total = |cap: usize| rest + strings.iter().map(|&len| capped(len, cap)).sum::<usize>();
    let longest = strings.iter().copied().max().unwrap_or(0);
    if total(0) > max_bytes {
        return Cow::Owned(cut_structure(json, &tokens, max_bytes));
    }
    // Everything fits under `low`; nothing is known to fit under `high`.
    let (mut low, mut high) = (0, longest + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if total(middle) <= max_bytes {
            low = middle;
        } else {
            high = middle;
        }
    }
    let mut out = String::with_capacity(max_bytes);
    for (token, _) in &tokens {
        put(&mut out, json, *token, low);
    }
    Cow::Owned(out)
}

/// The tokens and what each is to its surroundings; `None` when the text is not one JSON value.
fn scan(json: &str) -> Option<Vec<(Token, Role)>> {
    let mut grammar = Grammar::new();
    let tokens: Option<Vec<_>> = Tokens::new(json).map(|token| Some((token, grammar.step(token.kind)?))).collect();
    tokens.filter(|_| grammar.is_complete())
}

/// Bytes between a string's quotes.
fn content(token: Token) -> usize {
    token.end - token.start - 2
}

/// Bytes of a string of `len` under a cap, at most: a string is cut only where that makes it shorter.
fn capped(len: usize, cap: usize) -> usize {
    len.min(cap.saturating_add(marker_room(len)))
}

/// Bytes of the longest marker that a string of `len` bytes can need. One that was cut before counts what it lost then.
fn marker_room(len: usize) -> usize {
    const WORDS: usize = "…[ bytes cut]".len();
    // A marker within the string may bring a number of up to 20 digits.
    WORDS + if len < 1_000 { 4 } else { 20 }
}

/// Appends a token; a string under a cap.
fn put(out: &mut String, json: &str, token: Token, cap: usize) {
    let text = &json[token.start..token.end];
    if !matches!(token.kind, Kind::Text(_)) || content(token) <= capped(content(token), cap) {
        out.push_str(text);
        return;
    }
    let raw = &text[1..text.len() - 1];
    let kept = raw_prefix(raw, cap);
    out.push('"');
    out.push_str(&raw[..kept]);
    let (before, lost) = earlier_cut(raw);
    // Where the cut falls within the earlier marker, all that was before it stays counted as kept.
    let lost = lost.saturating_add(before.saturating_sub(kept));
    out.push_str(&cut_marker(Some(lost)));
    out.push('"');
}

/// A string's length before the marker of an earlier cut, and how many bytes that cut took.
fn earlier_cut(raw: &str) -> (usize, usize) {
    let found = raw.strip_suffix(" bytes cut]").and_then(|rest| {
        let at = rest.rfind("…[")?;
        let count = &rest[at + "…[".len()..];
        let digits = (1..=19).contains(&count.len()) && count.bytes().all(|byte| byte.is_ascii_digit());
        // A count that long within a short string is no marker of ours.
        let lost = count.parse().ok().filter(|_| digits && (raw.len() >= 1_000 || count.len() <= 3))?;
        Some((at, lost))
    });
    found.unwrap_or((raw.len(), 0))
}

/// Writes tokens while they and the closing brackets fit; an element, or a key with the start of its value, is a unit.
fn cut_structure(json: &str, tokens: &[(Token, Role)], max_bytes: usize) -> String {
    let cap = KEPT_OF_STRINGS.min(max_bytes / 8);
    let mut out = String::with_capacity(max_bytes);
    let mut grammar = Grammar::new();
    let mut unit = String::new();
    let mut comma = false;
    for (token, role) in tokens {
        let outer = grammar.depth();
        grammar.step(token.kind);
        match role {
            // A comma is written with what follows it; a colon belongs to its key.
            Role::Between if token.kind == Kind::Comma => {
                comma = true;
                continue;
            }
            Role::Close => {
                out.push_str(&json[token.start..token.end]);
                continue;
            }
            Role::Key | Role::Between => {
                if comma {
                    unit.push(',');
                    comma = false;
                }
                put(&mut unit, json, *token, cap);
                continue;
            }
            Role::Leaf | Role::Open => {
                if comma {
                    unit.push(',');
                    comma = false;
                }
                put(&mut unit, json, *token, cap);
            }
        }
        if out.len() + unit.len() + MARKER_ROOM + grammar.depth() > max_bytes {
            close(&mut out, &tokens_open(&grammar, outer));
            return out;
        }
        out.push_str(&unit);
        unit.clear();
    }
    out
}

/// The brackets that were open before the token that did not fit.
fn tokens_open(grammar: &Grammar, depth: usize) -> Vec<bool> {
    grammar.open().iter().copied().take(depth).collect()
}

/// Marks the cut in the innermost bracket and closes all.
fn close(out: &mut String, open: &[bool]) {
    if !out.is_empty() && !out.ends_with(['[', '{']) {
        out.push(',');
    }
    out.push_str(if open.last() == Some(&true) { MEMBER_MARKER } else { MARKER });
    for &object in open.iter().rev() {
        out.push(if object { '}' } else { ']' });
    }
}

/// A text that is not JSON, as a string.
fn as_string(text: &str, max_bytes: usize) -> String {
    let mut kept = escaped_prefix(text, max_bytes.saturating_sub(2));
    let mut marker = String::new();
    if kept < text.len() {
        kept = escaped_prefix(text, max_bytes.saturating_sub(40));
        marker = cut_marker(Some(text.len() - kept));
    }
    let mut out = String::with_capacity(max_bytes);
    write_string(&mut out, &text[..kept]);
    out.truncate(out.len() - 1);
    out.push_str(&marker);
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::Random;
    use super::*;

    #[test]
    fn fit_keeps_text_valid_and_within_its_limit() {
        let mut random = Random(42);
        for round in 0..4_000 {
            let tree = random.tree(5);
            let text = if round % 2 == 0 { tree.to_string() } else { serde_json::to_string_pretty(&tree).unwrap() };
            let max = 64 + random.below(text.len() + 10);
            let fitted = fit(&text, max);
            assert!(fitted.len() <= max, "{} > {max}: {fitted}", fitted.len());
            serde_json::from_str::<Value>(&fitted).unwrap_or_else(|error| panic!("{error}: {fitted}"));
            assert_eq!(text.len() <= max, fitted == text);
        }
    }

    #[test]
    fn fit_cuts_the_longest_strings_first() {
        let text =
            json!({"short": "kept whole", "long": "x".repeat(5_000), "longer": "y".repeat(9_000), "n": 1}).to_string();
        let fitted = fit(&text, 4_000);
        let read: Value = serde_json::from_str(&fitted).unwrap();
        assert!(fitted.len() > 3_900, "{}", fitted.len());
        assert_eq!(read["short"], "kept whole");
        assert_eq!(read["n"], 1);
        for key in ["long", "longer"] {
            assert!(read[key].as_str().unwrap().ends_with(" bytes cut]"));
            assert!(read[key].as_str().unwrap().len() > 1_900);
        }
        let again = fit(&fitted, 1_000).into_owned();
        let read: Value = serde_json::from_str(&again).unwrap();
        let text = read["long"].as_str().unwrap();
        let (kept, marker) = text.split_once('…').unwrap();
        assert_eq!(marker, format!("[{} bytes cut]", 5_000 - kept.len()));
    }

    #[test]
    fn fit_cuts_structure_from_the_end_when_it_must() {
        let numbers = format!("{{\"n\":[{}1],\"z\":1}}", "12,".repeat(1_000_000));
        let fitted = fit(&numbers, 100_000);
        assert!(fitted.len() > 99_900);
        assert!(fitted.ends_with("12,\"…[cut]\"]}"));
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(serde_json::from_str::<Value>(&fit(&deep, 64)).is_ok());
        assert!(serde_json::from_str::<Value>(&fit(&"not json \"\n\u{1}é".repeat(9), 64)).is_ok());
    }
}
