//! The counting allocator: the system's, with a count per thread.
//!
//! Per thread, so that what an exporter's thread allocates meanwhile is not charged to the caller; and switched, so that
//! it costs the other rows, ours and the peers' alike, one load of a flag that never changes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

static COUNTING: AtomicBool = AtomicBool::new(false);

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[derive(Debug)]
pub(crate) struct Counting;

fn count() {
    if COUNTING.load(Ordering::Relaxed) {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged. The count beside it is a thread-local of a plain
// integer with a constant start: it neither allocates, nor unwinds, nor has a destructor.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system's.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the system's.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Runs `work`; how often this thread allocated meanwhile.
pub(crate) fn allocations(work: impl FnOnce()) -> u64 {
    COUNTING.store(true, Ordering::Relaxed);
    let before = ALLOCATIONS.with(Cell::get);
    work();
    let after = ALLOCATIONS.with(Cell::get);
    COUNTING.store(false, Ordering::Relaxed);
    after - before
}
