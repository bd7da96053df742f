//! What the targets in `fuzz/` need of the inside. It exists with `--cfg fuzzing` only.

use std::borrow::Cow;

use serde_core::Serialize;

use crate::content::{self, Limits};
use crate::export::{otlp, rest, spool};

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

/// What may be a file of the spool, and what may be a unit of one, which no checksum guards then: how many could be sent.
pub fn spool(bytes: &[u8]) -> usize {
    let is_ours = |protocol, unit: &[u8]| match protocol {
        spool::Protocol::Rest => rest::is_unit(unit),
        spool::Protocol::Otlp => otlp::is_unit(unit),
    };
    let of_file = spool::read(bytes)
        .map_or(0, |(protocol, units)| units.into_iter().filter(|(_, unit)| is_ours(protocol, unit)).count());
    of_file + [spool::Protocol::Rest, spool::Protocol::Otlp].into_iter().filter(|of| is_ours(*of, bytes)).count()
}
