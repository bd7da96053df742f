//! What users hand us, as bounded and redacted JSON text.
//!
//! A captured value is serialized once, on the caller's thread, by [`to_json`] or an [`ObjectWriter`]. Whatever the value
//! does (fail, panic, nest without end, hold 50 MB), the result is valid JSON within [`Limits`], and only the part that
//! misbehaved is replaced. Secrets never reach the text: values under sensitive keys ([`is_sensitive`]) are not even
//! asked for, and those that show by their form are replaced inside every string. The export side cuts the text to a
//! wire's limit with [`fit`].
//!
//! | file | what |
//! |---|---|
//! | `writer` | the output, its budget, and the containment of one value |
//! | `ser`, `map_key` | serde's calls, mapped to the writer |
//! | `object` | `{"name": value, ..}` of several named values |
//! | `sensitive` | secrets by key |
//! | `secrets`, `url`, `encoded` | secrets and blobs by form |
//! | `embedded` | JSON inside strings |
//! | `token`, `grammar` | a scanner for JSON text |
//! | `fit` | JSON into a byte limit |
//! | `scrub` | error and panic texts |
//! | `percent` | percent-encoded text |
//! | `escape`, `edits` | strings: escaping, cutting, editing |

mod edits;
mod embedded;
mod encoded;
mod escape;
mod fit;
mod grammar;
mod map_key;
mod object;
mod percent;
mod scrub;
mod secrets;
mod sensitive;
mod ser;
#[cfg(test)]
mod tests;
mod token;
mod url;
mod writer;

use std::fmt;

use serde_core::Serialize;

pub(crate) use self::encoded::shortened;
pub(crate) use self::escape::{write_string, write_u64};
pub(crate) use self::fit::fit;
pub(crate) use self::object::ObjectWriter;
pub(crate) use self::percent::{percent_decode, percent_encode};
pub(crate) use self::scrub::scrub_text;
pub(crate) use self::sensitive::is_sensitive;

/// JSON text; valid by construction, so that encoders paste it instead of parsing it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Json(Box<str>);

impl Json {
    /// Wraps text that the caller knows to be valid JSON, which is not checked again.
    pub(crate) fn from_valid(text: String) -> Self {
        Self(text.into_boxed_str())
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Bytes of the text, for memory accounting; never 0, as no JSON is empty.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Shows the length only: captured content has no place in our logs.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.len())
    }
}

/// How much of one value is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes kept of one string, before escaping; the rest is counted in a marker.
    pub string_bytes: usize,
    /// Arrays and objects inside each other; what is deeper becomes `"[depth limit]"`.
    pub depth: usize,
    /// Bytes of the JSON text. A hard bound from 1,024 upwards; below, markers may exceed it.
    pub total_bytes: usize,
}

impl Limits {
    /// For captures: more than the wire's 100,000 bytes, since `fit` chooses better what to cut when it sees everything.
    pub(crate) const CAPTURE: Self = Self { string_bytes: 100_000, depth: 64, total_bytes: 400_000 };
}

/// Serializes a value into bounded, redacted JSON. Never fails and never panics: a part of the value that does is
/// replaced by `"[not serializable: ..]"`. (The process's panic hook still runs for a panic inside `Serialize`.)
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T, limits: &Limits) -> Json {
    let mut writer = writer::Writer::new(limits);
    // A stop has marked itself in the output; `finish` closes what is open.
    let _stopped = writer.value(value);
    writer.finish()
}
