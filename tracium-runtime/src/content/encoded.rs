//! Blobs in base64: nobody reads them in a trace, and they would take the room of what is read.

use super::edits::Edits;
use super::escape::cut_marker;

/// Shorter strings are left alone: an id or a hash is worth its bytes.
const SHORTEST: usize = 512;
/// How much of a long string is looked at before it is believed to be base64.
const LOOKED_AT: usize = 64 * 1024;
/// How far before `;base64,` the `data:` may stand.
const LONGEST_MEDIA_TYPE: usize = 128;
/// Lines of base64 have 64 or 76 characters; a list of words has not.
const SHORTEST_LINE: usize = 60;

/// True for the letters of base64, those for URLs included; not for padding.
const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// Decoded bytes of so many letters.
const fn decoded(letters: usize) -> usize {
    letters / 4 * 3 + letters % 4 * 3 / 4
}

/// Decoded size of a string that is nothing but base64, by its alphabet: both cases and digits, in one run or in lines
/// of one length. Text has spaces within a few bytes, so this costs nothing for it.
pub(super) fn whole_base64(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.len() < SHORTEST || !bytes.iter().take(64).all(|&byte| is_letter(byte) || is_break(byte)) {
        return None;
    }
    let bytes = bytes.trim_ascii_end();
    let body = bytes.strip_suffix(b"=").unwrap_or(bytes);
    let body = body.strip_suffix(b"=").unwrap_or(body);
    let line = body.iter().position(|&byte| is_break(byte)).unwrap_or(body.len());
    if line < SHORTEST_LINE {
        return None;
    }
    let eol = body[line..].iter().take(2).take_while(|&&byte| is_break(byte)).count();
    let period = line + eol;
    let seen = &body[..body.len().min(LOOKED_AT)];
    let (mut upper, mut lower, mut digit) = (false, false, false);
    for chunk in seen.chunks(period) {
        let (letters, end) = chunk.split_at(chunk.len().min(line));
        if !end.iter().all(|&byte| is_break(byte)) {
            return None;
        }
        for &byte in letters {
            if !is_letter(byte) {
                return None;
            }
            upper |= byte.is_ascii_uppercase();
            lower |= byte.is_ascii_lowercase();
            digit |= byte.is_ascii_digit();
        }
    }
    let tail = &body[body.len().saturating_sub(1024)..];
    let plausible = upper && lower && digit && tail.iter().all(|&byte| is_letter(byte) || is_break(byte));
    let letters = body.len() / period * line + (body.len() % period).min(line);
    plausible.then(|| decoded(letters))
}

/// True for the bytes of a line's end.
const fn is_break(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// A string of which `kept` is the beginning and that had `bytes` in all: with a note of what was left out, or a note of
/// its size in its place, where it is base64.
pub(crate) fn shortened(kept: String, bytes: usize) -> String {
    let head = kept.get(..LONGEST_MEDIA_TYPE).unwrap_or_default();
    if let Some((media, _)) = head.strip_prefix("data:").and_then(|head| head.split_once(";base64,")) {
        let media = media.split(';').next().unwrap_or_default();
        return format!("[data {media}, {} bytes]", decoded(bytes.saturating_sub(media.len() + "data:;base64,".len())));
    }
    if whole_base64(&kept).is_some() {
        return format!("[base64, {} bytes]", decoded(bytes));
    }
    let marker = cut_marker(Some(bytes.saturating_sub(kept.len())));
    kept + &marker
}

/// Replaces the data URL whose `;base64,` stands at `at`; returns where it ended. The whole run is read, beyond any
/// limit, so that its size is right and what follows it is kept.
pub(super) fn data_url(edits: &mut Edits<'_>, at: usize) -> Option<usize> {
    const MARK: &[u8] = b";base64,";
    let source = edits.source();
    let bytes = source.as_bytes();
    if !bytes[at..].starts_with(MARK) {
        return None;
    }
    let reach = at.saturating_sub(LONGEST_MEDIA_TYPE).max(edits.settled());
    let colon = bytes[reach..at].iter().rposition(|&byte| !is_media_type(byte)).map(|found| reach + found)?;
    let start = colon.checked_sub(b"data".len()).filter(|&start| start >= edits.settled())?;
    if bytes[colon] != b':' || !bytes[start..colon].eq_ignore_ascii_case(b"data") {
        return None;
    }
    let run = &bytes[at + MARK.len()..];
    let letters = run.iter().position(|&byte| !is_letter(byte)).unwrap_or(run.len());
    let padding = run[letters..].iter().take(2).take_while(|&&byte| byte == b'=').count();
    if letters < 4 {
        return None;
    }
    let media = source[colon + 1..at].split(';').next().unwrap_or_default();
    let media = if media.is_empty() { "text/plain" } else { media };
    let end = at + MARK.len() + letters + padding;
    edits.replace(start, end, &format!("[data {media}, {} bytes]", decoded(letters)));
    Some(end)
}

/// True for what stands between `data:` and `;base64,`.
const fn is_media_type(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+' | b'.' | b'-' | b'_' | b';' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Base64 of bytes that look random.
    fn base64(letters: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        (0..letters).map(|n| char::from(ALPHABET[(n * 37 + n / 64 * 11) % 64])).collect()
    }

    #[test]
    fn a_string_of_base64_is_known_by_its_size() {
        assert_eq!(whole_base64(&base64(512)), Some(384));
        assert_eq!(whole_base64(&(base64(682) + "==")), Some(511));
        assert_eq!(whole_base64(&base64(4_000_000)), Some(3_000_000));
        for eol in ["\n", "\r\n"] {
            let whole = base64(1000);
            let lines: Vec<_> = whole.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
            assert_eq!(whole_base64(&lines.join(eol)), Some(750));
            assert_eq!(whole_base64(&(lines.join(eol) + eol)), Some(750));
        }
    }

    #[test]
    fn text_is_never_taken_for_base64() {
        assert_eq!(whole_base64(&base64(511)), None);
        assert_eq!(whole_base64(&"a".repeat(5000)), None);
        assert_eq!(whole_base64(&"0123456789abcdef".repeat(100)), None);
        assert_eq!(whole_base64(&"The Quick Brown Fox 42 ".repeat(100)), None);
        assert_eq!(whole_base64(&"Apple1\nBanana2\nCherry3\n".repeat(100)), None);
        assert_eq!(whole_base64(&(base64(600) + ". And a sentence.")), None);
        assert_eq!(whole_base64(&format!("{}\n{}\n{}", base64(100), base64(99), base64(400))), None);
    }
}
