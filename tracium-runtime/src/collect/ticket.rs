//! Where an open span's record lies, so that its end needs no search.

/// The place of an open span's record: the serial number of its segment, and its index there. One word, so that it
/// travels in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl Ticket {
    /// No place: roots and recorders' spans have none.
    pub(crate) const NONE: Self = Self(0);
    /// The buffers had no room when the span opened.
    #[cfg(feature = "collect")]
    pub(crate) const REFUSED: Self = Self(1);

    /// At `index`, below 256, of the segment `serial`, which is not 0.
    #[cfg(feature = "collect")]
    #[inline]
    pub(crate) fn new(serial: u64, index: usize) -> Self {
        Self(serial << 8 | index as u64)
    }

    #[cfg(feature = "collect")]
    #[inline]
    pub(crate) fn serial(self) -> u64 {
        self.0 >> 8
    }

    #[cfg(feature = "collect")]
    #[inline]
    pub(crate) fn index(self) -> usize {
        (self.0 & 0xff) as usize
    }
}
