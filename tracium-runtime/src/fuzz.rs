//! What the targets in `fuzz/` need of the inside. It exists with `--cfg fuzzing` only.

use std::borrow::Cow;

use serde_core::Serialize;

use crate::content::{self, Limits};

/// A captured value, as it is kept.
pub fn to_json(value: &impl Serialize) -> String {
    content::to_json(value, &Limits::CAPTURE).as_str().to_owned()
}

/// A text, cut to a wire's limit.
pub fn fit(text: &str, most: usize) -> Cow<'_, str> {
    content::fit(text, most)
}

/// The text of an error.
pub fn scrub_text(text: &str, most: usize) -> String {
    content::scrub_text(text, most)
}
