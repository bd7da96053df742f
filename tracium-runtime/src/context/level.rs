//! Where a scope, or a sync span inside it, stands in its trace: three words, written and read as such.

use crate::SpanId;
use crate::collect::Ticket;
use crate::trace::{OpenSpan, TenantMark};

/// The span that a scope or a level of it is under: the one that it opened itself, which ends with it, or an outer one.
///
/// What is not the id is packed as in a span's record, so that a span's level is its parent's with a few bits more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    /// `None` outside any trace.
    pub(crate) id: Option<SpanId>,
    pub(crate) ticket: Ticket,
    bits: u64,
}

/// Bits of a level, and of a record: the depth from here on, then whose its tenant is.
const DEPTH: u32 = 32;
const DEPTH_MASK: u64 = (1 << 24) - 1;
const TENANT: u32 = DEPTH + 24;
/// It opened its span, which has not ended.
const OPEN: u64 = 1 << 60;
/// The span opened its trace, which ends with it.
const OWNS_TRACE: u64 = 1 << 61;
/// Its span is a call of a model.
const LLM: u64 = 1 << 58;
/// It, or a level or a scope around it, is in a call of a model of the same trace.
const IN_LLM: u64 = 1 << 62;
/// Its end is to be written into its record, and that is all there is to do.
const PLAIN: u64 = 1 << 59;

/// What a plain span's level has beside its depth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlainBits(u64);

impl PlainBits {
    pub(crate) fn new(tenant: TenantMark) -> Self {
        Self((tenant as u64) << TENANT | OPEN | PLAIN)
    }
}

impl Level {
    pub(crate) const OUTSIDE: Self = Self { id: None, ticket: Ticket::NONE, bits: 0 };
    /// Deeper than this, spans count as if they were here.
    pub(crate) const DEEPEST: u32 = DEPTH_MASK as u32;

    /// Under a span that something else opened.
    pub(crate) fn under(id: Option<SpanId>, depth: u32) -> Self {
        Self { id, ticket: Ticket::NONE, bits: u64::from(depth.min(Self::DEEPEST)) << DEPTH }
    }

    /// What marks the levels of spans of `kind`.
    pub(crate) const fn bits_of(kind: &str) -> u64 {
        if matches!(kind.as_bytes(), b"llm") { LLM | IN_LLM } else { 0 }
    }

    /// Whether it is in a call of a model, its own included.
    pub(crate) fn is_in_llm(&self) -> bool {
        self.bits & IN_LLM != 0
    }

    /// The span, where it is a call of a model.
    pub(crate) fn llm(&self) -> Option<SpanId> {
        self.id.filter(|_| self.bits & LLM != 0)
    }

    /// The same, in a call of a model that was begun around it.
    pub(crate) fn in_llm(mut self, is: bool) -> Self {
        self.bits |= if is { IN_LLM } else { 0 };
        self
    }

    /// Under a span that was opened for it.
    pub(crate) fn of(open: OpenSpan) -> Self {
        let OpenSpan { id, ticket, depth, tenant, owns_trace, is_llm } = open;
        let bits = (tenant as u64) << TENANT
            | OPEN
            | if owns_trace { OWNS_TRACE } else { 0 }
            | if is_llm { LLM | IN_LLM } else { 0 };
        Self { ticket, bits: Self::under(None, depth).bits | bits, id: Some(id) }
    }

    /// What a plain span inside this one has, but for its id and place; this one is not among the deepest.
    #[inline(always)]
    pub(crate) fn plain_child(&self, plain: PlainBits) -> u64 {
        ((self.bits & (DEPTH_MASK << DEPTH | IN_LLM)) + (1 << DEPTH)) | plain.0
    }

    #[inline(always)]
    pub(crate) fn plain(id: SpanId, ticket: Ticket, bits: u64) -> Self {
        Self { id: Some(id), ticket, bits }
    }

    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.bits & PLAIN != 0
    }

    #[inline(always)]
    pub(crate) fn depth(&self) -> u32 {
        (self.bits >> DEPTH & DEPTH_MASK) as u32
    }

    pub(crate) fn is_open(&self) -> bool {
        self.bits & OPEN != 0
    }

    /// The span was ended.
    pub(crate) fn close(&mut self) {
        self.bits &= !(OPEN | PLAIN);
    }

    /// The span that it opened itself.
    pub(crate) fn open(&self) -> Option<OpenSpan> {
        let tenant = TenantMark::from_bits(self.bits >> TENANT);
        let owns_trace = self.bits & OWNS_TRACE != 0;
        let id = self.id.filter(|_| self.is_open())?;
        let is_llm = self.bits & LLM != 0;
        Some(OpenSpan { id, ticket: self.ticket, depth: self.depth(), tenant, owns_trace, is_llm })
    }
}

/// The part of a level's bits that its record has.
#[inline(always)]
pub(crate) fn of_record(bits: u64) -> u64 {
    bits & !(OPEN | PLAIN | LLM | IN_LLM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_three_words_and_gives_back_what_it_was_made_of() {
        assert_eq!(size_of::<Level>(), 24);
        for (depth, tenant, owns_trace) in
            [(0, TenantMark::None, false), (Level::DEEPEST, TenantMark::Own, true), (7, TenantMark::OfTrace, false)]
        {
            let is_llm = !owns_trace;
            let open = OpenSpan { id: SpanId::random(), ticket: Ticket::NONE, depth, tenant, owns_trace, is_llm };
            let mut level = Level::of(open);
            let read = level.open().unwrap();
            assert_eq!((read.id, read.depth, read.tenant, read.owns_trace), (open.id, depth, tenant, owns_trace));
            assert_eq!((read.is_llm, level.llm().is_some(), level.is_in_llm()), (is_llm, is_llm, is_llm));
            assert!(!level.is_plain());
            level.close();
            assert!(level.open().is_none());
            assert_eq!((level.id, level.depth()), (Some(open.id), depth), "what runs here is still under it");
        }
        assert_eq!(Level::under(None, u32::MAX).depth(), Level::DEEPEST);
    }

    #[test]
    fn a_plain_child_is_one_deeper_and_has_its_own_tenant_mark() {
        let parent = Level::under(Some(SpanId::random()), 41);
        let bits = parent.plain_child(PlainBits::new(TenantMark::OfTrace));
        let child = Level::plain(SpanId::random(), Ticket::NONE, bits);
        assert!(child.is_plain() && child.is_open());
        assert_eq!((child.depth(), child.open().unwrap().tenant), (42, TenantMark::OfTrace));
        let grandchild =
            Level::plain(SpanId::random(), Ticket::NONE, child.plain_child(PlainBits::new(TenantMark::None)));
        assert_eq!((grandchild.depth(), grandchild.open().unwrap().tenant), (43, TenantMark::None));
    }
}
