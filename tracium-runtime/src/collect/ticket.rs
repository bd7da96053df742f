//! Where an open span's record lies, so that its end needs no search.

/// The place of an open span's record: at `index` of the segment that `serial` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) serial: u64,
    pub(crate) index: u32,
}

impl Ticket {
    /// No place: roots and recorders' spans have none.
    pub(crate) const NONE: Self = Self { serial: 0, index: 0 };
    /// The buffers had no room when the span opened.
    #[cfg(feature = "collect")]
    pub(crate) const REFUSED: Self = Self { serial: 0, index: 1 };
}
