//! An answer's body: which framing it has, and the values in it.

use serde_json::Value;

use super::answer::Answer;
use super::fold::{Fold, Step};
use super::framing::aws::EventStream;
use super::framing::json::Reader;
use super::framing::sse::{Event, Sse};

/// Bytes kept of a body that is no JSON: a proxy's words of why there is no answer, or a transcript.
const LONGEST_TEXT: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Body {
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
    /// Nothing that we read tells.
    Unknown,
    Not,
}

#[derive(Debug, Default)]
enum Framing {
    /// Nothing came yet that would tell.
    #[default]
    Unknown,
    /// One value, or several in lines; or in a list.
    Json {
        reader: Box<Reader>,
        list: bool,
    },
    Events(Box<Sse>),
    Messages(Box<EventStream>),
    Text(Vec<u8>),
    /// Sounds and pictures.
    Binary,
}

impl Body {
    /// The answer's head has come; of an API that `may_be_text`, one that says so is one, whatever it begins with.
    pub(super) fn begin(&mut self, content_type: Option<&str>, may_be_text: bool) {
        let kind = content_type.unwrap_or_default().to_ascii_lowercase();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        self.framing = match kind {
            "text/event-stream" => Framing::Events(Box::default()),
            "text/plain" if may_be_text => Framing::Text(Vec::new()),
            "application/vnd.amazon.eventstream" => Framing::Messages(Box::default()),
            _ if kind.starts_with("audio/") || kind.starts_with("image/") || kind.starts_with("video/") => {
                Framing::Binary
            }
            _ => Framing::Unknown,
        };
    }

    /// It is a stream: its first piece has a time.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.framing, Framing::Events(_) | Framing::Messages(_)) || self.fold.is_stream()
    }

    /// Adds a piece.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Step {
        let mut step = Step::default();
        if matches!(self.framing, Framing::Unknown) {
            self.framing = match bytes.trim_ascii_start().first() {
                None => return step,
                Some(b'{') => Framing::Json { reader: Box::default(), list: false },
                Some(b'[') => Framing::Json { reader: Box::new(Reader::of_elements()), list: true },
                Some(_) if says_event(bytes) => Framing::Events(Box::default()),
                Some(_) => Framing::Text(Vec::new()),
            };
        }
        let fold = &mut self.fold;
        match &mut self.framing {
            Framing::Json { reader, list } => {
                reader.feed(bytes, |value| step = step.and(fold.value(value, *list)));
                // More may follow, up to the list's end.
                step.done &= !*list;
            }
            Framing::Events(events) => events.feed(bytes, |event| step = step.and(add(fold, event))),
            Framing::Messages(messages) => messages.feed(bytes, |message| {
                if message.exception {
                    fold.exception(message.name, message.value.as_ref());
                } else if let Some(value) = message.value {
                    step = step.and(fold.event(message.name, value));
                }
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

    /// The whole answer, as a value.
    pub(super) fn whole(&mut self, value: Value) {
        self.fold.whole(value);
        self.done = true;
    }

    /// Nothing comes any more: whether all has come.
    pub(super) fn end(&mut self) -> Whole {
        let fold = &mut self.fold;
        let mut done = self.done;
        let mut whole = Whole::Unknown;
        match &mut self.framing {
            Framing::Json { reader, list } => {
                if reader.is_within() {
                    whole = Whole::Not;
                    // As far as it came.
                    reader.partial().map(|value| fold.value(value, *list));
                } else if fold.is_stream() {
                    whole = Whole::Unsaid;
                }
            }
            Framing::Events(events) => {
                events.end(|event| done |= add(fold, event).done);
                if fold.is_stream() {
                    whole = Whole::Unsaid;
                }
            }
            Framing::Messages(messages) => {
                if messages.is_within() {
                    whole = Whole::Not;
                } else if fold.is_stream() {
                    whole = Whole::Unsaid;
                }
            }
            Framing::Unknown | Framing::Text(_) | Framing::Binary => {}
        }
        if done { Whole::Yes } else { whole }
    }

    /// What the answer says, as far as it came. A text that is no JSON is an answer where all went well, as of a transcript.
    pub(super) fn answer(&mut self, status: Option<u16>) -> Answer {
        let text = self.text().filter(|_| status.is_some_and(|status| status < 300)).map(Value::from);
        Answer::of(text.unwrap_or_else(|| self.fold.take()))
    }

    /// Bytes that are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let framing = match &self.framing {
            Framing::Json { reader, .. } => reader.held(),
            Framing::Events(events) => events.held(),
            Framing::Messages(messages) => messages.held(),
            Framing::Text(kept) => kept.capacity(),
            Framing::Unknown | Framing::Binary => 0,
        };
        framing + self.fold.held()
    }

    /// A body that is no JSON, where it is text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.framing {
            Framing::Text(kept) => match std::str::from_utf8(kept) {
                Ok(text) => Some(text),
                // It is cut where it is, which may be within a character.
                Err(error) if error.error_len().is_none() => std::str::from_utf8(&kept[..error.valid_up_to()]).ok(),
                Err(_) => None,
            },
            _ => None,
        }
    }
}

/// Adds an event of a stream.
fn add(fold: &mut Fold, event: Event<'_>) -> Step {
    let step = event.value.map_or_else(Step::default, |value| fold.event(event.name, value));
    Step { done: step.done || event.done, ..step }
}

fn says_event(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    [&b"data:"[..], b"event:", b"id:", b"retry:", b":"].iter().any(|start| bytes.starts_with(start))
}
