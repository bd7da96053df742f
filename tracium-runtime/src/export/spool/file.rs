//! The format of a file: what cannot be told from its bytes, no later version has to guess.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | the magic, `tracspl` and a line feed |
//! | 2 | the version |
//! | 1 | the protocol: 1 REST, 2 OTLP |
//! | 1 | 0 |
//! | 8 | when it was written, in microseconds since the Unix epoch |
//! | 4 | how many units it has |
//! | 8 | how many spans and trace outcomes they carry |
//! | 8 | how long the body is |
//! | 4 | the CRC-32 of all before |
//! | .. | the body: for each unit 4 bytes with how many it carries, 4 with its length, and its bytes, as `otlp/` and `rest/` have them |
//! | 4 | the CRC-32 of all before |
//!
//! Numbers are little endian. The first 44 bytes are the same in every version, so that a version that does not know the
//! rest can still tell a newer file from a damaged one.

use super::fields::Fields;

const MAGIC: &[u8; 8] = b"tracspl\n";
/// The version that is written; this one and all before are read.
pub(super) const VERSION: u16 = 1;
/// How long the header is, its checksum included.
pub(super) const HEAD: usize = 44;

/// How what lies in a file is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Rest = 1,
    Otlp = 2,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Otlp => "otlp",
        }
    }
}

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) protocol: Protocol,
    /// In microseconds since the Unix epoch.
    pub(super) written: u64,
    pub(super) units: u32,
    /// Spans and trace outcomes.
    pub(super) count: u64,
    body: u64,
}

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A later version wrote it, in a format that this one does not know.
    Newer(u16),
    Damaged(&'static str),
}

/// What is sent as one: so many spans and outcomes, and the bytes that the exporter made of them.
pub(crate) type Piece<'a> = (u32, &'a [u8]);

/// The file of `units`.
pub(super) fn write<'a>(protocol: Protocol, written: u64, units: impl Iterator<Item = Piece<'a>>) -> Vec<u8> {
    let mut out = vec![0; HEAD];
    let (mut number, mut count) = (0_u32, 0_u64);
    for (of_unit, bytes) in units {
        number += 1;
        count += u64::from(of_unit);
        out.extend_from_slice(&of_unit.to_le_bytes());
        super::fields::put_bytes(&mut out, bytes);
    }
    let mut head = Vec::with_capacity(HEAD);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&[protocol as u8, 0]);
    head.extend_from_slice(&written.to_le_bytes());
    head.extend_from_slice(&number.to_le_bytes());
    head.extend_from_slice(&count.to_le_bytes());
    head.extend_from_slice(&((out.len() - HEAD) as u64).to_le_bytes());
    head.extend_from_slice(&crc32(&head).to_le_bytes());
    out[..HEAD].copy_from_slice(&head);
    let sum = crc32(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// What the file that begins with `bytes` says of itself.
pub(super) fn head(bytes: &[u8]) -> Result<Head, Fault> {
    let short = Fault::Damaged("it is cut off");
    let head = bytes.get(..HEAD).ok_or(short)?;
    let (summed, sum) = head.split_at(HEAD - 4);
    if summed.get(..MAGIC.len()) != Some(MAGIC) {
        return Err(Fault::Damaged("it is none of ours"));
    }
    if sum != crc32(summed).to_le_bytes() {
        return Err(Fault::Damaged("the checksum of its head does not match"));
    }
    let mut fields = Fields(&summed[MAGIC.len()..]);
    let version = fields.u16().ok_or(short)?;
    if version > VERSION {
        return Err(Fault::Newer(version));
    }
    let protocol = match (version, fields.u8(), fields.u8()) {
        (1, Some(1), Some(0)) => Protocol::Rest,
        (1, Some(2), Some(0)) => Protocol::Otlp,
        _ => return Err(Fault::Damaged("its version or protocol does not exist")),
    };
    let mut rest = || {
        Some(Head { protocol, written: fields.u64()?, units: fields.u32()?, count: fields.u64()?, body: fields.u64()? })
    };
    rest().ok_or(short)
}

/// Reads a whole file. No byte of it is taken on trust.
pub(super) fn read(bytes: &[u8]) -> Result<(Head, Vec<Piece<'_>>), Fault> {
    let head = head(bytes)?;
    let length = usize::try_from(head.body).ok().and_then(|body| body.checked_add(HEAD + 4));
    if length != Some(bytes.len()) {
        return Err(Fault::Damaged("it is cut off, or has something behind it"));
    }
    let (summed, sum) = bytes.split_at(bytes.len() - 4);
    if sum != crc32(summed).to_le_bytes() {
        return Err(Fault::Damaged("its checksum does not match"));
    }
    let mut fields = Fields(&summed[HEAD..]);
    let mut units = Vec::new();
    let mut count = 0;
    while !fields.is_empty() {
        let unit = fields.u32().zip(fields.bytes()).ok_or(Fault::Damaged("a unit of it is cut off"))?;
        // A span has an id of eight bytes by chance, compressed or not. Nothing is reserved for more than there can be.
        if unit.0 as usize > unit.1.len() {
            return Err(Fault::Damaged("a unit of it has more spans than bytes"));
        }
        count += u64::from(unit.0);
        units.push(unit);
    }
    if units.len() as u64 != u64::from(head.units) || count != head.count {
        return Err(Fault::Damaged("it does not hold what its head says"));
    }
    Ok((head, units))
}

/// CRC-32 as gzip and PNG have it: it finds every error within 32 bits in a row.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let (mut value, mut bit) = (at as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[at] = value;
            at += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |sum, byte| sum >> 8 ^ TABLE[(sum as u8 ^ byte) as usize])
}

/// `bytes` as a version to come would write them.
#[cfg(test)]
pub(super) fn of_a_later_version(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[8..10].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let sum = crc32(&bytes[..HEAD - 4]).to_le_bytes();
    bytes[HEAD - 4..HEAD].copy_from_slice(&sum);
    bytes.extend_from_slice(b"whatever that version has");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        write(Protocol::Otlp, 1_795_198_256_934_646, [(3, &b"one"[..]), (0, b""), (4, b"three")].into_iter())
    }

    #[test]
    fn checksums_are_those_of_gzip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn what_is_written_reads_back() {
        let bytes = sample();
        let (head, units) = read(&bytes).unwrap();
        assert_eq!((head.protocol, head.written, head.count), (Protocol::Otlp, 1_795_198_256_934_646, 7));
        assert_eq!(units, [(3, &b"one"[..]), (0, b""), (4, b"three")]);
        assert_eq!(read(&write(Protocol::Rest, 0, std::iter::empty())).unwrap().1, []);
    }

    /// Files that exist already must be read by every version to come.
    #[test]
    fn the_format_of_version_1_stays() {
        let written = write(Protocol::Rest, 0x0102_0304, [(2, &b"ab"[..])].into_iter());
        let head = b"tracspl\n\x01\0\x01\0\x04\x03\x02\x01\0\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0";
        assert_eq!(&written[..HEAD - 4], head);
        assert_eq!(&written[HEAD..HEAD + 10], b"\x02\0\0\0\x02\0\0\0ab");
        assert_eq!(read(&written).unwrap().1, [(2, &b"ab"[..])]);
    }

    #[test]
    fn no_file_that_is_cut_off_anywhere_is_taken_for_whole() {
        let bytes = sample();
        for length in 0..bytes.len() {
            assert!(matches!(read(&bytes[..length]), Err(Fault::Damaged(_))), "{length}");
        }
        let longer = [&bytes[..], b"\0"].concat();
        assert!(matches!(read(&longer), Err(Fault::Damaged(_))));
    }

    #[test]
    fn no_byte_of_a_file_can_be_another_one_unnoticed() {
        let bytes = sample();
        for at in 0..bytes.len() {
            for change in 1..=255 {
                let mut damaged = bytes.clone();
                damaged[at] ^= change;
                assert!(matches!(read(&damaged), Err(Fault::Damaged(_))), "{at} {change}");
            }
        }
    }

    #[test]
    fn a_file_of_a_later_version_is_told_from_a_damaged_one() {
        let mut bytes = sample();
        bytes[8..10].copy_from_slice(&7_u16.to_le_bytes());
        assert!(matches!(read(&bytes), Err(Fault::Damaged(_))), "a byte of the version that fell over");
        assert_eq!(read(&of_a_later_version(&sample())), Err(Fault::Newer(2)));
    }

    #[test]
    fn lengths_that_lie_are_found_before_anything_is_reserved_for_them() {
        let mut bytes = sample();
        // A checksum that matches, so that nothing but the length is wrong.
        let at = HEAD + 4;
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let end = bytes.len() - 4;
        let sum = crc32(&bytes[..end]).to_le_bytes();
        bytes[end..].copy_from_slice(&sum);
        assert_eq!(read(&bytes), Err(Fault::Damaged("a unit of it is cut off")));
        let bytes = write(Protocol::Rest, 0, [(u32::MAX, &b"one"[..])].into_iter());
        assert_eq!(read(&bytes), Err(Fault::Damaged("a unit of it has more spans than bytes")));
    }
}
