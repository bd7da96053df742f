//! AWS event streams: messages of a prelude (the length of the whole, that of the headers, and a checksum of both), headers,
//! a payload and a checksum of all.
//!
//! The checksum at a message's end is the client's affair, which gets the same bytes and will not take a broken one. That
//! of the prelude is checked, since what the lengths say decides what is read as what.

use serde_json::Value;

use super::json::Reader;

const PRELUDE: usize = 12;
const CHECKSUM: u32 = 4;
/// No message of the protocol is longer; where one says so, we have lost our place.
const LONGEST_MESSAGE: u32 = 24 << 20;
/// Bytes kept of a message's headers.
const LONGEST_HEADERS: usize = 4096;

/// A message.
#[derive(Debug)]
pub(in super::super) struct Message<'a> {
    /// The event's type; of an exception, its own.
    pub(in super::super) name: &'a str,
    pub(in super::super) exception: bool,
    pub(in super::super) value: Option<Value>,
}

#[derive(Debug, Default)]
pub(in super::super) struct EventStream {
    state: State,
    /// The prelude, or the headers.
    kept: Vec<u8>,
    json: Reader,
    value: Option<Value>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Prelude,
    Headers {
        left: u32,
        payload: u32,
    },
    Payload {
        left: u32,
    },
    Checksum {
        left: u32,
    },
    /// It is no such stream.
    Lost,
}

impl EventStream {
    #[cfg(test)]
    pub(in super::super) fn held(&self) -> usize {
        self.json.held() + self.kept.capacity()
    }

    /// A message was begun and is not complete.
    pub(in super::super) fn is_within(&self) -> bool {
        match self.state {
            State::Prelude => !self.kept.is_empty(),
            State::Headers { .. } | State::Payload { .. } | State::Checksum { .. } => true,
            State::Lost => false,
        }
    }

    pub(in super::super) fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(Message<'_>)) {
        while !bytes.is_empty() {
            match self.state {
                State::Prelude => {
                    let taken = bytes.len().min(PRELUDE - self.kept.len());
                    self.kept.extend_from_slice(&bytes[..taken]);
                    bytes = &bytes[taken..];
                    if self.kept.len() == PRELUDE {
                        self.state = lengths(&self.kept)
                            .map_or(State::Lost, |(headers, payload)| State::Headers { left: headers, payload });
                        self.kept.clear();
                        self.skip_empty();
                    }
                }
                State::Headers { left, payload } => {
                    let (these, rest) = split(bytes, left);
                    let room = LONGEST_HEADERS.saturating_sub(self.kept.len());
                    self.kept.extend_from_slice(&these[..these.len().min(room)]);
                    self.state = State::Headers { left: left - these.len() as u32, payload };
                    bytes = rest;
                    self.skip_empty();
                }
                State::Payload { left } => {
                    let (these, rest) = split(bytes, left);
                    let value = &mut self.value;
                    self.json.feed(these, |json| {
                        value.get_or_insert(json);
                    });
                    self.state = State::Payload { left: left - these.len() as u32 };
                    bytes = rest;
                    self.skip_empty();
                }
                State::Checksum { left } => {
                    let (these, rest) = split(bytes, left);
                    let left = left - these.len() as u32;
                    self.state = State::Checksum { left };
                    bytes = rest;
                    if left == 0 {
                        self.message(&mut found);
                    }
                }
                State::Lost => return,
            }
        }
    }

    /// Goes on to the part of the message that has bytes.
    fn skip_empty(&mut self) {
        if let State::Headers { left: 0, payload } = self.state {
            self.state = State::Payload { left: payload };
        }
        if let State::Payload { left: 0 } = self.state {
            self.state = State::Checksum { left: CHECKSUM };
        }
    }

    fn message(&mut self, found: &mut impl FnMut(Message<'_>)) {
        let headers = Headers::of(&self.kept);
        let (exception, name) = match headers.exception {
            Some(name) => (true, name),
            None => (headers.is_error, headers.event.unwrap_or_default()),
        };
        found(Message { name, exception, value: self.value.take() });
        self.json.reset();
        self.kept.clear();
        self.state = State::Prelude;
    }
}

fn split(bytes: &[u8], left: u32) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.len().min(left as usize))
}

/// The lengths of headers and payload, where a prelude is one.
fn lengths(prelude: &[u8]) -> Option<(u32, u32)> {
    let word = |at: usize| Some(u32::from_be_bytes(prelude.get(at..at + 4)?.try_into().ok()?));
    let (total, headers, checksum) = (word(0)?, word(4)?, word(8)?);
    let payload = total.checked_sub(headers)?.checked_sub(PRELUDE as u32 + CHECKSUM)?;
    (total <= LONGEST_MESSAGE && crc32(&prelude[..8]) == checksum).then_some((headers, payload))
}

/// The checksum of eight bytes needs no table.
pub(in super::super) fn crc32(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    });
    !crc
}

/// The headers that tell what a message is.
#[derive(Debug, Default)]
struct Headers<'a> {
    event: Option<&'a str>,
    exception: Option<&'a str>,
    is_error: bool,
}

impl<'a> Headers<'a> {
    fn of(mut bytes: &'a [u8]) -> Self {
        let mut found = Self::default();
        while let Some((name, value, rest)) = header(bytes) {
            match name {
                b":event-type" => found.event = value,
                b":exception-type" | b":error-code" => found.exception = value,
                b":message-type" => found.is_error = matches!(value, Some("exception" | "error")),
                _ => {}
            }
            bytes = rest;
        }
        found
    }
}

/// A header's name, its value where that is a text, and what follows.
fn header(bytes: &[u8]) -> Option<(&[u8], Option<&str>, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (kind, rest) = rest.split_first()?;
    let fixed = match kind {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        6 | 7 => {
            let (length, rest) = rest.split_at_checked(2)?;
            let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
            let (value, rest) = rest.split_at_checked(length)?;
            let text = std::str::from_utf8(value).ok().filter(|_| *kind == 7);
            return Some((name, text, rest));
        }
        _ => return None,
    };
    let (_, rest) = rest.split_at_checked(fixed)?;
    Some((name, None, rest))
}
