//! The bounds of captured values. They add nothing to `Serialize` and `Debug` but an error that names the way out.

use serde_core::Serialize;
use std::fmt;

/// A value that `capture(x)`, `input`, `output` and `metadata(..)` take.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be captured, since it does not implement `serde::Serialize`",
    label = "captured here",
    note = "implement `serde::Serialize` for it: `#[derive(serde::Serialize)]`",
    note = "an argument can be captured through `Debug` instead: `capture(?x)`"
)]
pub trait CaptureValue: Serialize {}

// Otherwise the compiler would report the missing `Serialize`, and none of the above.
#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> CaptureValue for T {}

/// A value that `capture(?x)` takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be captured with `?`, since it does not implement `Debug`",
    label = "captured here",
    note = "implement `Debug` for it: `#[derive(Debug)]`",
    note = "an argument that implements `serde::Serialize` is captured without `?`: `capture(x)`"
)]
pub trait CaptureDebug: fmt::Debug {}

#[diagnostic::do_not_recommend]
impl<T: fmt::Debug + ?Sized> CaptureDebug for T {}
