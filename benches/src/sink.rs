//! A backend that does not decode: it counts requests and bytes, and answers the same few bytes to all.
//!
//! A process of its own, so that what it takes is no part of what is measured, but of the two cores it shares.

use std::io::{BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use flate2::read::GzDecoder;

use crate::memory;
use crate::sides::Side;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";

/// To OTLP: nothing to say is success.
const ANSWER_OTLP: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";

/// In every span that is sent by REST, once.
const OF_A_SPAN: &[u8] = b"\"span_type\"";

#[derive(Debug, Default)]
struct Counts {
    /// Looks for spans in what comes: only where the number that arrives is the question, since it takes time.
    looks: AtomicBool,
    requests: AtomicU64,
    bytes: AtomicU64,
    creates: AtomicU64,
    ends: AtomicU64,
    spans: AtomicU64,
}

/// What arrived.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrived {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) creates: u64,
    pub(crate) ends: u64,
    pub(crate) spans: u64,
    /// What the sink's process took of the processor, ever, in milliseconds.
    pub(crate) cpu_millis: u64,
}

/// The sink's process.
pub(crate) fn serve() -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    println!("http://{}", listener.local_addr().map_err(|error| error.to_string())?);
    let counts = Arc::new(Counts::default());
    let of_all = Arc::clone(&counts);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counts = Arc::clone(&of_all);
            // A connection that breaks is over: whoever had it counts what did not arrive.
            thread::spawn(move || drop(connection(stream, &counts)));
        }
    });
    for line in std::io::stdin().lock().lines() {
        let get = |count: &AtomicU64| count.load(Ordering::Acquire);
        match line.map_err(|error| error.to_string())?.as_str() {
            "look" => counts.looks.store(true, Ordering::Release),
            _ => println!(
                "{} {} {} {} {} {}",
                get(&counts.requests),
                get(&counts.bytes),
                get(&counts.creates),
                get(&counts.ends),
                get(&counts.spans),
                memory::cpu_millis()
            ),
        }
    }
    Ok(())
}

fn connection(mut stream: TcpStream, counts: &Counts) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 256 * 1024];
    let mut filled = 0;
    loop {
        let Some(head) = find(&buffer[..filled], b"\r\n\r\n") else {
            if filled == buffer.len() {
                buffer.resize(filled * 2, 0);
            }
            match stream.read(&mut buffer[filled..])? {
                0 => return Ok(()),
                read => filled += read,
            }
            continue;
        };
        let body = head + 4;
        let end = body + content_length(&buffer[..head]);
        if buffer.len() < end {
            buffer.resize(end, 0);
        }
        while filled < end {
            match stream.read(&mut buffer[filled..])? {
                0 => return Ok(()),
                read => filled += read,
            }
        }
        let is_otlp = count(&buffer[..head], &buffer[body..end], counts);
        stream.write_all(if is_otlp { ANSWER_OTLP } else { ANSWER })?;
        buffer.copy_within(end..filled, 0);
        filled -= end;
    }
}

/// Counts a request; whether it is one of OTLP.
fn count(head: &[u8], body: &[u8], counts: &Counts) -> bool {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let path = line.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
    let is_otlp = path.ends_with(b"/v1/traces");
    if is_otlp {
        if counts.looks.load(Ordering::Acquire) {
            counts.spans.fetch_add(otlp_spans(body), Ordering::Relaxed);
        }
    } else if path.ends_with(b"/traces") {
        counts.creates.fetch_add(1, Ordering::Relaxed);
    } else if !path.ends_with(b"/spans") {
        counts.ends.fetch_add(1, Ordering::Relaxed);
    } else if counts.looks.load(Ordering::Acquire) {
        let mut rest = body;
        while let Some(at) = find(rest, OF_A_SPAN) {
            counts.spans.fetch_add(1, Ordering::Relaxed);
            rest = &rest[at + OF_A_SPAN.len()..];
        }
    }
    counts.bytes.fetch_add((head.len() + 4 + body.len()) as u64, Ordering::Relaxed);
    counts.requests.fetch_add(1, Ordering::Release);
    is_otlp
}

/// The spans in a compressed request: `resource_spans` (1), `scope_spans` (2), `spans` (2), all the way down.
fn otlp_spans(body: &[u8]) -> u64 {
    let mut message = Vec::new();
    if GzDecoder::new(body).read_to_end(&mut message).is_err() {
        return 0;
    }
    let resource_spans = fields(&message, 1);
    let scope_spans = resource_spans.into_iter().flat_map(|message| fields(message, 2));
    scope_spans.map(|message| fields(message, 2).len() as u64).sum()
}

/// The submessages of that number; what is no message is skipped.
fn fields(mut message: &[u8], number: u64) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some(tag) = varint(&mut message) {
        let length = match tag & 7 {
            0 => varint(&mut message).map(|_| 0),
            1 => Some(8),
            2 => varint(&mut message),
            5 => Some(4),
            _ => None,
        };
        let Some((field, rest)) = length.and_then(|length| message.split_at_checked(length as usize)) else { break };
        if tag == number << 3 | 2 {
            found.push(field);
        }
        message = rest;
    }
    found
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Where `needle` is, by its first byte: neither of ours repeats it much.
fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window[0] == needle[0] && window == needle)
}

fn content_length(head: &[u8]) -> usize {
    let lines = head.split(|&byte| byte == b'\n');
    let value = lines.filter_map(|line| {
        let (name, value) = line.split_at(line.iter().position(|&byte| byte == b':')?);
        name.eq_ignore_ascii_case(b"content-length").then_some(&value[1..])
    });
    let digits = value.flatten().filter(|byte| byte.is_ascii_digit());
    digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}

/// The parent's side of it.
#[derive(Debug)]
pub(crate) struct Sink {
    side: Side,
    pub(crate) url: String,
}

impl Sink {
    /// With `looks`, it counts spans as well.
    pub(crate) fn start(looks: bool) -> Result<Self, String> {
        let mut side = Side::start("the sink", &["sink"])?;
        let url = side.hear()?;
        if looks {
            side.say("look")?;
        }
        Ok(Self { side, url })
    }

    pub(crate) fn arrived(&mut self) -> Result<Arrived, String> {
        self.side.say("count")?;
        let line = self.side.hear()?;
        let mut numbers = line.split_whitespace().map_while(|word| word.parse().ok());
        let mut next = || numbers.next().ok_or_else(|| format!("the sink answered {line:?}"));
        Ok(Arrived {
            requests: next()?,
            bytes: next()?,
            creates: next()?,
            ends: next()?,
            spans: next()?,
            cpu_millis: next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_their_call_and_spans_where_asked() {
        let counts = Counts::default();
        counts.looks.store(true, Ordering::Release);
        count(b"POST /agents/traces HTTP/1.1\r\nhost: x", b"{}", &counts);
        count(b"POST /agents/traces/t/spans HTTP/1.1", br#"[{"span_type":"a"},{"span_type":"b"}]"#, &counts);
        count(b"POST /agents/traces/t/complete HTTP/1.1", b"{}", &counts);
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        assert_eq!(
            [&counts.requests, &counts.creates, &counts.spans, &counts.ends].map(get),
            [3, 1, 2, 1],
            "a sink that counts wrongly would find losses that are none"
        );
    }

    #[test]
    fn spans_of_otlp_are_counted_through_compression() {
        // Two resources' spans; in the first two scopes with two spans and one, in the second none.
        let scope = |spans: usize| [&[0x12, (spans * 2) as u8][..], &[0x12, 0].repeat(spans)].concat();
        let resource = |scopes: &[u8]| [&[0x0a, scopes.len() as u8][..], scopes].concat();
        let message = [resource(&[scope(2), scope(1)].concat()), resource(&[])].concat();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&message).unwrap();
        assert_eq!(otlp_spans(&encoder.finish().unwrap()), 3);
        assert_eq!(otlp_spans(b"no gzip"), 0);
    }

    #[test]
    fn lengths_are_read_whatever_their_names_are_written_like() {
        assert_eq!(content_length(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 123\r\nx: 9"), 123);
        assert_eq!(content_length(b"POST / HTTP/1.1\r\ncontent-length:7"), 7);
    }
}
