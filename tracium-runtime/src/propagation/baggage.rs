//! W3C Baggage, <https://www.w3.org/TR/baggage/>: members of ours among those of others.

use crate::content::{percent_decode, percent_encode};

pub(super) const BAGGAGE: &str = "baggage";

/// What the specification allows in all.
const MOST_BYTES: usize = 8_192;

/// A value that may be there more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Found {
    #[default]
    Nothing,
    One(String),
    /// It is no percent-encoded text, or says two things.
    Malformed,
}

impl Found {
    fn add(&mut self, value: &str) {
        *self = match (std::mem::take(self), percent_decode(value)) {
            (Self::Nothing, Some(value)) => Self::One(value),
            (Self::One(known), Some(value)) if known == value => Self::One(known),
            _ => Self::Malformed,
        };
    }
}

/// The values of `keys` in the headers; `None` where they are too long to be read.
pub(super) fn read<const N: usize>(headers: &[Vec<u8>], keys: [&str; N]) -> Option<[Found; N]> {
    let mut found = [const { Found::Nothing }; N];
    if headers.iter().map(Vec::len).sum::<usize>() > MOST_BYTES {
        return None;
    }
    for header in headers {
        let header = String::from_utf8_lossy(header);
        for member in header.split(',') {
            let Some((key, value)) = member.split_once('=') else { continue };
            // Behind the value, properties may follow.
            let value = value.split(';').next().unwrap_or_default();
            if let Some(at) = keys.iter().position(|known| *known == key.trim()) {
                found[at].add(value.trim());
            }
        }
    }
    Some(found)
}

/// The headers' members but for those of `ours`, and `members` before them, in their bounds.
pub(super) fn write(headers: &[Vec<u8>], ours: &[&str], members: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (key, value) in members {
        push(&mut out, &format!("{key}={}", percent_encode(value, is_plain)));
    }
    for header in headers {
        let Ok(header) = std::str::from_utf8(header) else { continue };
        for member in header.split(',').map(str::trim).filter(|member| !member.is_empty()) {
            let key = member.split(['=', ';']).next().unwrap_or_default().trim();
            let printable = member.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            if !ours.contains(&key) && printable && out.len() + 1 + member.len() <= MOST_BYTES {
                push(&mut out, member);
            }
        }
    }
    out
}

fn push(out: &mut String, member: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    out.push_str(member);
}

/// `baggage-octet`, without the sign that starts an escape.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"%,;\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> Vec<Vec<u8>> {
        values.iter().map(|value| value.as_bytes().to_vec()).collect()
    }

    fn tenant(values: &[&str]) -> Found {
        let [found] = read(&headers(values), ["tenant.id"]).unwrap();
        found
    }

    #[test]
    fn any_text_reads_back() {
        for text in ["acme", " edge ", "50%", "a,b;c=d", "Zürich-会社", "\"quoted\\\""] {
            let written = write(&[], &[], &[("tenant.id", text)]);
            assert!(written.bytes().all(|byte| byte.is_ascii_graphic()), "{written}");
            assert_eq!(tenant(&[&written]), Found::One(text.to_owned()), "{written}");
        }
    }

    #[test]
    fn what_others_carry_stays_and_what_was_ours_is_replaced() {
        let before = headers(&["a=1;p=2, tenant.id=stale ,b", "", "tenant.id=stale2"]);
        assert_eq!(write(&before, &["tenant.id"], &[("tenant.id", "acme")]), "tenant.id=acme,a=1;p=2,b");
        assert_eq!(write(&before, &["tenant.id"], &[]), "a=1;p=2,b");
        let much = headers(&[&format!("a={},b=1", "x".repeat(8_190))]);
        assert_eq!(write(&much, &[], &[("tenant.id", "acme")]), "tenant.id=acme,b=1", "ours has room");
    }

    #[test]
    fn duplicates_must_agree_and_escapes_must_be_whole() {
        assert_eq!(tenant(&["tenant.id=a", "x=1,tenant.id=a;p=1"]), Found::One("a".to_owned()));
        for malformed in ["tenant.id=a,tenant.id=b", "tenant.id=%", "tenant.id=%f", "tenant.id=%ff"] {
            assert_eq!(tenant(&[malformed]), Found::Malformed, "{malformed}");
        }
        assert_eq!(tenant(&["nothing, of,use=,=,;"]), Found::Nothing);
        assert_eq!(read(&headers(&[&"a=1,".repeat(3_000)]), ["tenant.id"]), None, "too long");
    }
}
