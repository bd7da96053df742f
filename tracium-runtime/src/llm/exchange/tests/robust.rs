//! Whatever bytes come, in whatever pieces: a span with what is known, never a panic.

use super::fixtures;
use super::{Seen, said};
use crate::start_trace;
use crate::testing::Recorder;

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

#[test]
fn any_change_of_any_answer_in_any_pieces_gives_one_span() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let fixtures = fixtures::all();
    let mut fragments: Vec<&[u8]> =
        fixtures.iter().flat_map(|fixture| &fixture.answers).map(|(_, body)| &body[..]).collect();
    fragments.extend([
        &b"\xF0\x9F\x98\x80"[..],
        b"\\ud83d\\ude00",
        b"\\ud83d",
        b"[[[[{{{{",
        b"]}]}",
        b"null",
        b"\"",
        b"\\",
        b"\r\n\r\n",
    ]);
    for round in 0..3_000 {
        let fixture = &fixtures[random.below(fixtures.len())];
        let (content_type, answer) = &fixture.answers[random.below(fixture.answers.len())];
        let (mut request, mut answer) = (fixture.seen.request.to_vec(), answer.clone());
        for _ in 0..random.below(6) {
            mutate(&mut random, &fragments, &mut answer);
        }
        if round % 4 == 0 {
            mutate(&mut random, &fragments, &mut request);
        }
        let recorder = Recorder::install();
        start_trace("bot").run(|| {
            let Some(mut call) = (Seen { request: &request, ..fixture.seen }).begin() else { return };
            let types =
                [*content_type, "application/json", "text/event-stream", "application/vnd.amazon.eventstream", ""];
            let content_type = if random.below(4) == 0 { types[random.below(types.len())] } else { content_type };
            call.answered(if random.below(8) == 0 { 500 } else { 200 }, Some(content_type), |_| None);
            let mut rest = &answer[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(1 + random.below(rest.len().min(200)));
                call.chunk(piece);
                rest = after;
            }
            match random.below(3) {
                0 => call.end(),
                1 => call.failed(&"gone"),
                _ => drop(call),
            }
        });
        assert!(recorder.spans().len() <= 1, "{round}");
    }
}

fn mutate(random: &mut Random, fragments: &[&[u8]], bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len());
    match random.below(6) {
        0 if at < bytes.len() => bytes[at] = random.next() as u8,
        1 => bytes.truncate(at),
        2 => {
            let end = (at + random.below(40)).min(bytes.len());
            bytes.drain(at..end);
        }
        3 => {
            let fragment = fragments[random.below(fragments.len())];
            let from = random.below(fragment.len());
            let to = (from + 1 + random.below(300)).min(fragment.len());
            bytes.splice(at..at, fragment[from..to].iter().copied());
        }
        // A value of another type in the place of one.
        4 => {
            if let Some(colon) = bytes[at..].iter().position(|byte| *byte == b':') {
                let values: [&[u8]; 7] = [b"7", b"\"text\"", b"[1]", b"{\"a\":1}", b"null", b"-1e999", b"true"];
                let value = values[random.below(values.len())];
                let behind = at + colon + 1;
                bytes.splice(behind..behind, [value, b","].concat());
            }
        }
        _ => {
            let end = (at + random.below(200)).min(bytes.len());
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
    }
}

#[test]
fn server_sent_events_may_have_any_line_ends_marks_and_lines() {
    let fixture = fixtures::openai_tools();
    let (content_type, stream) = &fixture.answers[1];
    let seen = Seen { content_type, ..fixture.seen };
    let plain = seen.in_pieces([stream.as_slice()]);
    let text = std::str::from_utf8(stream).unwrap();
    for variant in [
        text.replace('\n', "\r\n"),
        text.replace('\n', "\r"),
        format!("\u{feff}{text}"),
        text.replace("data: ", "data:"),
        text.replace("data: ", "id: 7\nretry: 10\nevent: chunk\ndata: "),
        text.replace(",\"object\"", "\ndata: ,\"object\""),
        text.replace(",\"object\"", "\ndata: ,\"object\"").replace('\n', "\r\n"),
        text.trim_end().to_owned(),
    ] {
        for length in [1, 2, 7, variant.len()] {
            assert_eq!(said(&seen.in_pieces(variant.as_bytes().chunks(length))), said(&plain), "{length}: {variant}");
        }
    }
}

#[test]
fn characters_and_escapes_survive_every_cut() {
    let chunk = r#"{"choices":[{"index":0,"delta":{"content":"Grüße 茶 😀 \u8336 \ud83d\ude00 \"\\\n"},"finish_reason":"stop"}]}"#;
    let content_type = "text/event-stream";
    let span =
        Seen { content_type, ..fixtures::openai_chat().seen }.in_all_cuts(format!("data: {chunk}\n\n").as_bytes());
    assert_eq!(span.output.unwrap(), "Grüße 茶 😀 茶 😀 \"\\\n");
}

#[test]
fn half_of_a_pair_is_a_replacement() {
    for (text, expected) in [
        (r"\ud83d!", "\u{fffd}!"),
        (r"\ude00!", "\u{fffd}!"),
        (r"\ud83d\n", "\u{fffd}\n"),
        (r"\ud83d\u0041", "\u{fffd}A"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
        (r"\u00zz", "\u{fffd}zz"),
    ] {
        let answer = format!("{{\"choices\":[{{\"message\":{{\"content\":\"{text}\"}},\"finish_reason\":\"stop\"}}]}}");
        let span = fixtures::openai_chat().seen.in_all_cuts(answer.as_bytes());
        assert_eq!(span.output.unwrap(), expected, "{text}");
    }
}
