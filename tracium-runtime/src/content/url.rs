//! Secrets in URLs.

use super::edits::Edits;

/// Hosts with user info are shorter than this.
const LONGEST_AUTHORITY: usize = 1024;
/// A query begins within this much of its URL, so that a text full of `http://` is not read again for each.
const LONGEST_PATH: usize = 8 * 1024;

/// Redacts in the URL whose `://` stands at `at`: its user info, and with `queries` what follows the `?` of an http URL.
/// Returns where to read on.
pub(super) fn url(edits: &mut Edits<'_>, at: usize, queries: bool) -> Option<usize> {
    let source = edits.source();
    let bytes = source.as_bytes();
    if !bytes[at..].starts_with(b"://") || at == 0 || !bytes[at - 1].is_ascii_alphanumeric() {
        return None;
    }
    let host = at + b"://".len();
    let rest = &bytes[host..bytes.len().min(host + LONGEST_AUTHORITY)];
    let authority = rest.iter().position(|&byte| ends_authority(byte)).unwrap_or(rest.len());
    let mut end = host;
    if let Some(user) = rest[..authority].iter().rposition(|&byte| byte == b'@') {
        end = host + user;
        if user > 0 {
            edits.replace(host, end, "[redacted]");
        }
    }
    if queries && is_http(&bytes[..at]) {
        let path = &bytes[host..bytes.len().min(host + LONGEST_PATH)];
        let query = path.iter().position(|&byte| byte == b'?' || ends_url(byte));
        if let Some(query) = query.filter(|&at| path[at] == b'?') {
            let rest = &bytes[host + query + 1..];
            let len = rest.iter().position(|&byte| ends_url(byte)).unwrap_or(rest.len());
            let start = host + query + 1;
            if len > 0 {
                edits.replace(start, start + len, "[redacted]");
            }
            end = start + len;
        }
    }
    Some(end)
}

/// True when the scheme before `://` is http or https.
fn is_http(before: &[u8]) -> bool {
    let ends = |scheme: &[u8]| {
        before.len().checked_sub(scheme.len()).is_some_and(|at| before[at..].eq_ignore_ascii_case(scheme))
    };
    ends(b"http") || ends(b"https")
}

/// True for what cannot be in a URL within a text.
const fn ends_url(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`' | b')' | b'}' | b']' | b'\\' | b'|' | 0x7f)
}

/// True for what ends a URL's host.
const fn ends_authority(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\' | b'|' | 0x7f)
}
