//! A deadline that holds whatever the export thread does, for futures that may be polled where no runtime is.

use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

/// Ready at its deadline; never, where no thread can be had to wait for it.
#[derive(Debug)]
pub(crate) struct Timer {
    due: oneshot::Receiver<()>,
    /// The thread that waits ends when this is dropped.
    _wanted: mpsc::Sender<()>,
}

impl Timer {
    pub(crate) fn at(deadline: Instant) -> Self {
        let (wanted, unwanted) = mpsc::channel::<()>();
        let (ring, due) = oneshot::channel();
        let wait = move || {
            let is_due = unwanted.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            if is_due == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = ring.send(());
            }
        };
        // Without, the export thread's own clock has to do.
        let _ = thread::Builder::new().name("tracium-deadline".to_owned()).spawn(wait);
        Self { due, _wanted: wanted }
    }

    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match Pin::new(&mut self.due).poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}
