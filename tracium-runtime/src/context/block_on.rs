//! Sync code that waits for a future.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::Context;

/// Runs `future` to its end on this thread, under the current context.
///
/// Only `future` runs under it: tasks that the same thread drives meanwhile see none of it. A runtime's own
/// `block_on` inside a scope cannot know that; use this, or [`Context::unscoped`] around it.
///
/// With the feature `tokio`, and outside any tokio runtime, the future has a current-thread runtime of its own.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let future = Context::current().scope(future);
    Context::unscoped(|| {
        #[cfg(feature = "tokio")]
        if tokio::runtime::Handle::try_current().is_err()
            && let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build()
        {
            return runtime.block_on(future);
        }
        park_on(future)
    })
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn park_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = TaskContext::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
