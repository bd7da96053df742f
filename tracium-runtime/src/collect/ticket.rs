//! Where an open span lies in a buffer, so that its end needs no search.

/// The place of an open span's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ticket {
    /// In the buffer of the thread `buffer`, at `index` of its `generation`.
    #[cfg(feature = "collect")]
    Slot { buffer: u64, generation: u64, index: usize },
    /// The buffers had no room when the span opened.
    #[cfg(feature = "collect")]
    Refused,
    /// Nowhere: recorders and roots keep none.
    None,
}

impl Ticket {
    pub(crate) fn none() -> Self {
        Self::None
    }
}
