//! A run of span records that one thread writes and the export thread reads, without a lock between them.
//!
//! Every field is an atomic, written by plain stores: the record's words first, then the segment's length with
//! `Release`; a span's end is the `Release` store of its end time into the record where it lies. The reader pairs
//! each with an `Acquire` load. No field is ever written by both sides, but `ended` once the reader has consumed it.

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::SpanId;
use crate::clock::Timestamp;
use crate::trace::{Status, TenantMark};

/// Records of a segment: what is admitted, handed over and recycled as one. As many as a byte can tell apart.
pub(crate) const RECORDS: usize = if cfg!(all(test, tracium_loom)) { 2 } else { 256 };

/// A record that was read and handed on.
const CONSUMED: u64 = u64::MAX;

#[derive(Debug)]
struct Slot {
    trace: AtomicU64,
    parent: AtomicU64,
    started: AtomicU64,
    /// 0 while the span is open.
    ended: AtomicU64,
    /// The index of the span's constant part, its depth, whose its tenant is, whether it is a root, whether it failed.
    rest: AtomicU64,
}

/// A record to be written. Its span's id is that of its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewSpan {
    pub(crate) trace: u64,
    pub(crate) parent: SpanId,
    pub(crate) started: Timestamp,
    pub(crate) meta: u32,
    pub(crate) depth: u32,
    pub(crate) tenant: TenantMark,
    pub(crate) is_root: bool,
}

/// A record, read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawSpan {
    pub(crate) trace: u64,
    pub(crate) span: SpanId,
    pub(crate) parent: SpanId,
    pub(crate) started: Timestamp,
    pub(crate) meta: u32,
    pub(crate) depth: u32,
    pub(crate) tenant: TenantMark,
    pub(crate) is_root: bool,
}

const DEPTH_BITS: u32 = 24;
const TENANT_SHIFT: u32 = 32 + DEPTH_BITS;
const ROOT: u64 = 1 << 62;
const FAILED: u64 = 1 << 63;

impl NewSpan {
    fn rest(&self) -> u64 {
        let depth = self.depth.min((1 << DEPTH_BITS) - 1);
        let root = if self.is_root { ROOT } else { 0 };
        u64::from(self.meta) | u64::from(depth) << 32 | (self.tenant as u64) << TENANT_SHIFT | root
    }

    pub(crate) fn packed(&self) -> PackedSpan {
        PackedSpan { trace: self.trace, parent: self.parent, started: self.started, rest: self.rest() }
    }
}

/// A record, as it is written. [`Level`](crate::context::level::Level) packs the last word of plain spans' itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackedSpan {
    pub(crate) trace: u64,
    pub(crate) parent: SpanId,
    pub(crate) started: Timestamp,
    pub(crate) rest: u64,
}

/// How a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) at: Timestamp,
    pub(crate) status: Status,
}

/// Lives as long as the process: written by one thread after the other, and read in between.
#[derive(Debug)]
pub(crate) struct Segment {
    len: AtomicUsize,
    /// How many of its records were admitted: all, but where the buffers are almost full.
    admitted: AtomicUsize,
    /// The place of its first record among all that this process ever wrote.
    first: AtomicU64,
    slots: [Slot; RECORDS],
}

impl Segment {
    pub(crate) const fn new() -> Self {
        Self {
            len: AtomicUsize::new(0),
            admitted: AtomicUsize::new(0),
            first: AtomicU64::new(0),
            slots: [const {
                Slot {
                    trace: AtomicU64::new(0),
                    parent: AtomicU64::new(0),
                    started: AtomicU64::new(0),
                    ended: AtomicU64::new(0),
                    rest: AtomicU64::new(0),
                }
            }; RECORDS],
        }
    }

    /// A block of segments: as large as what the allocator gives back to the system as one, since a burst takes thousands.
    pub(crate) fn block() -> &'static [Self] {
        const BLOCK: usize = if cfg!(all(test, tracium_loom)) { 1 } else { 16 };
        Box::leak((0..BLOCK).map(|_| Self::new()).collect())
    }

    /// Makes the segment the writer's that takes it, with the places from `first`.
    pub(crate) fn begin(&self, first: u64, admitted: usize) {
        self.first.store(first, Ordering::Relaxed);
        self.admitted.store(admitted, Ordering::Relaxed);
    }

    /// Makes a segment that nobody writes to any more as good as new.
    pub(crate) fn clear(&self) {
        for slot in &self.slots[..self.len()] {
            slot.ended.store(0, Ordering::Relaxed);
        }
        self.len.store(0, Ordering::Relaxed);
    }

    pub(crate) fn admitted(&self) -> usize {
        self.admitted.load(Ordering::Relaxed)
    }

    /// Writes the record at `index`, which is the segment's length. Only the owning thread may call this.
    #[inline(always)]
    pub(crate) fn push(&self, index: u8, span: PackedSpan) {
        let slot = &self.slots[usize::from(index)];
        slot.trace.store(span.trace, Ordering::Relaxed);
        slot.parent.store(span.parent.to_u64(), Ordering::Relaxed);
        slot.started.store(span.started.to_u64(), Ordering::Relaxed);
        slot.rest.store(span.rest, Ordering::Relaxed);
        self.len.store(usize::from(index) + 1, Ordering::Release);
    }

    /// Ends the span at `index`. Only the owning thread may call this, and once.
    #[inline(always)]
    pub(crate) fn end(&self, index: u8, end: End) {
        let slot = &self.slots[usize::from(index)];
        if end.status == Status::Failed {
            slot.rest.store(slot.rest.load(Ordering::Relaxed) | FAILED, Ordering::Relaxed);
        }
        slot.ended.store(end.at.to_u64(), Ordering::Release);
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// The end of the root at `index`, which is below a length that was read: its trace, and how it ended. `None` where
    /// it is no root, open, or consumed.
    pub(crate) fn root_end(&self, index: u8) -> Option<(u64, End)> {
        let slot = &self.slots[usize::from(index)];
        if slot.rest.load(Ordering::Relaxed) & ROOT == 0 {
            return None;
        }
        match self.read(index) {
            Some((raw, Some(end))) => Some((raw.trace, end)),
            _ => None,
        }
    }

    /// The record at `index`, which is below a length that was read; `None` once it was consumed.
    #[inline]
    pub(crate) fn read(&self, index: u8) -> Option<(RawSpan, Option<End>)> {
        let slot = &self.slots[usize::from(index)];
        // Before the words that the end may still change.
        let ended = slot.ended.load(Ordering::Acquire);
        if ended == CONSUMED {
            return None;
        }
        let rest = slot.rest.load(Ordering::Relaxed);
        let raw = RawSpan {
            trace: slot.trace.load(Ordering::Relaxed),
            span: SpanId::at(self.first.load(Ordering::Relaxed) + u64::from(index)),
            parent: SpanId::from_u64(slot.parent.load(Ordering::Relaxed))?,
            started: Timestamp::from_u64(slot.started.load(Ordering::Relaxed)),
            meta: rest as u32,
            depth: (rest >> 32) as u32 & ((1 << DEPTH_BITS) - 1),
            tenant: TenantMark::from_bits(rest >> TENANT_SHIFT),
            is_root: rest & ROOT != 0,
        };
        let status = if rest & FAILED == 0 { Status::Completed } else { Status::Failed };
        let end = (ended != 0).then(|| End { at: Timestamp::from_u64(ended), status });
        Some((raw, end))
    }

    /// The record at `index` has ended, was read, and is handed on.
    #[inline]
    pub(crate) fn consume(&self, index: u8) {
        self.slots[usize::from(index)].ended.store(CONSUMED, Ordering::Relaxed);
    }

    /// Records that have ended and were not consumed.
    pub(crate) fn waiting(&self) -> usize {
        let slots = &self.slots[..self.len()];
        slots.iter().filter(|slot| !matches!(slot.ended.load(Ordering::Relaxed), 0 | CONSUMED)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(depth: u32, tenant: TenantMark, is_root: bool) -> NewSpan {
        let started = Timestamp::now();
        NewSpan { trace: 7, parent: SpanId::random(), started, meta: u32::MAX, depth, tenant, is_root }
    }

    #[test]
    fn a_record_takes_40_bytes() {
        assert_eq!(size_of::<Slot>(), 40);
    }

    #[test]
    fn what_is_written_is_read() {
        let segment = &Segment::block()[0];
        segment.begin(512, RECORDS);
        for (index, (depth, tenant)) in
            [(1, TenantMark::None), (5_000_000, TenantMark::OfTrace), (u32::MAX, TenantMark::Own)]
                .into_iter()
                .enumerate()
        {
            let is_root = index == 2;
            let written = new(depth, tenant, is_root);
            let at = u8::try_from(index).unwrap();
            segment.push(at, written.packed());
            let (read, end) = segment.read(at).unwrap();
            assert_eq!((read.trace, read.parent, read.is_root), (written.trace, written.parent, is_root));
            assert_eq!((read.meta, read.tenant, read.started), (written.meta, written.tenant, written.started));
            assert_eq!(read.depth, depth.min((1 << DEPTH_BITS) - 1));
            assert_eq!(read.span, SpanId::at(512 + index as u64));
            assert_eq!(end, None);
        }
        assert_eq!(segment.len(), 3);
        let end = End { at: Timestamp::now(), status: Status::Failed };
        segment.end(1, end);
        let (read, ended) = segment.read(1).unwrap();
        assert_eq!((ended, read.tenant, read.meta), (Some(end), TenantMark::OfTrace, u32::MAX));
        assert_eq!(segment.waiting(), 1);
        segment.consume(1);
        assert_eq!((segment.waiting(), segment.read(1).is_none()), (0, true));
        segment.end(2, end);
        assert_eq!(segment.root_end(2), Some((7, end)));
        assert_eq!(segment.root_end(0), None, "it is no root");
    }

    #[test]
    fn a_cleared_segment_is_as_good_as_new() {
        let segment = &Segment::block()[0];
        segment.push(0, new(1, TenantMark::None, false).packed());
        segment.end(0, End { at: Timestamp::now(), status: Status::Completed });
        segment.clear();
        assert_eq!((segment.len(), segment.waiting()), (0, 0));
        segment.push(0, new(1, TenantMark::None, false).packed());
        assert_eq!(segment.read(0).unwrap().1, None);
    }
}
