//! JSON that comes in pieces, read as it comes into values of bounded size.
//!
//! What a value holds beyond the bounds is left out and the rest is still read, so that the tokens at the end of a huge
//! answer are found. It is no validator: whoever the answer is for will have it checked.

use std::io;

use serde_core::Serialize;
use serde_json::{Map, Number, Value};

use crate::panics::contained;

/// Bytes kept of a string; the content of a capture is cut at as many.
const LONGEST_STRING: usize = 100_000;
/// Bytes that all values of one reader may hold: keys, strings, and their places.
const ROOM: usize = 448 << 10;
/// Beyond that, for what is small: the tokens and the reason at an answer's end.
const RESERVE: usize = 64 << 10;
/// What is small.
const SMALL: usize = 256;
/// What a value takes beside its text.
const PLACE: usize = 64;
/// Elements kept of an array; of numbers, which are a vector's, and of those that come when the room is used up.
const MOST_ITEMS: usize = 4096;
const FEW_ITEMS: usize = 16;
/// Brackets inside each other; what is deeper is passed over.
const DEEPEST: usize = 64;
const LONGEST_KEY: usize = 256;
const LONGEST_NUMBER: usize = 40;

/// The one value of `bytes`; `None` where they have none, or no whole one.
pub(in super::super) fn read(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader::default();
    let mut found = None;
    reader.feed(bytes, |value| found = found.take().or(Some(value)));
    reader.end(|value| found = found.take().or(Some(value)));
    found
}

/// `value` as JSON, in bounds. What fails, or panics, while it is serialized is left out from there on.
pub(in super::super) fn of(value: &(impl Serialize + ?Sized)) -> Option<Value> {
    let mut sink = Sink { reader: Reader::default(), found: None };
    let written = contained(|| serde_json::to_writer(&mut sink, value).is_ok());
    let Sink { mut reader, mut found } = sink;
    reader.end(|value| found = found.take().or(Some(value)));
    match written {
        Some(true) => found,
        _ => reader.partial(),
    }
}

/// A reader that is written to.
struct Sink {
    reader: Reader,
    found: Option<Value>,
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let found = &mut self.found;
        self.reader.feed(bytes, |value| {
            found.get_or_insert(value);
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads values that follow each other, with or without line ends between.
#[derive(Debug)]
pub(in super::super) struct Reader {
    state: State,
    /// The brackets that are open and kept, outermost first.
    open: Vec<Open>,
    /// Brackets that are open inside those and passed over.
    skipped: usize,
    /// The string or the number that is being read.
    text: Vec<u8>,
    /// How many bytes it has in all.
    length: usize,
    room: usize,
    reserve: usize,
    /// Elements of an outermost array stand for themselves.
    elements: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value, a key or the end of a bracket may come.
    Between,
    String {
        escape: Escape,
        /// It is kept, up to so many bytes.
        most: usize,
    },
    /// A number, `true`, `false` or `null`.
    Word { kept: bool },
    /// No JSON: passed over until the line ends.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    /// Digits of `\uXXXX` so far, their value, and the first half of a pair.
    Unicode {
        digits: u8,
        code: u32,
        high: u32,
    },
    /// The first half of a pair is there, and what follows may be the second.
    Half {
        high: u32,
        slash: bool,
    },
}

#[derive(Debug)]
enum Open {
    Array { items: Vec<Value>, seen: usize },
    Object { members: Map<String, Value>, key: Key },
}

/// Where an object stands: before a key, behind one that is kept, or behind one whose value is not.
#[derive(Debug)]
enum Key {
    Awaited,
    Kept(String),
    Dropped,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            state: State::Between,
            open: Vec::new(),
            skipped: 0,
            text: Vec::new(),
            length: 0,
            room: ROOM,
            reserve: RESERVE,
            elements: false,
        }
    }
}

impl Reader {
    /// A reader that takes the elements of an outermost array one by one.
    pub(in super::super) fn of_elements() -> Self {
        Self { elements: true, ..Self::default() }
    }

    /// Forgets what was begun.
    pub(in super::super) fn reset(&mut self) {
        self.state = State::Between;
        self.open.clear();
        self.skipped = 0;
        self.text.clear();
        (self.room, self.reserve) = (ROOM, RESERVE);
    }

    /// A value was begun and is not complete.
    pub(in super::super) fn is_within(&self) -> bool {
        !self.open.is_empty() || self.skipped > 0 || self.state != State::Between
    }

    /// Bytes that are held at most for what was begun.
    #[cfg(test)]
    pub(in super::super) fn held(&self) -> usize {
        self.text.capacity() + (ROOM - self.room) + (RESERVE - self.reserve)
    }

    pub(in super::super) fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(Value)) {
        while let Some(&byte) = bytes.first() {
            bytes = match self.state {
                State::Between => {
                    self.between(byte, &mut found);
                    &bytes[1..]
                }
                State::String { escape: Escape::None, most } => self.run(bytes, most, &mut found),
                State::String { escape, most } => self.escape(bytes, escape, most),
                State::Word { kept } => {
                    if matches!(byte, b',' | b']' | b'}' | b':' | b'"' | b'[' | b'{') || byte.is_ascii_whitespace() {
                        self.word(kept, &mut found);
                        bytes
                    } else {
                        if self.text.len() < LONGEST_NUMBER {
                            self.text.push(byte);
                        }
                        &bytes[1..]
                    }
                }
                State::Lost => match bytes.iter().position(|byte| *byte == b'\n') {
                    Some(at) => {
                        self.reset();
                        &bytes[at + 1..]
                    }
                    None => &[],
                },
            };
        }
    }

    /// Nothing comes any more: a number at the very end is complete.
    pub(in super::super) fn end(&mut self, mut found: impl FnMut(Value)) {
        if let State::Word { kept } = self.state {
            self.word(kept, &mut found);
        }
    }

    /// What was begun, as far as it came.
    pub(in super::super) fn partial(&mut self) -> Option<Value> {
        let mut last = None;
        if let State::String { most, .. } = self.state {
            last = (most > 0 && !self.awaits_key()).then(|| self.take_string());
        }
        while let Some(open) = self.open.pop() {
            last = Some(match open {
                Open::Array { mut items, .. } => {
                    items.extend(last);
                    Value::Array(items)
                }
                Open::Object { mut members, key } => {
                    if let (Key::Kept(key), Some(value)) = (key, last) {
                        members.insert(key, value);
                    }
                    Value::Object(members)
                }
            });
        }
        self.reset();
        last
    }

    fn between(&mut self, byte: u8, found: &mut impl FnMut(Value)) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' => {}
            b'[' | b']' if self.elements && self.open.is_empty() && self.skipped == 0 => {}
            b'"' => {
                let most = if self.skipped > 0 {
                    0
                } else if self.awaits_key() {
                    LONGEST_KEY
                } else if self.admits(false) {
                    LONGEST_STRING.min(self.room.max(SMALL.min(self.reserve)))
                } else {
                    0
                };
                self.text.clear();
                self.length = 0;
                self.state = State::String { escape: Escape::None, most };
            }
            b'{' | b'[' => {
                if self.awaits_key() && self.skipped == 0 {
                    self.lose();
                } else if self.skipped > 0 || self.open.len() >= DEEPEST || !self.admits(false) || !self.take(PLACE) {
                    self.skipped += 1;
                } else {
                    self.open.push(if byte == b'[' {
                        Open::Array { items: Vec::new(), seen: 0 }
                    } else {
                        Open::Object { members: Map::new(), key: Key::Awaited }
                    });
                }
            }
            b'}' | b']' => self.close(found),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                if self.awaits_key() && self.skipped == 0 {
                    self.lose();
                    return;
                }
                let kept = self.skipped == 0 && self.admits(!byte.is_ascii_alphabetic());
                self.text.clear();
                self.text.push(byte);
                self.state = State::Word { kept };
            }
            _ => self.lose(),
        }
    }

    fn lose(&mut self) {
        self.reset();
        self.state = State::Lost;
    }

    fn awaits_key(&self) -> bool {
        self.skipped == 0 && matches!(self.open.last(), Some(Open::Object { key: Key::Awaited, .. }))
    }

    /// Whether the value that begins is to be kept.
    fn admits(&self, number: bool) -> bool {
        match self.open.last() {
            Some(Open::Array { seen, .. }) => *seen < if number || self.room < SMALL { FEW_ITEMS } else { MOST_ITEMS },
            Some(Open::Object { key, .. }) => !matches!(key, Key::Dropped),
            None => true,
        }
    }

    /// Takes room for `bytes`; for what is small, from the reserve where there is none.
    fn take(&mut self, bytes: usize) -> bool {
        if bytes <= self.room {
            self.room -= bytes;
            true
        } else if bytes <= SMALL + PLACE && bytes <= self.reserve {
            self.reserve -= bytes;
            true
        } else {
            false
        }
    }

    /// The bytes of a string up to its end or to an escape.
    fn run<'b>(&mut self, bytes: &'b [u8], most: usize, found: &mut impl FnMut(Value)) -> &'b [u8] {
        let end = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(bytes.len());
        self.keep(&bytes[..end], most);
        match bytes.get(end) {
            Some(b'"') => {
                self.state = State::Between;
                if self.awaits_key() {
                    self.key();
                } else if most > 0 {
                    let value = self.take_string();
                    let size = value.as_str().map_or(0, str::len);
                    let kept = self.take(size + PLACE).then_some(value);
                    self.put(kept, found);
                } else {
                    self.put(None, found);
                }
                &bytes[end + 1..]
            }
            Some(_) => {
                self.state = State::String { escape: Escape::Begun, most };
                &bytes[end + 1..]
            }
            None => &[],
        }
    }

    fn keep(&mut self, bytes: &[u8], most: usize) {
        let room = most.saturating_sub(self.text.len());
        self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length += bytes.len();
    }

    fn keep_char(&mut self, code: u32, most: usize) {
        let found = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.keep(found.encode_utf8(&mut [0; 4]).as_bytes(), most);
    }

    /// One step of an escape.
    fn escape<'b>(&mut self, bytes: &'b [u8], escape: Escape, most: usize) -> &'b [u8] {
        let byte = bytes[0];
        let (next, consumed) = match escape {
            Escape::None => (Escape::None, 0),
            Escape::Begun if byte == b'u' => (Escape::Unicode { digits: 0, code: 0, high: 0 }, 1),
            Escape::Begun => {
                let plain = match byte {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'b' => 8,
                    b'f' => 12,
                    other => other,
                };
                self.keep(&[plain], most);
                (Escape::None, 1)
            }
            Escape::Unicode { digits, code, high } => match char::from(byte).to_digit(16) {
                Some(digit) if digits == 3 => (self.unit(code * 16 + digit, high, most), 1),
                Some(digit) => (Escape::Unicode { digits: digits + 1, code: code * 16 + digit, high }, 1),
                None => {
                    self.keep_char(u32::MAX, most);
                    (Escape::None, 0)
                }
            },
            Escape::Half { high, slash: false } if byte == b'\\' => (Escape::Half { high, slash: true }, 1),
            Escape::Half { high, slash: true } if byte == b'u' => (Escape::Unicode { digits: 0, code: 0, high }, 1),
            Escape::Half { slash, .. } => {
                self.keep_char(u32::MAX, most);
                (if slash { Escape::Begun } else { Escape::None }, 0)
            }
        };
        self.state = State::String { escape: next, most };
        &bytes[consumed..]
    }

    /// A unit of UTF-16, behind the first half of a pair where `high` is not 0.
    fn unit(&mut self, unit: u32, high: u32, most: usize) -> Escape {
        match unit {
            0xDC00..=0xDFFF if high > 0 => {
                self.keep_char(0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00), most);
                return Escape::None;
            }
            _ if high > 0 => self.keep_char(u32::MAX, most),
            _ => {}
        }
        if (0xD800..=0xDBFF).contains(&unit) {
            return Escape::Half { high: unit, slash: false };
        }
        self.keep_char(unit, most);
        Escape::None
    }

    fn key(&mut self) {
        let kept = (self.length == self.text.len() && self.take(self.text.len() + PLACE))
            .then(|| String::from_utf8_lossy(&self.text).into_owned());
        if let Some(Open::Object { key, .. }) = self.open.last_mut() {
            *key = kept.map_or(Key::Dropped, Key::Kept);
        }
    }

    /// The string that was read, with a note in place of what was left out.
    fn take_string(&mut self) -> Value {
        let whole = self.length == self.text.len();
        let text = match std::str::from_utf8(&self.text) {
            Ok(text) => text.to_owned(),
            // Its last character may have been cut in two.
            Err(error) if !whole && error.error_len().is_none() => {
                String::from_utf8_lossy(&self.text[..error.valid_up_to()]).into_owned()
            }
            Err(_) => String::from_utf8_lossy(&self.text).into_owned(),
        };
        let value = if whole { text } else { super::super::fold::cut(text, self.length) };
        self.text.clear();
        if self.text.capacity() > 4 * SMALL {
            self.text = Vec::new();
        }
        Value::String(value)
    }

    fn word(&mut self, kept: bool, found: &mut impl FnMut(Value)) {
        self.state = State::Between;
        let text = std::str::from_utf8(&self.text).unwrap_or_default();
        let value = match text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            number => serde_json::from_str::<Number>(number).ok().map(Value::Number),
        };
        match value {
            None if self.open.is_empty() && self.skipped == 0 => self.lose(),
            value => {
                let kept = value.filter(|_| kept).filter(|_| self.take(PLACE));
                self.put(kept, found);
            }
        }
    }

    fn close(&mut self, found: &mut impl FnMut(Value)) {
        if self.skipped > 0 {
            self.skipped -= 1;
            if self.skipped == 0 {
                self.put(None, found);
            }
            return;
        }
        match self.open.pop() {
            Some(Open::Array { items, .. }) => self.put(Some(Value::Array(items)), found),
            Some(Open::Object { members, .. }) => self.put(Some(Value::Object(members)), found),
            None => self.lose(),
        }
    }

    /// A value has ended: it goes where it belongs, or nowhere.
    fn put(&mut self, value: Option<Value>, found: &mut impl FnMut(Value)) {
        if self.skipped > 0 {
            return;
        }
        match self.open.last_mut() {
            Some(Open::Array { items, seen }) => {
                *seen += 1;
                items.extend(value);
            }
            Some(Open::Object { members, key }) => {
                if let (Key::Kept(key), Some(value)) = (std::mem::replace(key, Key::Awaited), value) {
                    members.insert(key, value);
                }
            }
            None => {
                (self.room, self.reserve) = (ROOM, RESERVE);
                found(value.unwrap_or_default());
            }
        }
    }
}
