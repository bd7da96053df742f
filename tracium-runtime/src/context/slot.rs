//! The one place where a thread knows what it runs under.

use std::cell::Cell;
use std::mem::ManuallyDrop;

use super::Scope;
use crate::trace::SpanMeta;

const NONE: u8 = SpanMeta::QUIET;
const SOME: u8 = 2;

thread_local! {
    // Only ever holds the innermost scope; the ones around it lie in the guards that put it here, and take it out again.
    // Without a destructor: reaching it needs no look at whether it is there.
    static SLOT: Cell<Option<ManuallyDrop<Box<Scope>>>> = const { Cell::new(None) };
    // Whether there is one.
    static MARK: Cell<u8> = const { Cell::new(NONE) };
}

/// Whether a span that opens here changes nothing and is noted by nobody: no scope is open on this thread, and nothing
/// collects anywhere. One comparison, of two bytes that the code which asks knows the addresses of.
#[inline(always)]
pub(crate) fn is_quiet(meta: &'static SpanMeta) -> bool {
    MARK.get() == meta.quiet()
}

/// Whether any scope is open here.
#[inline]
pub(crate) fn is_open() -> bool {
    MARK.get() == SOME
}

#[inline]
fn replace(scope: Option<Box<Scope>>) -> Option<Box<Scope>> {
    MARK.set(if scope.is_some() { SOME } else { NONE });
    SLOT.replace(scope.map(ManuallyDrop::new)).map(ManuallyDrop::into_inner)
}

/// Shows the innermost scope to `look`, which must call no code of the user's: that would see no scope.
#[inline(always)]
pub(crate) fn current<R>(look: impl FnOnce(Option<&mut Scope>) -> R) -> R {
    let mut scope = SLOT.take();
    let result = look(scope.as_mut().map(|scope| &mut ***scope));
    SLOT.set(scope);
    result
}

/// Makes `scope` the innermost, until the guard is left or dropped.
#[inline]
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
    #[inline]
    pub(crate) fn leave(mut self) -> Option<Box<Scope>> {
        self.left = true;
        replace(self.outer.take())
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        if !self.left
            && let Some(scope) = replace(self.outer.take())
        {
            scope.retire();
        }
    }
}
