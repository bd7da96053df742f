//! W3C Trace Context, <https://www.w3.org/TR/trace-context/>.

use crate::{SpanId, TraceId};

pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";

const SAMPLED: u8 = 1;
/// The specification asks for 512 at least.
const MOST_STATE_BYTES: usize = 2_048;
const MOST_STATE_MEMBERS: usize = 32;

/// Where a trace is continued from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) sampled: bool,
}

impl Parent {
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
        let (known, rest) = value.split_at_checked(55)?;
        let mut fields = known.split('-');
        let version = hex(fields.next()?, 2)?;
        // Capital letters are not allowed.
        let trace = fields.next().filter(|text| is_hex(text))?;
        let span = fields.next().filter(|text| is_hex(text))?;
        let flags = hex(fields.next()?, 2)?;
        // A later version may say more behind what we know; this one may not.
        let is_whole = fields.next().is_none() && (rest.is_empty() || (version > 0 && rest.starts_with('-')));
        if version == 0xff || !is_whole {
            return None;
        }
        Some(Self { trace: TraceId::parse(trace)?, span: SpanId::parse(span)?, sampled: flags & SAMPLED != 0 })
    }

    pub(super) fn to_header(self) -> String {
        format!("00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled) * SAMPLED)
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn hex(text: &str, digits: usize) -> Option<u8> {
    (text.len() == digits && is_hex(text)).then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

/// The trace state of several headers, which is not ours to change; `None` where it is none, or too much.
pub(super) fn trace_state(values: &[Vec<u8>]) -> Option<String> {
    let mut state = String::new();
    for value in values {
        let value = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
        if !state.is_empty() && !value.is_empty() {
            state.push(',');
        }
        state.push_str(value);
    }
    let is_member = |member: &str| {
        let member = member.trim_matches([' ', '\t']);
        let printable = member.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        printable && (member.is_empty() || member.split_once('=').is_some_and(|(key, _)| is_state_key(key)))
    };
    let members = state.split(',').filter(|member| !member.trim().is_empty()).count();
    let legal = state.len() <= MOST_STATE_BYTES && members <= MOST_STATE_MEMBERS && state.split(',').all(is_member);
    legal.then_some(state)
}

fn is_state_key(key: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    (1..=256).contains(&key.len()) && key.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_valid_reads_back() {
        let parent = Parent::parse(VALID.as_bytes()).unwrap();
        assert!(parent.sampled);
        assert_eq!(parent.to_header(), VALID);
        let unsampled = VALID.replace("-01", "-00");
        assert_eq!(Parent::parse(unsampled.as_bytes()).unwrap().to_header(), unsampled);
        assert!(!Parent::parse(VALID.replace("-01", "-02").as_bytes()).unwrap().sampled, "a flag of its own");
        let later = VALID.replacen("00", "cc", 1) + "-what-is-new";
        assert_eq!(Parent::parse(later.as_bytes()), Some(parent), "a later version says more");
        assert_eq!(Parent::parse(format!(" {VALID}\t").as_bytes()), Some(parent));
    }

    #[test]
    fn what_is_malformed_is_none() {
        let cases = [
            String::new(),
            "00".to_owned(),
            VALID.to_uppercase(),
            format!("{VALID}-more"),
            format!("{VALID}0"),
            VALID.replacen("00", "ff", 1),
            VALID.replacen("00", "0g", 1),
            VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            VALID.replace("00f067aa0ba902b7", &"0".repeat(16)),
            VALID.replace("00f067aa0ba902b7", "+0f067aa0ba902b7"),
            VALID.replace('-', "_"),
            VALID.replace("0ba902b7", "é902b7"),
            VALID.replacen("00", "cc", 1) + "without a hyphen",
            VALID.replacen("00", "cc", 1).replace("4bf9", "4BF9"),
            VALID.replace(
                "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
                "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa-ba902b7",
            ),
        ];
        for text in cases {
            assert_eq!(Parent::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Parent::parse(&[0xff; 55]), None);
    }

    #[test]
    fn a_trace_state_stays_as_it_is_or_goes() {
        let of =
            |values: &[&str]| trace_state(&values.iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>());
        assert_eq!(of(&["a=1,b@c=x y"]).as_deref(), Some("a=1,b@c=x y"));
        assert_eq!(of(&["a=1", "", "b=2"]).as_deref(), Some("a=1,b=2"), "of several headers");
        assert_eq!(of(&["none"]), None);
        assert_eq!(of(&["A=1"]), None);
        assert_eq!(of(&["a=\u{7}"]), None);
        assert_eq!(of(&[&"a=1,".repeat(40)]), None, "too many");
        assert_eq!(of(&[&format!("a={}", "x".repeat(3_000))]), None, "too long");
    }
}
