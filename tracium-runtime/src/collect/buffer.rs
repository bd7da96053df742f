//! A thread's buffer: its own thread writes, the export thread takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::collect::Ticket;
use crate::trace::{SpanRecord, TraceCore};

/// Something that happened, in the order of its thread.
#[derive(Debug)]
pub(crate) enum Event {
    TraceStarted(Arc<TraceCore>),
    /// A span, ended or still open.
    Span(SpanRecord),
    /// The end of a span whose opening was taken before.
    SpanClosed(SpanRecord),
    /// A trace's root, ended.
    TraceEnded(SpanRecord),
}

#[derive(Debug)]
pub(crate) struct ThreadBuffer {
    id: u64,
    buffer: Mutex<Buffer>,
}

#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// Counts how often the events were taken: a ticket is good for one generation.
    generation: u64,
    events: Vec<Event>,
    /// Spans and traces that ended here, ever.
    emitted: u64,
    /// Of these, the ones that lie in `events`.
    ended: usize,
}

impl ThreadBuffer {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), buffer: Mutex::default() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push_open(&self, span: SpanRecord) -> Ticket {
        let mut buffer = self.lock();
        let index = buffer.events.len();
        buffer.events.push(Event::Span(span));
        Ticket::Slot { buffer: self.id, generation: buffer.generation, index }
    }

    /// The generation and index of `ticket`, where it lies in this buffer.
    pub(crate) fn place(&self, ticket: Ticket) -> Option<(u64, usize)> {
        match ticket {
            Ticket::Slot { buffer, generation, index } if buffer == self.id => Some((generation, index)),
            _ => None,
        }
    }
}

impl Buffer {
    /// Ends a span: in place where its record still lies here, else with a record of its own.
    pub(crate) fn push_closed(&mut self, place: Option<(u64, usize)>, span: SpanRecord) {
        self.emitted += 1;
        self.ended += 1;
        if let Some((generation, index)) = place
            && generation == self.generation
            && let Some(Event::Span(open)) = self.events.get_mut(index)
        {
            *open = span;
        } else {
            self.events.push(Event::SpanClosed(span));
        }
    }

    pub(crate) fn push_trace(&mut self, event: Event) {
        if let Event::TraceEnded(_) = event {
            self.emitted += 1;
            self.ended += 1;
        }
        self.events.push(event);
    }

    /// Hands over a trace that never was, so that what is held of it is let go.
    pub(crate) fn push_discarded(&mut self, root: SpanRecord) {
        self.events.push(Event::TraceEnded(root));
    }

    /// Counts a span or trace that ended and is not kept.
    pub(crate) fn count_lost(&mut self) {
        self.emitted += 1;
    }

    pub(crate) fn emitted(&self) -> u64 {
        self.emitted
    }

    pub(crate) fn queued(&self) -> usize {
        self.ended
    }

    /// Moves the events to the end of `out`; the space stays with this thread.
    pub(crate) fn take(&mut self, out: &mut Vec<Event>) {
        if !self.events.is_empty() {
            self.generation += 1;
            self.ended = 0;
            out.append(&mut self.events);
        }
    }
}
