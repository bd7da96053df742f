//! Panics: what they said, and how code that is not ours is kept from spreading its own.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::trace::details::Error;

thread_local! {
    static LAST: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Lets scopes that are opened in place know what a panic said. The hook before it goes on to be called.
///
/// Without it, or when the application sets a hook later that does not call the one before, such a panic's
/// message is "panicked"; closures and futures learn it from the panic itself.
#[cfg_attr(not(feature = "collect"), allow(dead_code))]
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let _ = LAST.try_with(|last| {
                if let Ok(mut last) = last.try_borrow_mut() {
                    *last = text(info.payload()).map(Into::into);
                }
            });
            // A panic that we contain is none for the user to read about.
            if !CONTAINED.try_with(Cell::get).unwrap_or(false) {
                before(info);
            }
        }));
    });
}

/// Runs code of the user's that we asked for and whose panic must stay here: `Serialize`, `Display`, hooks.
pub(crate) fn contained<R>(work: impl FnOnce() -> R) -> Option<R> {
    let before = CONTAINED.try_with(|flag| flag.replace(true)).unwrap_or(false);
    let result = panic::catch_unwind(AssertUnwindSafe(work)).ok();
    let _ = CONTAINED.try_with(|flag| flag.set(before));
    result
}

fn text(payload: &dyn Any) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// The error of a panic whose payload is at hand.
pub(crate) fn error(payload: &(dyn Any + Send)) -> Error {
    Error { type_name: "panic".into(), message: text(payload).unwrap_or("panicked").into() }
}

/// The error of the panic that unwinds this thread now.
pub(crate) fn last() -> Error {
    let message = LAST.try_with(|last| last.try_borrow().ok().and_then(|last| last.clone()));
    Error { type_name: "panic".into(), message: message.ok().flatten().unwrap_or_else(|| "panicked".into()) }
}
