//! A request from its arrival until the last byte of its answer, or a job: what the layers of all frameworks share.

use std::fmt::Display;
use std::thread::panicking;

use crate::{Context, OwnedSpan, TraceBuilder};

/// A request that was let in. Dropped before [`finish`](Self::finish), it was cancelled, or panicked.
#[derive(Debug)]
pub(crate) struct Request {
    context: Context,
    trace: Option<OwnedSpan>,
}

impl Request {
    /// Under `context`, and in `trace`, which opens now.
    pub(crate) fn open(context: Context, trace: Option<TraceBuilder>) -> Self {
        match trace.map(|trace| context.run(|| trace.open())) {
            Some(trace) => Self { context: trace.context().clone(), trace: Some(trace) },
            None => Self { context, trace: None },
        }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Notes the answer's status; 500 and above fail the trace.
    #[cfg(any(feature = "actix", feature = "rocket", feature = "tower"))]
    pub(crate) fn answered(&self, status: u16) {
        if let Some(trace) = &self.trace {
            trace.add_own_metadata("http.response.status_code", &status);
            if status >= 500 {
                trace.fail(format_args!("answered with status {status}"));
            }
        }
    }

    /// Notes one more thing that the answer says of itself.
    #[cfg(feature = "tower")]
    pub(crate) fn noted(&self, key: &'static str, value: u16) {
        if let Some(trace) = &self.trace {
            trace.add_own_metadata(key, &value);
        }
    }

    pub(crate) fn fail(&self, reason: impl Display) {
        if let Some(trace) = &self.trace {
            trace.fail(reason);
        }
    }

    /// All of the answer has been given.
    pub(crate) fn finish(mut self) {
        if let Some(trace) = self.trace.take() {
            trace.end();
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(trace) = self.trace.take() {
            trace.cancel();
        }
    }
}

/// Polls for `request`; a panic ends it right there, since whoever catches the panic may keep what panicked.
pub(crate) fn polled<R>(request: &mut Option<Request>, poll: impl FnOnce() -> R) -> R {
    struct EndOnPanic<'a> {
        request: &'a mut Option<Request>,
        panicking: bool,
    }
    impl Drop for EndOnPanic<'_> {
        fn drop(&mut self) {
            if !self.panicking && panicking() {
                self.request.take();
            }
        }
    }
    let guard = EndOnPanic { request, panicking: panicking() };
    let result = poll();
    drop(guard);
    result
}
