//! The output of one capture: its budget, and the containment of what a value does.

use std::any::Any;
use std::fmt;

use serde_core::{Serialize, ser};

use super::embedded::{clean, names_a_secret};
use super::escape::{cut_marker, escaped_prefix, floor_boundary, write_escaped, write_string};
use super::scrub::scrub_text;
use super::secrets::{self, REDACTED};
use super::sensitive::{KeyRole, is_sensitive};
use super::{Json, Limits};
use crate::panics::caught;

/// Kept free for each open bracket: itself, and the marker of what was left out inside it.
const RESERVE: usize = 48;
/// An element begins only with this much room: enough for any number, or for a key and a marker.
const LEAST_ROOM: usize = 128;
/// Bytes kept of a key.
const LONGEST_KEY: usize = 1024;
/// Characters kept of the message of a value that failed.
const LONGEST_MESSAGE: usize = 200;
/// Calls of `serialize` inside each other, per level of depth: newtypes and `Some` nest without a bracket.
const FRAMES_PER_LEVEL: usize = 4;

/// Why a value was not written whole. It travels through the user's `Serialize`, which hands it on.
#[derive(Debug)]
pub(super) enum Error {
    /// The budget is used up; what is written stays.
    Full,
    /// The value lies too deep.
    Deep,
    /// The user's code said so.
    Custom(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "size limit",
            Self::Deep => "depth limit",
            Self::Custom(message) => message,
        })
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let mut bounded = Bounded::new(4 * LONGEST_MESSAGE);
        // An overflow is no failure here: the beginning of the message is what we want.
        let _cut = fmt::write(&mut bounded, format_args!("{message}"));
        Self::Custom(bounded.text)
    }
}

/// A string that refuses to grow past its limit, which stops well-behaved formatting early.
pub(super) struct Bounded {
    pub(super) text: String,
    pub(super) overflow: bool,
    limit: usize,
}

impl Bounded {
    /// Keeps up to `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { text: String::new(), overflow: false, limit }
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.overflow {
            return Err(fmt::Error);
        }
        let kept = floor_boundary(s, self.limit - self.text.len());
        self.text.push_str(&s[..kept]);
        self.overflow = kept < s.len();
        if self.overflow { Err(fmt::Error) } else { Ok(()) }
    }
}

/// An open bracket.
struct Level {
    object: bool,
    /// Elements that were announced.
    declared: Option<usize>,
    /// Elements that were begun.
    seen: usize,
    /// An element was refused here.
    stopped: bool,
}

/// What a key decides about its value.
#[derive(Clone, Copy)]
pub(super) struct KeyClass {
    pub(super) sensitive: bool,
    pub(super) role: KeyRole,
}

/// What is remembered from field to field of one object.
#[derive(Default)]
pub(super) struct Members {
    /// The object names something sensitive: `{"name": "Authorization", "value": ..}`.
    armed: bool,
}

impl Members {
    /// Writes the value of a key, or that it is redacted; then its `Serialize` does not even run.
    pub(super) fn value<T: Serialize + ?Sized>(
        &mut self,
        writer: &mut Writer,
        key: KeyClass,
        value: &T,
    ) -> Result<(), Error> {
        if key.sensitive || (self.armed && key.role == KeyRole::Value) {
            writer.redacted();
            return Ok(());
        }
        let start = writer.out.len();
        writer.value(value)?;
        if key.role == KeyRole::Name {
            self.armed |= names_a_secret(&writer.out[start..]);
        }
        Ok(())
    }
}

/// JSON text as it grows.
pub(super) struct Writer {
    pub(super) out: String,
    pub(super) limits: Limits,
    open: Vec<Level>,
    /// Calls of `serialize` inside each other.
    frames: usize,
    /// The budget is used up: nothing but closing brackets follows.
    full: bool,
}

impl Writer {
    pub(super) fn new(limits: &Limits) -> Self {
        let out = String::with_capacity(limits.total_bytes.min(256));
        Self { out, limits: *limits, open: Vec::new(), frames: 0, full: false }
    }

    /// Closes what is open.
    pub(super) fn finish(mut self) -> Json {
        self.close_to(0);
        if self.out.is_empty() {
            self.out.push_str("null");
        }
        Json::from_valid(self.out)
    }

    /// Serializes one value. If it fails or panics, what it wrote is taken back and a note stands in its place; the only
    /// error that comes back is that the budget is used up.
    pub(super) fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if self.full {
            return Err(Error::Full);
        }
        let (start, depth, frames) = (self.out.len(), self.open.len(), self.frames);
        // The writer is put back into a known state below, and the value is not ours to judge.
        let outcome = caught(|| self.nested(value));
        self.frames = frames;
        if self.full {
            // Whatever the user's code made of our refusal, what fitted stays; `close_to` completes it.
            if self.out.len() == start {
                self.out.push_str("null");
            }
            return Err(Error::Full);
        }
        let note = match outcome {
            Ok(Ok(())) if self.open.len() == depth && self.out.len() > start => return Ok(()),
            Ok(Ok(())) => "incomplete".to_owned(),
            Ok(Err(Error::Deep)) => {
                self.take_back(start, depth);
                self.out.push_str("\"[depth limit]\"");
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            Err(payload) => panic_message(payload),
        };
        self.take_back(start, depth);
        self.not_serializable(&note);
        Ok(())
    }

    /// One more `serialize` inside the others, without containment.
    pub(super) fn nested<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if self.frames >= self.limits.depth.saturating_mul(FRAMES_PER_LEVEL) {
            return Err(Error::Deep);
        }
        self.frames += 1;
        let outcome = value.serialize(&mut *self);
        self.frames = self.frames.saturating_sub(1);
        outcome
    }

    /// Forgets what was written since.
    fn take_back(&mut self, start: usize, depth: usize) {
        self.out.truncate(start);
        self.open.truncate(depth);
    }

    /// Says that a value could not be written, and why.
    pub(super) fn not_serializable(&mut self, message: &str) {
        let note = format!("[not serializable: {}]", scrub_text(message, LONGEST_MESSAGE));
        self.cut_text(&note, Some(0));
    }

    /// Says that a value is withheld.
    pub(super) fn redacted(&mut self) {
        write_string(&mut self.out, REDACTED);
    }

    /// Bytes left for content.
    fn room(&self) -> usize {
        self.limits.total_bytes.saturating_sub(self.out.len() + (self.open.len() + 1) * RESERVE)
    }

    /// How many open brackets there are.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Opens an object or array.
    pub(super) fn open(&mut self, object: bool, declared: Option<usize>) -> Result<(), Error> {
        if self.open.len() >= self.limits.depth {
            return Err(Error::Deep);
        }
        self.out.push(if object { '{' } else { '[' });
        self.open.push(Level { object, declared, seen: 0, stopped: false });
        Ok(())
    }

    /// Begins an element or a key in the innermost bracket, or refuses it: then the user's iterator is asked no more.
    pub(super) fn begin_item(&mut self) -> Result<(), Error> {
        let refuse = self.full || self.room() < LEAST_ROOM;
        if let Some(level) = self.open.last_mut() {
            if refuse {
                // Only the first refusal cut here; the levels around it know what they announced.
                level.stopped |= !self.full;
            } else {
                if level.seen > 0 {
                    self.out.push(',');
                }
                level.seen += 1;
            }
        }
        self.full |= refuse;
        if refuse { Err(Error::Full) } else { Ok(()) }
    }

    /// Closes brackets until `depth` are open, with a marker in those that lost elements.
    pub(super) fn close_to(&mut self, depth: usize) {
        while self.open.len() > depth {
            let Some(level) = self.open.pop() else { return };
            let left = level.declared.map(|declared| declared.saturating_sub(level.seen));
            if self.full && (level.stopped || left.is_some_and(|left| left > 0)) {
                if level.seen > 0 {
                    self.out.push(',');
                }
                let note = match left {
                    Some(left) if left > 0 => format!("[{left} more cut]"),
                    _ => "[more cut]".to_owned(),
                };
                self.out.push_str(if level.object { "\"…\":\"" } else { "\"…" });
                self.out.push_str(&note);
                self.out.push('"');
            }
            self.out.push(if level.object { '}' } else { ']' });
        }
    }

    /// Writes a key and its colon, after `begin_item`.
    pub(super) fn key(&mut self, key: &str) -> KeyClass {
        let class = KeyClass { sensitive: is_sensitive(key), role: KeyRole::of(key) };
        let limit = LONGEST_KEY.min(self.room().saturating_sub(96).max(32));
        let edited = secrets::redact(key, limit, false);
        let left = key.len() - edited.consumed;
        self.bounded_text(&edited.text, Some(left), limit, limit);
        self.out.push(':');
        class
    }

    /// Writes a string of the user's: redacted, and cut to the limits.
    pub(super) fn text(&mut self, text: &str) {
        let edited = clean(text, self.limits.string_bytes.min(self.room()));
        self.cut_text(&edited.text, Some(text.len() - edited.consumed));
    }

    /// As [`text`](Self::text), for text that was formatted into a [`Bounded`].
    pub(super) fn formatted(&mut self, bounded: &Bounded) {
        let edited = clean(&bounded.text, self.limits.string_bytes.min(self.room()));
        let left = bounded.text.len() - edited.consumed;
        self.cut_text(&edited.text, (!bounded.overflow).then_some(left));
    }

    /// A buffer for formatting a string here. It has a little more room than is kept, lest half a secret remain.
    pub(super) fn bounded(&self) -> Bounded {
        Bounded::new(self.limits.string_bytes.min(self.room()).saturating_add(1024))
    }

    /// Writes clean text of which `left` bytes (`None`: nobody knows how many) were cut before.
    fn cut_text(&mut self, text: &str, left: Option<usize>) {
        self.bounded_text(text, left, self.limits.string_bytes, self.room());
    }

    /// Writes a string of at most `max` bytes, in `room` bytes of output.
    fn bounded_text(&mut self, text: &str, left: Option<usize>, max: usize, room: usize) {
        let mut kept = floor_boundary(text, max);
        if escaped_prefix(&text[..kept], room) < kept {
            kept = escaped_prefix(&text[..kept], room.saturating_sub(32));
        }
        self.out.push('"');
        write_escaped(&mut self.out, &text[..kept]);
        let lost = left.map(|left| left + text.len() - kept);
        if lost != Some(0) {
            self.out.push_str(&cut_marker(lost));
        }
        self.out.push('"');
    }
}

/// What a panic said. The payload is the user's, and even dropping it may panic.
pub(super) fn panic_message(payload: Box<dyn Any + Send>) -> String {
    let message = match payload.downcast_ref::<&str>() {
        Some(message) => Some(*message),
        None => payload.downcast_ref::<String>().map(String::as_str),
    };
    let note = format!(
        "panicked: {}",
        message.map_or("no message", |text| &text[..floor_boundary(text, 4 * LONGEST_MESSAGE)])
    );
    let _dropped = caught(|| drop(payload));
    note
}
