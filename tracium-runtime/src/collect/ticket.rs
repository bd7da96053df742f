//! Where an open span's record lies, so that its end needs no search.

/// The place of an open span's record: the serial number of its segment, and its index there. One word, so that it
/// travels in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl Ticket {
    /// No place: recorders' spans have none.
    pub(crate) const NONE: Self = Self(0);
    /// The buffers had no room when the span opened.
    pub(crate) const REFUSED: Self = Self(1);

    /// At `index` of the segment `serial`, which is not 0.
    #[cfg(feature = "collect")]
    #[inline]
    pub(crate) fn new(serial: u64, index: u8) -> Self {
        Self(serial << 8 | u64::from(index))
    }

    #[cfg(feature = "collect")]
    #[inline]
    pub(crate) fn serial(self) -> u64 {
        self.0 >> 8
    }

    #[cfg(feature = "collect")]
    pub(crate) fn to_u64(self) -> u64 {
        self.0
    }

    #[cfg(feature = "collect")]
    #[inline]
    pub(crate) fn index(self) -> u8 {
        self.0 as u8
    }
}
