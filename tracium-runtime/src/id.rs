//! Trace and span ids, in the forms of W3C trace context, OTLP and Tracium REST.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;

/// The id of a trace: 16 bytes, never all zero. Displayed as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// A new random id, with the version and variant bits of a UUID v4.
    pub(crate) fn random() -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&next_random().to_be_bytes());
        bytes[8..].copy_from_slice(&next_random().to_be_bytes());
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The id's bytes, as W3C and OTLP carry them.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// An id from its bytes; `None` for all zero, which no trace may have.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// An id from 32 hex digits, or from a UUID with its hyphens.
    pub fn parse(text: &str) -> Option<Self> {
        let uuid = text.len() == 36 && [8, 13, 18, 23].iter().all(|&at| text.as_bytes()[at] == b'-');
        if text.len() != 32 && !uuid {
            return None;
        }
        let mut bytes = [0; 16];
        let mut digits = text.chars().filter(|c| !uuid || *c != '-');
        for byte in &mut bytes {
            let high = digits.next()?.to_digit(16)?;
            let low = digits.next()?.to_digit(16)?;
            *byte = (high << 4 | low) as u8;
        }
        if digits.next().is_some() {
            return None;
        }
        Self::from_bytes(bytes)
    }

    /// A stable id for a text that is none: the same text gives the same id, in every process.
    pub(crate) fn hashed(text: &str) -> Self {
        // FNV-1a, twice with different offsets: stable over versions, which `std`'s hasher is not.
        let fnv = |offset: u64| {
            text.bytes().fold(offset, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        };
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&mix(fnv(0xcbf2_9ce4_8422_2325)).to_be_bytes());
        bytes[8..].copy_from_slice(&mix(fnv(0x6c62_272e_07bb_0142)).to_be_bytes());
        Self(bytes)
    }

    /// The id as a UUID with hyphens, as Tracium's REST API shows it.
    pub fn to_uuid(self) -> String {
        uuid_text(self.0).iter().copied().map(char::from).collect()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

/// The id of a span: 8 bytes, never all zero. Displayed as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(NonZeroU64);

impl SpanId {
    /// A new random id; its top bits are `10`, the variant of a UUID, since REST shows it as the second half of one.
    pub(crate) fn random() -> Self {
        Self::with_variant(next_random())
    }

    /// The id of the record at `place`: another one for every place, without a state to be kept for it.
    #[cfg(feature = "collect")]
    #[inline(always)]
    pub(crate) fn at(place: u64) -> Self {
        // Both steps can be undone within 62 bits, so that no two places share an id.
        let spread = place.wrapping_mul(0x9e37_79b9_7f4a_7c15) & (u64::MAX >> 2);
        Self::with_variant(spread ^ spread >> 31)
    }

    #[inline]
    fn with_variant(random: u64) -> Self {
        const VARIANT: NonZeroU64 = NonZeroU64::new(1 << 63).unwrap();
        Self(VARIANT | (random & (u64::MAX >> 2)))
    }

    #[cfg_attr(not(feature = "collect"), allow(dead_code))]
    pub(crate) fn to_u64(self) -> u64 {
        self.0.get()
    }

    /// The id that [`SpanId::to_u64`] gave.
    #[cfg_attr(not(feature = "collect"), allow(dead_code))]
    pub(crate) fn from_u64(id: u64) -> Option<Self> {
        NonZeroU64::new(id).map(Self)
    }

    /// The id's bytes, as W3C and OTLP carry them.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }

    /// An id from its bytes; `None` for all zero.
    pub fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        NonZeroU64::new(u64::from_be_bytes(bytes)).map(Self)
    }

    /// An id from 16 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let id = NonZeroU64::new(u64::from_str_radix(text, 16).ok()?)?;
        hex.then_some(Self(id))
    }

    /// The UUID under which Tracium's REST API knows this span of `trace`.
    pub fn to_uuid(self, trace: TraceId) -> String {
        uuid_text(self.uuid_bytes(trace)).iter().copied().map(char::from).collect()
    }

    /// The text of [`SpanId::to_uuid`], without a string of its own.
    #[cfg_attr(not(feature = "rest"), allow(dead_code))]
    pub(crate) fn uuid_text(self, trace: TraceId) -> [u8; 36] {
        uuid_text(self.uuid_bytes(trace))
    }

    fn uuid_bytes(self, trace: TraceId) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&trace.0[..8]);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8..].copy_from_slice(&self.to_bytes());
        bytes
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({self})")
    }
}

fn uuid_text(bytes: [u8; 16]) -> [u8; 36] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut at = 0;
    for byte in bytes {
        // Where the hyphens stand.
        if matches!(at, 8 | 13 | 18 | 23) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    text
}

/// `SplitMix64`, one a thread: ids must be unlikely to meet, not hard to guess.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdSource(u64);

impl IdSource {
    pub(crate) fn new() -> Self {
        // Seeded by the operating system, and differently for each one made.
        Self(RandomState::new().hash_one(std::process::id()))
    }

    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

/// A map by ids of ours, which are spread already or follow each other: nobody else chooses them.
pub(crate) type IdMap<K, V> = std::collections::HashMap<K, V, std::hash::BuildHasherDefault<IdHasher>>;

#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl std::hash::Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }

    fn write_usize(&mut self, id: usize) {
        self.write_u64(id as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

thread_local! {
    static RANDOM: Cell<IdSource> = Cell::new(IdSource::new());
}

/// Begins this thread's ids anew: in a process that was forked off, they would go on as in the one before.
#[cfg(feature = "collect")]
pub(crate) fn begin_anew() {
    // Past the thread's end there is none to go on.
    let _ = RANDOM.try_with(|source| source.set(IdSource::new()));
}

pub(crate) fn next_random() -> u64 {
    let next = |source: &Cell<IdSource>| {
        let mut ids = source.get();
        let id = ids.next();
        source.set(ids);
        id
    };
    // Past the thread's end, a source for this one id.
    RANDOM.try_with(next).unwrap_or_else(|_| IdSource::new().next())
}

#[inline]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_from_their_texts() {
        let trace = TraceId::random();
        assert_eq!(TraceId::parse(&trace.to_string()), Some(trace));
        assert_eq!(TraceId::parse(&trace.to_uuid()), Some(trace));
        let span = SpanId::random();
        assert_eq!(SpanId::parse(&span.to_string()), Some(span));
    }

    #[test]
    fn malformed_ids_are_none() {
        for text in [
            "",
            "0",
            &"0".repeat(32),
            &"g".repeat(32),
            "+1111111111111111111111111111111",
            "é2222222222222222222222222222222",
        ] {
            assert_eq!(TraceId::parse(text), None, "{text}");
        }
        assert_eq!(SpanId::parse("+111111111111111"), None);
        assert_eq!(SpanId::parse("0000000000000000"), None);
    }

    #[test]
    fn span_uuids_share_the_traces_first_half_and_are_version_4() {
        let trace = TraceId::from_bytes([0xff; 16]).unwrap();
        let uuid = SpanId::random().to_uuid(trace);
        assert!(uuid.starts_with("ffffffff-ffff-4fff-"), "{uuid}");
        assert!(matches!(uuid.as_bytes()[19], b'8'..=b'b'), "{uuid}");
    }

    #[cfg(feature = "collect")]
    #[test]
    fn places_next_to_each_other_have_ids_that_share_nothing_but_the_variant() {
        let first = next_random();
        let ids: Vec<u64> = (0..100_000).map(|i| SpanId::at(first.wrapping_add(i)).to_u64()).collect();
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert!(ids.iter().all(|id| id >> 62 == 2));
        let flipped: u32 = ids.windows(2).map(|pair| (pair[0] ^ pair[1]).count_ones()).sum();
        assert!((20..=42).contains(&(flipped / 100_000)), "{flipped} of 62 bits in 100,000 steps");
    }

    #[test]
    fn hashed_ids_are_stable() {
        assert_eq!(TraceId::hashed("order-1"), TraceId::hashed("order-1"));
        assert_ne!(TraceId::hashed("order-1"), TraceId::hashed("order-2"));
    }
}
