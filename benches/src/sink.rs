//! A backend that does not decode: it counts requests and bytes, and answers the same few bytes to all.
//!
//! A process of its own, so that what it takes is no part of what is measured, but of the two cores it shares.

use std::io::{BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::memory;
use crate::sides::Side;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";

/// In every span that is sent, once.
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
        count(&buffer[..head], &buffer[body..end], counts);
        stream.write_all(ANSWER)?;
        buffer.copy_within(end..filled, 0);
        filled -= end;
    }
}

fn count(head: &[u8], body: &[u8], counts: &Counts) {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let path = line.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
    if path.ends_with(b"/traces") {
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
    fn lengths_are_read_whatever_their_names_are_written_like() {
        assert_eq!(content_length(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 123\r\nx: 9"), 123);
        assert_eq!(content_length(b"POST / HTTP/1.1\r\ncontent-length:7"), 7);
    }
}
