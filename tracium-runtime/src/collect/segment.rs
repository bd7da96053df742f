//! A run of span records that one thread writes and the export thread reads, without a lock between them.
//!
//! Every field is an atomic, written by plain stores: the record's words first, then the segment's length with
//! `Release`; a span's end is the `Release` store of its end time into the record where it lies. The reader pairs
//! each with an `Acquire` load. No field is ever written by both sides, but `ended` once the reader has consumed it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::SpanId;
use crate::clock::Timestamp;
use crate::trace::{Status, TenantMark};

/// Records of a segment: what is admitted, handed over and recycled as one.
pub(crate) const RECORDS: usize = 256;

/// A record that was read and handed on.
const CONSUMED: u64 = u64::MAX;

#[derive(Debug, Default)]
struct Slot {
    trace: AtomicU64,
    span: AtomicU64,
    parent: AtomicU64,
    started: AtomicU64,
    /// 0 while the span is open.
    ended: AtomicU64,
    /// The index of the span's constant part, its depth, whose its tenant is, and whether it failed.
    rest: AtomicU64,
}

/// A record, read or to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawSpan {
    pub(crate) trace: u64,
    pub(crate) span: SpanId,
    pub(crate) parent: SpanId,
    pub(crate) started: Timestamp,
    pub(crate) meta: u32,
    pub(crate) depth: u32,
    pub(crate) tenant: TenantMark,
}

const DEPTH_BITS: u32 = 24;
const FAILED: u64 = 1 << 63;

impl RawSpan {
    fn rest(&self) -> u64 {
        let depth = self.depth.min((1 << DEPTH_BITS) - 1);
        u64::from(self.meta) | u64::from(depth) << 32 | (self.tenant as u64) << (32 + DEPTH_BITS)
    }
}

/// How a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) at: Timestamp,
    pub(crate) status: Status,
}

#[derive(Debug)]
pub(crate) struct Segment {
    len: AtomicUsize,
    /// How many of its records were admitted: all, but where the buffers are almost full.
    pub(crate) admitted: usize,
    slots: Box<[Slot]>,
}

impl Segment {
    pub(crate) fn new() -> Self {
        Self { len: AtomicUsize::new(0), admitted: 0, slots: (0..RECORDS).map(|_| Slot::default()).collect() }
    }

    /// Makes a segment that nobody else holds as good as new.
    pub(crate) fn clear(&mut self) {
        let len = std::mem::take(self.len.get_mut());
        for slot in &mut self.slots[..len] {
            *slot.ended.get_mut() = 0;
        }
    }

    /// Writes the record at `index`, which is the segment's length. Only the owning thread may call this.
    #[inline]
    pub(crate) fn push(&self, index: usize, span: &RawSpan) {
        let Some(slot) = self.slots.get(index) else { return };
        slot.trace.store(span.trace, Ordering::Relaxed);
        slot.span.store(span.span.to_u64(), Ordering::Relaxed);
        slot.parent.store(span.parent.to_u64(), Ordering::Relaxed);
        slot.started.store(span.started.to_u64(), Ordering::Relaxed);
        slot.rest.store(span.rest(), Ordering::Relaxed);
        self.len.store(index + 1, Ordering::Release);
    }

    /// Ends the span at `index`. Only the owning thread may call this, and once.
    #[inline]
    pub(crate) fn end(&self, index: usize, end: End) {
        let Some(slot) = self.slots.get(index) else { return };
        if end.status == Status::Failed {
            slot.rest.store(slot.rest.load(Ordering::Relaxed) | FAILED, Ordering::Relaxed);
        }
        slot.ended.store(end.at.to_u64(), Ordering::Release);
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// The record at `index`, which is below a length that was read.
    pub(crate) fn read(&self, index: usize) -> Option<(RawSpan, Option<End>)> {
        let slot = self.slots.get(index)?;
        // Before the words that the end may still change.
        let ended = slot.ended.load(Ordering::Acquire);
        let rest = slot.rest.load(Ordering::Relaxed);
        let tenant = match rest >> (32 + DEPTH_BITS) & 3 {
            0 => TenantMark::None,
            1 => TenantMark::OfTrace,
            _ => TenantMark::Own,
        };
        let raw = RawSpan {
            trace: slot.trace.load(Ordering::Relaxed),
            span: SpanId::from_u64(slot.span.load(Ordering::Relaxed))?,
            parent: SpanId::from_u64(slot.parent.load(Ordering::Relaxed))?,
            started: Timestamp::from_u64(slot.started.load(Ordering::Relaxed)),
            meta: rest as u32,
            depth: (rest >> 32) as u32 & ((1 << DEPTH_BITS) - 1),
            tenant,
        };
        let status = if rest & FAILED == 0 { Status::Completed } else { Status::Failed };
        match ended {
            CONSUMED => None,
            0 => Some((raw, None)),
            at => Some((raw, Some(End { at: Timestamp::from_u64(at), status }))),
        }
    }

    /// The record at `index` has ended, was read, and is handed on.
    pub(crate) fn consume(&self, index: usize) {
        self.slots[index].ended.store(CONSUMED, Ordering::Relaxed);
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

    fn raw(depth: u32, tenant: TenantMark) -> RawSpan {
        RawSpan {
            trace: 7,
            span: SpanId::random(),
            parent: SpanId::random(),
            started: Timestamp::now(),
            meta: u32::MAX,
            depth,
            tenant,
        }
    }

    #[test]
    fn a_record_takes_48_bytes() {
        assert_eq!(size_of::<Slot>(), 48);
    }

    #[test]
    fn what_is_written_is_read() {
        let segment = Segment::new();
        for (index, (depth, tenant)) in
            [(1, TenantMark::None), (5_000_000, TenantMark::OfTrace), (u32::MAX, TenantMark::Own)]
                .into_iter()
                .enumerate()
        {
            let written = raw(depth, tenant);
            segment.push(index, &written);
            let (read, end) = segment.read(index).unwrap();
            assert_eq!((read.trace, read.span, read.parent), (written.trace, written.span, written.parent));
            assert_eq!((read.meta, read.tenant, read.started), (written.meta, written.tenant, written.started));
            assert_eq!(read.depth, depth.min((1 << DEPTH_BITS) - 1));
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
    }
}
