//! The export thread's side of the threads' buffers.

use std::collections::HashMap;
use std::sync::Arc;

use super::Collector;
use super::segment::{End, RawSpan, Segment};
use super::thread::ThreadBuffer;
use crate::SpanId;
use crate::trace::{RootEnd, TraceCore};

/// What a sweep brought. Spans belong to traces that started in this sweep or in one before; ends to spans of which
/// the same holds.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    pub(crate) starts: Vec<Arc<TraceCore>>,
    pub(crate) trace_ends: Vec<RootEnd>,
    /// Spans that ended, and spans seen for the first time that are open.
    pub(crate) spans: Vec<(RawSpan, Option<End>)>,
    pub(crate) ends: Vec<(SpanId, End)>,
}

/// How far each thread's current segment was read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    cursors: HashMap<usize, Cursor>,
}

#[derive(Debug)]
struct Cursor {
    segment: Arc<Segment>,
    next: usize,
    /// Records that were read and had not ended.
    open: Vec<usize>,
}

impl Reader {
    /// Takes what every thread has into `sweep`, also the idle and the ended ones.
    pub(crate) fn sweep(&mut self, collector: &Collector, sweep: &mut Sweep) {
        let ended = collector.ended_threads();
        // A trace's end follows its start, a span's end its record, and its record its trace's start, each perhaps on
        // another thread, and that perhaps a new one: taken in the reverse order, of the threads as of then, each that
        // is seen has what it needs.
        for thread in collector.threads() {
            sweep.trace_ends.append(&mut thread.lock().take_trace_ends());
        }
        for thread in collector.threads() {
            sweep.ends.append(&mut thread.lock().ends);
        }
        for thread in collector.threads() {
            let is_last = ended.iter().any(|ended| Arc::ptr_eq(ended, &thread));
            self.read_thread(&thread, is_last, collector, sweep);
        }
        for thread in collector.threads() {
            sweep.starts.append(&mut thread.lock().starts);
        }
        for thread in ended {
            collector.retire(&thread);
        }
    }

    fn read_thread(&mut self, thread: &Arc<ThreadBuffer>, ended: bool, collector: &Collector, sweep: &mut Sweep) {
        let key = Arc::as_ptr(thread) as usize;
        let (full, current) = {
            let mut shared = thread.lock();
            let current = if ended { None } else { shared.current.clone() };
            let mut full = std::mem::take(&mut shared.full);
            if ended {
                full.extend(shared.current.take());
            }
            (full, current)
        };
        for segment in full {
            let mut cursor = match self.cursors.remove(&key) {
                Some(cursor) if Arc::ptr_eq(&cursor.segment, &segment) => cursor,
                _ => Cursor::new(Arc::clone(&segment)),
            };
            cursor.read(sweep);
            let (admitted, len) = (segment.admitted, segment.len());
            collector.budget.give_back(admitted - len, 0);
            drop(cursor);
            collector.recycle(segment);
        }
        if let Some(segment) = current {
            let cursor = self.cursors.entry(key).or_insert_with(|| Cursor::new(segment));
            cursor.read(sweep);
        }
    }
}

impl Cursor {
    fn new(segment: Arc<Segment>) -> Self {
        Self { segment, next: 0, open: Vec::new() }
    }

    fn read(&mut self, sweep: &mut Sweep) {
        let Self { segment, next, open } = self;
        open.retain(|&index| match segment.read(index) {
            Some((raw, Some(end))) => {
                segment.consume(index);
                sweep.spans.push((raw, Some(end)));
                false
            }
            Some((_, None)) => true,
            None => false,
        });
        let len = segment.len();
        for index in *next..len {
            if let Some((raw, end)) = segment.read(index) {
                match end {
                    Some(_) => segment.consume(index),
                    None => open.push(index),
                }
                sweep.spans.push((raw, end));
            }
        }
        *next = len;
    }
}
