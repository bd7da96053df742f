//! An answer's body: which framing it has, and the values in it.

use serde_json::Value;

use super::answer::Answer;
use super::fold::{Fold, Step};
use super::framing::json::Reader;
use super::framing::sse::Sse;
use super::request::Api;

/// Bytes kept of a body that is no JSON: a proxy's words of why there is no answer, or a transcript.
const LONGEST_TEXT: usize = 4096;

#[derive(Debug)]
pub(super) struct Body {
    api: Api,
    framing: Framing,
    fold: Fold,
    /// Its last event came, or the whole of it.
    done: bool,
}

/// Whether an answer that ended is all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Yes,
    /// It is where the model said why it stopped: some streams have no last event.
    Unsaid,
    Not,
}

#[derive(Debug)]
enum Framing {
    /// Nothing came yet that would tell.
    Unknown,
    /// One value, or several in lines or in a list.
    Json(Box<Reader>),
    Events(Box<Sse>),
    Text(Vec<u8>),
    /// Sounds and pictures.
    Binary,
}

impl Body {
    pub(super) fn new(api: Api) -> Self {
        Self { api, framing: Framing::Unknown, fold: Fold::default(), done: false }
    }

    /// The answer's head has come.
    pub(super) fn begin(&mut self, _status: u16, content_type: Option<&str>) {
        let kind = content_type.unwrap_or_default().to_ascii_lowercase();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        self.framing = match kind {
            "text/event-stream" => Framing::Events(Box::default()),
            _ if kind.starts_with("audio/") || kind.starts_with("image/") || kind.starts_with("video/") => {
                Framing::Binary
            }
            _ => Framing::Unknown,
        };
    }

    /// It is a stream: its first piece has a time.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.framing, Framing::Events(_))
    }

    /// Adds a piece.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Step {
        let mut step = Step::default();
        if matches!(self.framing, Framing::Unknown) {
            self.framing = match bytes.trim_ascii_start().first() {
                None => return step,
                Some(b'{' | b'[') => Framing::Json(Box::new(self.reader())),
                Some(b'd' | b'e' | b':') if self.says_event(bytes) => Framing::Events(Box::default()),
                Some(_) => Framing::Text(Vec::new()),
            };
        }
        let fold = &mut self.fold;
        match &mut self.framing {
            Framing::Json(reader) => reader.feed(bytes, |value| step = step.and(fold.event("", value))),
            Framing::Events(events) => events.feed(bytes, |event| {
                if let Some(value) = event.value {
                    step = step.and(fold.event(event.name, value));
                }
                step.done |= event.done;
            }),
            Framing::Text(kept) => {
                let room = LONGEST_TEXT.saturating_sub(kept.len());
                kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Framing::Unknown | Framing::Binary => {}
        }
        self.done |= step.done;
        step
    }

    fn reader(&self) -> Reader {
        if self.api == Api::Generate { Reader::of_elements() } else { Reader::default() }
    }

    fn says_event(&self, bytes: &[u8]) -> bool {
        let bytes = bytes.trim_ascii_start();
        bytes.starts_with(b"data:") || bytes.starts_with(b"event:") || bytes.starts_with(b":")
    }

    /// The whole answer, as a value.
    pub(super) fn whole(&mut self, value: Value) {
        self.fold = Fold::default();
        self.fold.event("", value);
        self.done = true;
    }

    /// Nothing comes any more: whether all has come.
    pub(super) fn end(&mut self) -> Whole {
        let fold = &mut self.fold;
        let mut done = self.done;
        let mut whole = Whole::Yes;
        match &mut self.framing {
            Framing::Json(reader) => {
                reader.end(|value| done |= fold.event("", value).done);
                if reader.is_within() {
                    whole = Whole::Not;
                    // As far as it came.
                    reader.partial().map(|value| fold.event("", value));
                } else if fold.is_stream() {
                    whole = Whole::Unsaid;
                }
            }
            Framing::Events(events) => {
                events.end(|event| {
                    done |= event.done;
                    if let Some(value) = event.value {
                        done |= fold.event(event.name, value).done;
                    }
                });
                if fold.is_stream() {
                    whole = Whole::Unsaid;
                }
            }
            Framing::Unknown | Framing::Text(_) | Framing::Binary => {}
        }
        if done { Whole::Yes } else { whole }
    }

    /// What the answer says, as far as it came.
    pub(super) fn answer(&mut self) -> Answer {
        Answer::of(std::mem::take(&mut self.fold.whole))
    }

    /// A body that is no JSON, where it is text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.framing {
            Framing::Text(kept) => std::str::from_utf8(kept).ok(),
            _ => None,
        }
    }
}

impl Step {
    fn and(self, other: Self) -> Self {
        Self { content: self.content || other.content, done: self.done || other.done }
    }
}
