//! A trace until it is printed, and after it, while spans of it may follow.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::style::Style;
use super::tree::render_trace;
use super::view::{Masked, TraceView};
use crate::SpanId;
use crate::export::{SpanItem, TraceItem, Tracked};

/// How long a trace that ended waits for spans that somebody may still hold; and a remote one for its next span.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// What is held of a trace: until it is printed, and then for as long as spans of it may follow.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) trace: Arc<Tracked>,
    pub(super) spans: Vec<SpanItem>,
    pub(super) end: Option<TraceItem>,
    /// Spans that were said to be open, and their parents: the way up from spans that ended inside them.
    pub(super) open: HashMap<SpanId, SpanId>,
    /// Its end was printed, so that what comes is late.
    pub(super) printed: bool,
    /// Nobody else can add to the trace.
    pub(super) gone: bool,
    /// When the trace ended, or where it has no end to wait for, when the last span of it came.
    pub(super) since: Option<Instant>,
}

impl Held {
    pub(super) fn new(trace: &Arc<Tracked>) -> Self {
        Self {
            trace: Arc::clone(trace),
            spans: Vec::new(),
            end: None,
            open: HashMap::new(),
            printed: false,
            gone: false,
            since: None,
        }
    }

    pub(super) fn has_items(&self) -> bool {
        self.end.is_some() || !self.spans.is_empty()
    }

    /// When it is printed at the latest; `None` while the trace is open.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.since.filter(|_| self.has_items()).map(|since| since + PATIENCE)
    }

    /// With `all`, also what is there of a trace that is still open: somebody waits for it.
    pub(super) fn is_due(&self, now: Instant, all: bool) -> bool {
        let over = self.deadline().is_some_and(|deadline| deadline <= now || self.gone);
        over || (all && self.has_items())
    }

    pub(super) fn render(&self, style: Style, mask: Masked<'_>) -> String {
        let view = TraceView::new(&self.trace, self.end.as_ref(), &self.spans, &self.open, self.printed, mask);
        render_trace(&view, style.width, style.colour)
    }
}
