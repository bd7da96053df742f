//! Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), of which each has JSON as data.

use serde_json::Value;

use super::json::Reader;

/// Bytes kept of a field's name, of an event's, and of data that is no JSON.
const SHORT: usize = 64;

/// An event.
#[derive(Debug)]
pub(in super::super) struct Event<'a> {
    /// Its name; empty where it has none.
    pub(in super::super) name: &'a str,
    /// Its data, where that is JSON.
    pub(in super::super) value: Option<Value>,
    /// `[DONE]`, which ends the streams of the `OpenAI` family.
    pub(in super::super) done: bool,
}

#[derive(Debug, Default)]
pub(in super::super) struct Sse {
    state: State,
    /// The field's name, and whether that is all of it.
    field: Vec<u8>,
    name: Vec<u8>,
    /// The first bytes of the data.
    data: Vec<u8>,
    has_data: bool,
    json: Reader,
    value: Option<Value>,
    /// How much of a byte order mark has come.
    mark: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// At the very beginning.
    #[default]
    Start,
    /// Before a line, behind a carriage return, which a line feed may belong to.
    Line {
        after_return: bool,
    },
    Field,
    /// Behind the colon, where one space is not the value's.
    Colon,
    Value(Kind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Event,
    Other,
}

impl Sse {
    #[cfg(test)]
    pub(in super::super) fn held(&self) -> usize {
        self.json.held() + self.field.capacity() + self.name.capacity() + self.data.capacity()
    }

    pub(in super::super) fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(Event<'_>)) {
        const MARK: &[u8] = &[0xEF, 0xBB, 0xBF];
        while let Some(&byte) = bytes.first() {
            match self.state {
                State::Start => {
                    if MARK.get(self.mark) == Some(&byte) {
                        self.mark += 1;
                        bytes = &bytes[1..];
                    } else {
                        self.state = State::Line { after_return: false };
                    }
                }
                State::Line { after_return: true } if byte == b'\n' => {
                    self.state = State::Line { after_return: false };
                    bytes = &bytes[1..];
                }
                State::Line { .. } => {
                    if is_end(byte) {
                        self.dispatch(&mut found);
                        self.state = State::Line { after_return: byte == b'\r' };
                        bytes = &bytes[1..];
                    } else {
                        self.field.clear();
                        self.state = State::Field;
                    }
                }
                State::Field => {
                    if is_end(byte) {
                        self.state = State::Line { after_return: byte == b'\r' };
                    } else if byte == b':' {
                        self.state = State::Colon;
                    } else if self.field.len() < SHORT {
                        self.field.push(byte);
                    }
                    bytes = &bytes[1..];
                }
                State::Colon => {
                    let kind = match self.field.as_slice() {
                        b"data" => Kind::Data,
                        b"event" => Kind::Event,
                        _ => Kind::Other,
                    };
                    match kind {
                        Kind::Event => self.name.clear(),
                        // Lines of one event's data are one text.
                        Kind::Data if std::mem::replace(&mut self.has_data, true) => self.data(b"\n"),
                        _ => {}
                    }
                    self.state = State::Value(kind);
                    if byte == b' ' {
                        bytes = &bytes[1..];
                    }
                }
                State::Value(kind) => {
                    let end = bytes.iter().position(|byte| is_end(*byte)).unwrap_or(bytes.len());
                    match kind {
                        Kind::Data => self.data(&bytes[..end]),
                        Kind::Event => keep(&mut self.name, &bytes[..end]),
                        Kind::Other => {}
                    }
                    if let Some(byte) = bytes.get(end) {
                        self.state = State::Line { after_return: *byte == b'\r' };
                        bytes = &bytes[end + 1..];
                    } else {
                        bytes = &[];
                    }
                }
            }
        }
    }

    /// Nothing comes any more. Some servers leave out the empty line behind the last event.
    pub(in super::super) fn end(&mut self, mut found: impl FnMut(Event<'_>)) {
        self.dispatch(&mut found);
    }

    fn data(&mut self, bytes: &[u8]) {
        keep(&mut self.data, bytes);
        let value = &mut self.value;
        self.json.feed(bytes, |found| first(value, found));
    }

    fn dispatch(&mut self, found: &mut impl FnMut(Event<'_>)) {
        let value = &mut self.value;
        self.json.end(|found| first(value, found));
        if std::mem::take(&mut self.has_data) {
            let done = self.data.trim_ascii() == b"[DONE]";
            let name = std::str::from_utf8(&self.name).unwrap_or_default();
            found(Event { name, value: self.value.take().filter(|_| !done), done });
        }
        self.json.reset();
        self.name.clear();
        self.data.clear();
    }
}

/// Data is one value; what follows it is none of ours.
fn first(value: &mut Option<Value>, found: Value) {
    value.get_or_insert(found);
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = SHORT.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}
