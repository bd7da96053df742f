//! What the attributes find out about values whose types they cannot see.
//!
//! A macro sees the spelling of a type, never the type: `Result` may be an alias, and `io::Result<T>` is none that a
//! macro knows. So what a value says about its outcome is left to method lookup ("autoref specialization"): one method
//! name, several traits, each for one reference more than the last, and a call that begins with all of the references.
//!
//! Nothing here is public API; the attributes' expansion uses it through `__private`.

mod call;
mod capture;
mod failure;
mod outcome;
mod output;

pub use call::produce;
pub use capture::{CaptureDebug, CaptureValue};
pub use failure::Failure;
pub use outcome::{OfAny, OfDebug, OfDeref, OfDisplay, OfError, OfResult};
pub use output::{OutputOfAny, OutputOfResult};

/// A value that an annotated function returned.
#[derive(Debug)]
pub struct Returned<'a, T>(pub &'a T);
