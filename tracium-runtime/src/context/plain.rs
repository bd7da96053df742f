//! The hot path: a sync span, or an async one that is ready at once, where both its level and itself are as simple as can
//! be. Whatever is not goes the way of `scope`.

use super::Scope;
use super::level::{self, Level};
use super::scope::SpanRef;
use crate::clock::Timestamp;
use crate::collect::segment::{End, PackedSpan};
use crate::collect::thread::Writer;
use crate::trace::{SpanMeta, Status};

impl Scope {
    /// Begins a level, and opens its span: the level's number, to end it by.
    #[inline(always)]
    pub(crate) fn open_plain_level(&mut self, meta: &'static SpanMeta) -> Option<usize> {
        if let Some(SpanRef { trace, .. }) = &self.context.span
            && let Some([top, next, ..]) = self.levels.get_mut(self.level..)
            && let (Some(parent), Some(collector)) = (top.id, trace.sink.collector())
            && trace.named() == self.plain
        {
            let bits = top.plain_child(self.plain_bits) | meta.level_bits;
            let place = Writer::write_if_ready(collector, || PackedSpan {
                trace: trace.key,
                parent,
                started: Timestamp::now(),
                rest: level::of_record(bits) | u64::from(meta.index()),
            })?;
            *next = Level::plain(place.id, place.ticket, bits);
            self.level += 1;
            return Some(self.level);
        }
        None
    }

    /// Ends a level, and its span; false where there is more to do than to write its end.
    #[inline(always)]
    pub(crate) fn close_plain_level(&mut self, number: usize) -> bool {
        if self.level == number
            && !self.marked
            && let Some(SpanRef { trace, .. }) = &self.context.span
            && let Some(top) = self.levels.get(number)
            && top.is_plain()
            && !trace.has_records()
            && let Some(collector) = trace.sink.collector()
            && !collector.is_closed()
            && Writer::end_in_place(top.ticket, End { at: Timestamp::now(), status: Status::Completed })
        {
            self.level -= 1;
            return true;
        }
        false
    }
}
