//! The injective encoding of tenant ids in header values.

use super::TenantError;
use crate::content::percent_decode;

/// Percent-encodes `%`, edge spaces and everything that is not printable ASCII.
pub(super) fn to_header(id: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let last = id.len().saturating_sub(1);
    let mut out = String::with_capacity(id.len());
    for (at, byte) in id.bytes().enumerate() {
        let edge_space = byte == b' ' && (at == 0 || at == last);
        if byte == b'%' || edge_space || !(0x20..0x7f).contains(&byte) {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

/// The inverse of [`to_header`]; a `%` that starts no byte is an error, since guessing could merge tenants.
pub(super) fn from_header(value: &str) -> Result<String, TenantError> {
    percent_decode(value).ok_or(TenantError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_are_printable_ascii_and_lead_back_to_the_id() {
        for id in ["acme", " edge ", "50%", "%25", "Zürich-会社", "a b", "~!@#"] {
            let header = to_header(id);
            assert!(header.bytes().all(|b| (0x20..0x7f).contains(&b)), "{header}");
            assert_eq!(header.trim(), header);
            assert_eq!(from_header(&header).unwrap(), id);
        }
        assert_eq!(to_header("Zürich-会社"), "Z%C3%BCrich-%E4%BC%9A%E7%A4%BE");
    }

    #[test]
    fn different_ids_have_different_headers() {
        let ids = ["%20", " ", "  ", "a ", "a%20", "ü", "%C3%BC", "%c3%bc"];
        for (i, a) in ids.iter().enumerate() {
            for b in &ids[i + 1..] {
                assert_ne!(to_header(a), to_header(b), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn broken_escapes_are_errors() {
        for value in ["%", "%2", "%zz", "%FF"] {
            assert_eq!(from_header(value), Err(TenantError::Malformed), "{value}");
        }
    }
}
