//! What an annotated function asked to have captured, and how it ended.

use std::sync::Arc;

use serde_core::Serialize;

use super::current;
use crate::SpanId;
use crate::content::{self, Json, Limits, ObjectWriter};
use crate::panics::contained;
use crate::probe::{CaptureDebug, CaptureValue, Failure};
use crate::trace::TraceCore;

/// The input that an annotated function asked to have captured: arguments by name, or one value as the whole.
#[derive(Debug)]
pub struct InputCapture {
    named: ObjectWriter,
    whole: Option<Json>,
}

impl InputCapture {
    /// An argument, through `Serialize`.
    pub fn value<T: CaptureValue + ?Sized>(&mut self, name: &'static str, value: &T) {
        self.named.value(name, value);
    }

    /// An argument, through `Debug`: it has no keys that could be redacted, so it must be asked for as `?name`.
    pub fn debug<T: CaptureDebug + ?Sized>(&mut self, name: &'static str, value: &T) {
        self.named.debug(name, &value);
    }

    /// One value as the whole input.
    pub fn whole<T: CaptureValue + ?Sized>(&mut self, value: &T) {
        self.whole = Some(content::to_json(value, &Limits::CAPTURE));
    }

    fn finish(self) -> Json {
        let Self { named, whole } = self;
        whole.unwrap_or_else(|| named.finish())
    }
}

/// The span that the innermost scope opened itself, where content may be captured on it.
fn capturing() -> Option<(Arc<TraceCore>, SpanId)> {
    let (trace, id, tenant) = current(|scope| {
        let scope = scope?;
        let (trace, span) = scope.own_span()?;
        let (trace, span) = (Arc::clone(trace), span.id);
        Some((trace, span, scope.synced().effective_tenant()))
    })?;
    trace.sink.captures(tenant.as_ref()).then_some((trace, id))
}

/// Captures arguments; `collect` runs only where they will be kept.
pub(crate) fn input(collect: impl FnOnce(&mut InputCapture)) {
    if let Some((trace, span)) = capturing() {
        trace.record(span, collected(collect).finish(), |details| &mut details.input);
    }
}

pub(crate) fn collected(collect: impl FnOnce(&mut InputCapture)) -> InputCapture {
    let mut capture = InputCapture { named: ObjectWriter::new(&Limits::CAPTURE), whole: None };
    contained(|| collect(&mut capture));
    capture
}

/// Keeps arguments that were captured before it was known whether they may be.
pub(crate) fn keep(input: InputCapture) {
    if let Some((trace, span)) = capturing() {
        trace.record(span, input.finish(), |details| &mut details.input);
    }
}

/// Captures what the function returned.
pub(crate) fn output(value: &(impl Serialize + ?Sized)) {
    if let Some((trace, span)) = capturing() {
        let mut object = ObjectWriter::new(&Limits::CAPTURE);
        object.value("return", value);
        trace.record(span, object.finish(), |details| &mut details.output);
    }
}

/// Notes how the function ended.
pub(crate) fn outcome(failure: Option<Failure>) {
    current(|scope| {
        if let Some(scope) = scope {
            scope.set_failure(failure.map(|failure| Box::new(failure.into())));
        }
    });
}
