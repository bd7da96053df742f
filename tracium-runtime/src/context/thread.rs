//! Threads that keep their context.

use std::thread::JoinHandle;

use super::Context;

/// [`std::thread::spawn`], with the thread under the context of the code that spawns it.
///
/// # Panics
/// As `std::thread::spawn` does: where the system starts no more threads.
pub fn spawn<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    std::thread::spawn(Context::current().wrap(work))
}
