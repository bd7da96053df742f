//! tokio tasks that keep their context.

use tokio::task::JoinHandle;

use super::Context;

/// [`tokio::spawn`], with the task under the context of the code that spawns it.
///
/// # Panics
/// As `tokio::spawn` does: outside a runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(Context::current().scope(future))
}

/// [`tokio::task::spawn_blocking`], with the closure under the context of the code that spawns it.
///
/// # Panics
/// As `tokio::task::spawn_blocking` does: outside a runtime.
#[track_caller]
pub fn spawn_blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    tokio::task::spawn_blocking(Context::current().wrap(work))
}

/// [`tokio::task::spawn_local`], with the task under the context of the code that spawns it.
///
/// # Panics
/// As `tokio::task::spawn_local` does: outside a `LocalSet`.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    tokio::task::spawn_local(Context::current().scope(future))
}
