//! Asking for the usage of a stream, in a request of OpenAI's shape.

use std::ops::Range;

const ASKED: &str = "\"include_usage\":true";

/// The body with `stream_options.include_usage` switched on; `None` where it is to be sent as it is: since it is no
/// stream, says itself whether it wants the usage, or is of another API or shape.
///
/// All that was there stays byte for byte: a body that is parsed and written again would have its numbers changed.
pub(crate) fn with_usage(path: &str, body: &[u8]) -> Option<Vec<u8>> {
    let path = path.trim_end_matches('/');
    if !(path.ends_with("/chat/completions") || path.ends_with("/completions")) {
        return None;
    }
    let fields = fields(body, 0)?;
    if fields.value("stream")? != b"true" {
        return None;
    }
    let (replaced, text) = match fields.place("stream_options") {
        // Behind the brace. A request that streams has a field, so that a comma is right.
        Place::Nowhere => (fields.open..fields.open, format!("\"stream_options\":{{{ASKED}}},")),
        Place::At(options) if &body[options.clone()] == b"null" => (options, format!("{{{ASKED}}}")),
        Place::At(options) => {
            let inner = self::fields(body, options.start)?;
            if !matches!(inner.place("include_usage"), Place::Nowhere) {
                return None;
            }
            let comma = if inner.all.is_empty() { "" } else { "," };
            (inner.open..inner.open, format!("{ASKED}{comma}"))
        }
        Place::Twice => return None,
    };
    Some([&body[..replaced.start], text.as_bytes(), &body[replaced.end..]].concat())
}

/// The fields of an object, as places in the text.
struct Fields<'a> {
    body: &'a [u8],
    /// Behind the opening brace.
    open: usize,
    /// Names without their quotes, and values.
    all: Vec<(Range<usize>, Range<usize>)>,
}

/// Where a field's value is. Of one that is there twice, readers take the one or the other.
enum Place {
    Nowhere,
    At(Range<usize>),
    Twice,
}

impl<'a> Fields<'a> {
    fn place(&self, name: &str) -> Place {
        let named = self.all.iter().filter(|(key, _)| &self.body[key.clone()] == name.as_bytes());
        named.fold(Place::Nowhere, |place, (_, value)| match place {
            Place::Nowhere => Place::At(value.clone()),
            Place::At(_) | Place::Twice => Place::Twice,
        })
    }

    fn value(&self, name: &str) -> Option<&'a [u8]> {
        match self.place(name) {
            Place::At(value) => Some(&self.body[value]),
            Place::Nowhere | Place::Twice => None,
        }
    }
}

/// The object at `start`; `None` where there is none, or a name is written with escapes.
fn fields(body: &[u8], start: usize) -> Option<Fields<'_>> {
    let mut at = blank(body, start);
    if body.get(at) != Some(&b'{') {
        return None;
    }
    let open = at + 1;
    let mut all = Vec::new();
    at = blank(body, open);
    if body.get(at) == Some(&b'}') {
        return Some(Fields { body, open, all });
    }
    loop {
        let name = string(body, at)?;
        if body[name.clone()].contains(&b'\\') {
            return None;
        }
        at = blank(body, name.end);
        if body.get(at) != Some(&b':') {
            return None;
        }
        let value = value(body, blank(body, at + 1))?;
        at = blank(body, value.end);
        all.push((name.start + 1..name.end - 1, value));
        match body.get(at)? {
            b',' => at = blank(body, at + 1),
            b'}' => return Some(Fields { body, open, all }),
            _ => return None,
        }
    }
}

/// The value at `start`, whatever it is. Its brackets are counted and not matched: a server that reads the body does.
fn value(body: &[u8], start: usize) -> Option<Range<usize>> {
    let mut at = start;
    let mut depth = 0_usize;
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => at = string(body, at)?.end,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' if depth == 0 => break,
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            break;
        }
    }
    (depth == 0 && at > start).then_some(start..at)
}

/// The string at `start`, its quotes included.
fn string(body: &[u8], start: usize) -> Option<Range<usize>> {
    if body.get(start) != Some(&b'"') {
        return None;
    }
    let mut at = start + 1;
    loop {
        match body.get(at)? {
            b'"' => return Some(start..at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The first place from `at` on that is not blank.
fn blank(body: &[u8], mut at: usize) -> usize {
    while body.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str) -> Option<String> {
        with_usage("/v1/chat/completions", body.as_bytes()).map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn a_stream_is_asked_for_its_usage_and_nothing_else_changes() {
        assert_eq!(
            asked(r#" { "temperature" : 0.70, "n": 1e0, "stream" :true , "z":{"stream":false},"a":[1,{"b":"}\""}]}"#)
                .unwrap(),
            r#" {"stream_options":{"include_usage":true}, "temperature" : 0.70, "n": 1e0, "stream" :true , "z":{"stream":false},"a":[1,{"b":"}\""}]}"#
        );
        assert_eq!(
            asked(r#"{"stream":true,"stream_options":{"include_obfuscation":false}}"#).unwrap(),
            r#"{"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}"#
        );
        assert_eq!(
            asked(r#"{"stream_options": { } ,"stream":true}"#).unwrap(),
            r#"{"stream_options": {"include_usage":true } ,"stream":true}"#
        );
        assert_eq!(
            asked(r#"{"stream_options":null,"stream":true}"#).unwrap(),
            r#"{"stream_options":{"include_usage":true},"stream":true}"#
        );
        assert_eq!(asked(r#"{"stream":true}"#).unwrap(), r#"{"stream_options":{"include_usage":true},"stream":true}"#);
    }

    #[test]
    fn what_it_becomes_reads_as_the_same_request_with_the_option() {
        let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"{\"stream\":false} \\ \u00e9 é"}],"stream":true,"tools":[[],{},[{}]],"x":-0.10e+5}"#;
        let mut after: serde_json::Value = serde_json::from_str(&asked(body).unwrap()).unwrap();
        let options = after.as_object_mut().unwrap().remove("stream_options");
        assert_eq!(options, Some(serde_json::json!({"include_usage": true})));
        assert_eq!(after, serde_json::from_str::<serde_json::Value>(body).unwrap());
    }

    #[test]
    fn what_decides_for_itself_or_does_not_stream_is_left_alone() {
        for body in [
            r#"{"stream":true,"stream_options":{"include_usage":false}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
            r#"{"stream":false}"#,
            r#"{"stream":null}"#,
            r#"{"model":"gpt-4o"}"#,
            r#"{"messages":[{"stream":true}]}"#,
            r#"{"messages":"\"stream\":true"}"#,
            "{}",
            "",
            "true",
            r#"[{"stream":true}]"#,
        ] {
            assert_eq!(asked(body), None, "{body}");
        }
        let stream = br#"{"stream":true}"#;
        assert_eq!(with_usage("/v1/responses", stream), None, "its last event has the usage always");
        assert_eq!(with_usage("/v1/messages", stream), None);
        assert!(with_usage("/openai/deployments/gpt-4o/chat/completions", stream).is_some());
    }

    #[test]
    fn what_is_no_json_or_can_be_read_in_two_ways_is_left_alone() {
        for body in [
            r#"{"stream":true"#,
            r#"{"stream":true,}"#,
            r#"{"stream":true,"stream":true}"#,
            r#"{"stream":true,"stream_options":{},"stream_options":null}"#,
            r#"{"stream":true,"stream\u005foptions":{}}"#,
            r#"{"stream":true,"stream_options":[]}"#,
            r#"{"stream":true,"stream_options":"x"}"#,
            r#"{"stream":true "x":1}"#,
            r#"{"stream":true,"x":}"#,
            r#"{"stream":true,"x":"abc}"#,
            r#"{"stream":true,"x":"abc\"#,
            r#"{"stream":true,"x":[1,2}"#,
            "{stream:true}",
        ] {
            // A bracket of the wrong kind is the server's to find.
            assert_eq!(asked(body), None, "{body}");
        }
    }
}
