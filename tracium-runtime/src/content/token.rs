//! JSON text as a stream of tokens: no tree, no copies.

use super::escape::hex4;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `{` (true) or `[` (false).
    Open(bool),
    /// `}` (true) or `]` (false).
    Close(bool),
    /// `,`
    Comma,
    /// `:`
    Colon,
    /// A string with its quotes; true when it holds an escape.
    Text(bool),
    /// A number, `true`, `false` or `null`.
    Scalar,
    /// Nothing that JSON knows.
    Bad,
}

/// A token and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The tokens of a text; white space lies between them.
pub(super) struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    /// From the beginning of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }

    /// The end of the string that begins at `start`, and whether it holds an escape. Control characters are let
    /// through: a sloppy writer's object is still one to redact in.
    fn text(&self, start: usize) -> (Kind, usize) {
        let mut at = start + 1;
        let mut escaped = false;
        loop {
            at = next_quote(self.bytes, at);
            match self.bytes.get(at) {
                Some(b'"') => return (Kind::Text(escaped), at + 1),
                Some(_) => {
                    escaped = true;
                    at += match self.bytes.get(at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                        Some(b'u') if hex4(&self.bytes[at..]).is_some() => 6,
                        _ => return (Kind::Bad, at),
                    };
                }
                None => return (Kind::Bad, at),
            }
        }
    }

    /// The end of the number or literal that begins at `start`.
    fn scalar(&self, start: usize) -> (Kind, usize) {
        let rest = &self.bytes[start..];
        let len = rest
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'+' | b'-' | b'.'))
            .unwrap_or(rest.len());
        let word = &rest[..len];
        let known = matches!(word, b"true" | b"false" | b"null") || is_number(word);
        (if known { Kind::Scalar } else { Kind::Bad }, start + len.max(1))
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        let start = self.at;
        let (kind, end) = match self.bytes.get(start)? {
            b'{' => (Kind::Open(true), start + 1),
            b'}' => (Kind::Close(true), start + 1),
            b'[' => (Kind::Open(false), start + 1),
            b']' => (Kind::Close(false), start + 1),
            b',' => (Kind::Comma, start + 1),
            b':' => (Kind::Colon, start + 1),
            b'"' => self.text(start),
            _ => self.scalar(start),
        };
        self.at = end;
        Some(Token { kind, start, end })
    }
}

/// The next quote or backslash at or after `from`, or the end; whole blocks without one are skipped.
fn next_quote(bytes: &[u8], from: usize) -> usize {
    let stops = |byte: u8| byte == b'"' || byte == b'\\';
    let mut at = from.min(bytes.len());
    while let Some(block) = bytes[at..].first_chunk::<32>() {
        if block.iter().fold(false, |hit, &byte| hit | stops(byte)) {
            break;
        }
        at += block.len();
    }
    bytes[at..].iter().position(|&byte| stops(byte)).map_or(bytes.len(), |found| at + found)
}

/// True for a number by JSON's grammar.
fn is_number(word: &[u8]) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = word.strip_prefix(b"-").unwrap_or(word);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = if let [b'+' | b'-', digits @ ..] = exponent { digits } else { exponent };
        let count = digits(exponent);
        return count > 0 && count == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_carry_their_place() {
        let text = " {\"a\\n\": [1.5e-3, true]}";
        let found: Vec<_> = Tokens::new(text).map(|t| (t.kind, &text[t.start..t.end])).collect();
        assert_eq!(
            found,
            [
                (Kind::Open(true), "{"),
                (Kind::Text(true), "\"a\\n\""),
                (Kind::Colon, ":"),
                (Kind::Open(false), "["),
                (Kind::Scalar, "1.5e-3"),
                (Kind::Comma, ","),
                (Kind::Scalar, "true"),
                (Kind::Close(false), "]"),
                (Kind::Close(true), "}"),
            ]
        );
    }

    #[test]
    fn scalars_are_those_of_serde_json() {
        for word in [
            "0",
            "-0",
            "01",
            "1.",
            ".5",
            "1.0",
            "1e5",
            "1e",
            "1E+5",
            "1e-",
            "--1",
            "tru",
            "true",
            "null",
            "nan",
            "1x",
            "-",
            "1.2.3",
            "123456789012345678901234567890",
            "$",
            "é",
            "\"open",
            "\"\\q\"",
            "\"\\u12\"",
        ] {
            let kind = Tokens::new(word).next().unwrap().kind;
            let parses = serde_json::from_str::<serde_json::Value>(word).is_ok();
            assert_eq!(kind == Kind::Scalar, parses, "{word}");
        }
    }
}
