//! The export thread's side of the threads' buffers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Collector;
use super::segment::{End, RawSpan, Segment};
use super::thread::ThreadBuffer;
use crate::SpanId;
use crate::trace::TraceCore;

/// Reads what the threads wrote, in this order: [`ends`](Self::ends), [`starts`], [`spans`](Self::spans).
///
/// A trace's end follows the ends of its spans, a span's end its record, and its record its trace's start, each perhaps
/// on another thread, and that perhaps a new one. Ends are read first, so that what ended before them is found later;
/// a record that is found has its trace's start, if need be among those that came since.
///
/// Where whoever is shown a record panics, that one is lost, and the next reading goes on behind it.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    cursors: HashMap<usize, Cursor>,
    /// Segments that nobody writes to any more, and that were not read to their end.
    full: VecDeque<&'static Segment>,
    /// Ends of roots that were found too late for their sweep.
    late: Vec<(u64, End)>,
}

/// How far a thread's current segment was read.
#[derive(Debug)]
struct Cursor {
    segment: &'static Segment,
    next: usize,
    /// Records that were read and had not ended.
    open: Vec<u8>,
}

/// What ended, as of the sweep's beginning.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// Traces, by their keys.
    pub(crate) traces: Vec<(u64, End)>,
    /// Spans whose records lie elsewhere than where they ended.
    pub(crate) spans: Vec<(SpanId, End)>,
}

/// Takes the traces that started, of every thread.
pub(crate) fn starts(collector: &Collector, starts: &mut Vec<Arc<TraceCore>>) {
    for thread in collector.threads() {
        starts.append(&mut thread.lock().starts);
    }
}

impl Reader {
    /// Whether it holds ends that are in nobody's buffer any more, for the next sweep.
    pub(crate) fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// Takes the ends of traces, and of spans that ended away from their records, of every thread.
    pub(crate) fn ends(&mut self, collector: &Collector, ends: &mut Ends) {
        ends.traces.append(&mut self.late);
        for thread in collector.threads() {
            let mut shared = thread.lock();
            ends.traces.append(&mut shared.root_ends);
            let (current, full) = (shared.current, shared.full.clone());
            drop(shared);
            let cursor = self.cursors.get(&key(thread));
            for segment in full.into_iter().chain(current) {
                let read = cursor.filter(|cursor| std::ptr::eq(cursor.segment, segment));
                let (open, next) = read.map_or((&[][..], 0), |cursor| (&cursor.open[..], cursor.next));
                for index in open.iter().copied().chain((next..segment.len()).map(|index| index as u8)) {
                    if let Some(end) = segment.root_end(index) {
                        segment.consume(index);
                        ends.traces.push(end);
                    }
                }
            }
        }
        // All of them once more: those of a trace may have ended on a thread that has come since.
        for thread in collector.threads() {
            ends.spans.append(&mut thread.lock().ends);
        }
    }

    /// Shows `take` every record that is new, and every one that ended since it was shown as open.
    pub(crate) fn spans(&mut self, collector: &Collector, mut take: impl FnMut(RawSpan, Option<End>)) {
        for thread in collector.threads() {
            // Before its segments are looked at: what it wrote before its end is in them.
            let ended = thread.has_ended();
            let current = {
                let mut shared = thread.lock();
                // The thread keeps the room of its list.
                self.full.extend(shared.full.drain(..));
                if ended {
                    self.full.extend(shared.current.take());
                }
                shared.current
            };
            while let Some(segment) = self.full.front().copied() {
                let mut cursor = match self.cursors.remove(&key(thread)) {
                    Some(cursor) if std::ptr::eq(cursor.segment, segment) => cursor,
                    _ => Cursor::new(segment),
                };
                cursor.read(&mut take);
                self.full.pop_front();
                // Nobody comes back to it: a root that ended since `ends` looked is kept for the next.
                self.late.extend(cursor.open.iter().filter_map(|&index| segment.root_end(index)));
                collector.give_back(segment.admitted() - segment.len(), 0);
                collector.recycle(segment);
            }
            if let Some(segment) = current {
                self.cursors.entry(key(thread)).or_insert_with(|| Cursor::new(segment)).read(&mut take);
            }
            // What ended elsewhere is taken by the next sweep's `ends`.
            if ended && thread.lock().is_empty() {
                collector.retire(thread);
            }
        }
    }
}

fn key(thread: &'static ThreadBuffer) -> usize {
    std::ptr::from_ref(thread) as usize
}

impl Cursor {
    fn new(segment: &'static Segment) -> Self {
        Self { segment, next: 0, open: Vec::new() }
    }

    fn read(&mut self, take: &mut impl FnMut(RawSpan, Option<End>)) {
        let Self { segment, next, open } = self;
        open.retain(|&index| match segment.read(index) {
            // The ends of roots are read by `ends`, before everything else.
            Some((raw, _)) if raw.is_root => true,
            Some((raw, Some(end))) => {
                segment.consume(index);
                take(raw, Some(end));
                false
            }
            Some((_, None)) => true,
            None => false,
        });
        let len = segment.len();
        while *next < len {
            let index = *next as u8;
            *next += 1;
            match segment.read(index) {
                Some((raw, _)) if raw.is_root => open.push(index),
                Some((raw, end)) => {
                    match end {
                        Some(_) => segment.consume(index),
                        None => open.push(index),
                    }
                    take(raw, end);
                }
                None => {}
            }
        }
    }
}
