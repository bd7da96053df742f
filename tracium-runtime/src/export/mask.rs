//! What the user's mask leaves of a value.

use std::borrow::Cow;

use serde_core::de::IgnoredAny;

use crate::config::Mask;
use crate::content::{Json, write_string};
use crate::panics::contained;

/// Values and texts as they may leave the process.
pub(crate) struct Masked(pub(crate) Option<Mask>);

impl Masked {
    /// A text; where the mask fails, it is withheld.
    pub(crate) fn text<'a>(&self, field: &str, text: &'a str) -> Cow<'a, str> {
        let Some(mask) = &self.0 else { return Cow::Borrowed(text) };
        let mut text = text.to_owned();
        match contained(|| mask(field, &mut text)) {
            Some(()) => Cow::Owned(text),
            None => Cow::Borrowed("[withheld: the mask failed]"),
        }
    }

    /// A captured value, still JSON: a mask may make text of what was.
    pub(crate) fn json<'a>(&self, field: &str, value: &'a Json) -> Cow<'a, str> {
        match self.text(field, value.as_str()) {
            Cow::Owned(text) => Cow::Owned(valid(text)),
            Cow::Borrowed(text) if self.0.is_some() => Cow::Owned(valid(text.to_owned())),
            Cow::Borrowed(unchanged) => Cow::Borrowed(unchanged),
        }
    }
}

fn valid(text: String) -> String {
    if serde_json::from_str::<IgnoredAny>(&text).is_ok() {
        return text;
    }
    let mut string = String::new();
    write_string(&mut string, &text);
    string
}
