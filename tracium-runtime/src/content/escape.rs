//! JSON string escaping, and cutting strings where nothing is split.

/// Where encoders put text: the exporters build bytes, this module strings.
pub(crate) trait Sink {
    /// Appends text as it is.
    fn put(&mut self, text: &str);
}

impl Sink for String {
    fn put(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

/// Appends `s` as a JSON string with its quotes.
pub(crate) fn write_string<S: Sink>(out: &mut S, s: &str) {
    out.put("\"");
    write_escaped(out, s);
    out.put("\"");
}

/// Appends `s` escaped, without quotes: runs that need no escape are copied whole.
pub(super) fn write_escaped<S: Sink>(out: &mut S, s: &str) {
    let mut from = 0;
    while let Some(at) = next_escape(s.as_bytes(), from) {
        out.put(&s[from..at]);
        put_escape(out, s.as_bytes()[at]);
        from = at + 1;
    }
    out.put(&s[from..]);
}

/// Appends a number in decimal, without the formatting machinery.
pub(crate) fn write_u64<S: Sink>(out: &mut S, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    // Digits are ASCII, so this never falls back.
    out.put(std::str::from_utf8(&digits[at..]).unwrap_or("0"));
}

/// True for a byte that cannot stand in a JSON string as it is.
const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The next byte to escape. Blocks without one are skipped by a branch-free test that the compiler vectorizes.
fn next_escape(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(block) = bytes[at..].first_chunk::<32>() {
        if block.iter().fold(false, |hit, &byte| hit | needs_escape(byte)) {
            break;
        }
        at += block.len();
    }
    bytes[at..].iter().position(|&byte| needs_escape(byte)).map(|found| at + found)
}

/// Appends the escape of one byte.
fn put_escape<S: Sink>(out: &mut S, byte: u8) {
    const HEX: &str = "0123456789abcdef";
    let escape = match byte {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        b'\n' => "\\n",
        b'\r' => "\\r",
        b'\t' => "\\t",
        0x08 => "\\b",
        0x0c => "\\f",
        _ => {
            let low = usize::from(byte & 0xf);
            out.put(if byte < 0x10 { "\\u000" } else { "\\u001" });
            return out.put(&HEX[low..=low]);
        }
    };
    out.put(escape);
}

/// Bytes that the escape of one byte takes.
const fn escape_len(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        _ => 6,
    }
}

/// The longest prefix of `s`, in bytes, whose escaped form takes at most `max` bytes; at a char boundary.
pub(super) fn escaped_prefix(s: &str, max: usize) -> usize {
    if s.len().saturating_mul(6) <= max {
        return s.len();
    }
    let (mut from, mut room) = (0, max);
    while let Some(at) = next_escape(s.as_bytes(), from) {
        let run = at - from;
        if run > room {
            return floor_boundary(s, from + room);
        }
        let escape = escape_len(s.as_bytes()[at]);
        if run + escape > room {
            return at;
        }
        room -= run + escape;
        from = at + 1;
    }
    floor_boundary(s, from.saturating_add(room))
}

/// The nearest char boundary at or below `at`.
pub(super) fn floor_boundary(s: &str, at: usize) -> usize {
    if at >= s.len() {
        return s.len();
    }
    let mut at = at;
    while !s.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The longest prefix of an escaped string, in bytes up to `max`, that splits no escape, surrogate pair or character.
pub(super) fn raw_prefix(raw: &str, max: usize) -> usize {
    if max >= raw.len() {
        return raw.len();
    }
    let bytes = raw.as_bytes();
    let mut at = 0;
    while let Some(run) = bytes[at..max].iter().position(|&byte| byte == b'\\') {
        let unit = escape_unit(&bytes[at + run..]);
        if at + run + unit > max {
            return at + run;
        }
        at += run + unit;
    }
    floor_boundary(raw, max)
}

/// Bytes of the escape that `bytes` begins with; a surrogate pair is one.
fn escape_unit(bytes: &[u8]) -> usize {
    if bytes.get(1) != Some(&b'u') {
        return 2;
    }
    match (hex4(bytes), bytes.get(6..).and_then(hex4)) {
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
        _ => 6,
    }
}

/// The code unit of a `\uXXXX` that `bytes` begins with.
pub(super) fn hex4(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))
}

/// The text that an escaped string stands for; `None` for an escape that JSON does not know. A lone surrogate becomes
/// U+FFFD.
pub(super) fn unescape(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at..)?;
        let unit = if escape.get(1) == Some(&b'u') { escape_unit(escape) } else { 2 };
        out.push(match escape.get(1)? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = hex4(escape)?;
                let code = match escape.get(6..).and_then(hex4) {
                    Some(second) if unit == 12 => 0x1_0000 + ((first & 0x3ff) << 10) + (second & 0x3ff),
                    _ => first,
                };
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return None,
        });
        rest = rest.get(at + unit..)?;
    }
    out.push_str(rest);
    Some(out)
}

/// What stands in for `bytes` bytes that were cut; `None` when nobody knows how many.
pub(super) fn cut_marker(bytes: Option<usize>) -> String {
    match bytes {
        Some(count) => format!("…[{count} bytes cut]"),
        None => "…[more cut]".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_read_back_as_written() {
        let every: String = (0_u8..=127).map(char::from).chain("äö€😀\u{2028}".chars()).collect();
        for start in 0..40 {
            let text = format!("{}{every}{}", "a".repeat(start), "b".repeat(40 - start));
            let mut out = String::new();
            write_string(&mut out, &text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
            assert_eq!(unescape(&out[1..out.len() - 1]).unwrap(), text);
            let mut bytes = Vec::new();
            write_string(&mut bytes, &text);
            assert_eq!(bytes, out.as_bytes());
        }
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 1, 9, 10, 12_345, u64::MAX] {
            let mut out = String::new();
            write_u64(&mut out, number);
            assert_eq!(out, number.to_string());
        }
    }

    #[test]
    fn an_escaped_prefix_is_the_longest_that_fits() {
        let text = "ab\"\u{1}€\n\\z";
        for max in 0..30 {
            let end = escaped_prefix(text, max);
            let escaped = |end: usize| {
                let mut out = String::new();
                write_escaped(&mut out, &text[..end]);
                out.len()
            };
            assert!(escaped(end) <= max);
            if let Some(next) = text[end..].chars().next() {
                assert!(escaped(end + next.len_utf8()) > max, "{max}");
            }
        }
    }

    #[test]
    fn a_raw_prefix_splits_no_escape() {
        let raw = r"a\\\ud83d\ude00€\n\u00e9z";
        for max in 0..=raw.len() {
            let end = raw_prefix(raw, max);
            assert!(end <= max);
            let text = serde_json::from_str::<String>(&format!("\"{}\"", &raw[..end])).unwrap();
            assert!("a\\😀€\néz".starts_with(&text));
        }
    }
}
