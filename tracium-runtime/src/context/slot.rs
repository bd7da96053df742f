//! The one place where a thread knows what it runs under.

use std::cell::Cell;

use super::Scope;

thread_local! {
    // Only ever holds the innermost scope; the ones around it lie in the guards that put it here.
    static SLOT: Cell<Option<Box<Scope>>> = const { Cell::new(None) };
}

#[inline]
fn replace(scope: Option<Box<Scope>>) -> Option<Box<Scope>> {
    // Past the thread's end there is no slot: the scope closes, and the work runs under none.
    SLOT.try_with(|slot| slot.replace(scope)).ok().flatten()
}

/// Shows the innermost scope to `look`, which must call no code of the user's: that would see no scope.
#[inline]
pub(crate) fn current<R>(look: impl FnOnce(Option<&mut Scope>) -> R) -> R {
    let mut scope = replace(None);
    let result = look(scope.as_deref_mut());
    if scope.is_some() {
        drop(replace(scope));
    }
    result
}

/// Whether any scope is open here.
pub(crate) fn is_open() -> bool {
    current(|scope| scope.is_some())
}

/// Makes `scope` the innermost, until the guard is left or dropped.
pub(crate) fn enter(scope: Option<Box<Scope>>) -> Entered {
    Entered { outer: replace(scope), left: false }
}

/// Restores the scope that was innermost before, also when code panics past it.
#[must_use]
#[derive(Debug)]
pub(crate) struct Entered {
    outer: Option<Box<Scope>>,
    left: bool,
}

impl Entered {
    /// Restores the outer scope and gives back the inner one.
    pub(crate) fn leave(mut self) -> Option<Box<Scope>> {
        self.left = true;
        replace(self.outer.take())
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if !self.left {
            drop(replace(self.outer.take()));
        }
    }
}
