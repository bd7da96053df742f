//! Protobuf by hand, into one buffer: what OTLP needs of it, and nothing that would allocate.
//!
//! Written by the encoding guide of protobuf (<https://protobuf.dev/programming-guides/encoding/>); the tests read it
//! with the published types.

/// The tag of a length-delimited field: a text, bytes, a message.
pub(super) const fn len_tag(field: u8) -> u8 {
    field << 3 | 2
}

/// The tag of a varint field.
pub(super) const fn varint_tag(field: u8) -> u8 {
    field << 3
}

/// The tag of a field of eight bytes.
pub(super) const fn fixed64_tag(field: u8) -> u8 {
    field << 3 | 1
}

#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes `value` takes as a varint.
#[inline]
pub(super) const fn varint_len(value: usize) -> usize {
    // Seven bits a byte; 0 takes one as well.
    (((value | 1).ilog2() as usize) + 7) / 7
}

#[inline]
pub(super) fn put_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[inline]
pub(super) fn put_fixed64(out: &mut Vec<u8>, tag: u8, value: u64) {
    let mut field = [tag; 9];
    field[1..].copy_from_slice(&value.to_le_bytes());
    out.extend_from_slice(&field);
}

/// Writes a message of a length that is known when it is written: two bytes are left for the length, which is what most
/// take, and what needs more or less is moved.
#[inline]
pub(super) fn put_message(out: &mut Vec<u8>, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
    const ROOM: usize = 2;
    out.extend_from_slice(&[tag, 0, 0]);
    let start = out.len();
    write(out);
    let len = out.len() - start;
    if varint_len(len) == ROOM {
        out[start - 2] = len as u8 | 0x80;
        out[start - 1] = (len >> 7) as u8;
    } else {
        move_and_put_len(out, start, len);
    }
}

#[cold]
fn move_and_put_len(out: &mut Vec<u8>, start: usize, len: usize) {
    let mut prefix = Vec::with_capacity(10);
    put_varint(&mut prefix, len as u64);
    out.splice(start - 2..start, prefix);
}

/// A key and a text, as OTLP's `KeyValue`, in the field `tag`.
#[inline]
pub(super) fn put_text(out: &mut Vec<u8>, tag: u8, key: &str, value: &str) {
    let any = 1 + varint_len(value.len()) + value.len();
    put_key(out, tag, key, any);
    put_bytes(out, len_tag(any_value::STRING), value.as_bytes());
}

pub(super) fn put_int(out: &mut Vec<u8>, tag: u8, key: &str, value: i64) {
    // Negative numbers take all ten bytes, as two's complement.
    let value = value.cast_unsigned();
    put_key(out, tag, key, 1 + varint_len(usize::try_from(value).unwrap_or(usize::MAX)));
    out.push(varint_tag(any_value::INT));
    put_varint(out, value);
}

pub(super) fn put_bool(out: &mut Vec<u8>, tag: u8, key: &str, value: bool) {
    put_key(out, tag, key, 2);
    out.extend_from_slice(&[varint_tag(any_value::BOOL), u8::from(value)]);
}

pub(super) fn put_double(out: &mut Vec<u8>, tag: u8, key: &str, value: f64) {
    put_key(out, tag, key, 9);
    put_fixed64(out, fixed64_tag(any_value::DOUBLE), value.to_bits());
}

/// A key and an array of texts.
pub(super) fn put_texts<T: AsRef<str>>(out: &mut Vec<u8>, tag: u8, key: &str, values: &[T]) {
    let element = |value: &T| {
        let len = value.as_ref().len();
        1 + varint_len(len) + len
    };
    let array: usize = values.iter().map(|value| 1 + varint_len(element(value)) + element(value)).sum();
    put_key(out, tag, key, 1 + varint_len(array) + array);
    out.push(len_tag(any_value::ARRAY));
    put_varint(out, array as u64);
    for value in values {
        out.push(len_tag(any_value::ARRAY_VALUES));
        put_varint(out, element(value) as u64);
        put_bytes(out, len_tag(any_value::STRING), value.as_ref().as_bytes());
    }
}

/// A `KeyValue` up to its value, which will have `any` bytes.
#[inline]
fn put_key(out: &mut Vec<u8>, tag: u8, key: &str, any: usize) {
    let pair = 1 + varint_len(key.len()) + key.len() + 1 + varint_len(any) + any;
    out.reserve(pair + 8);
    out.push(tag);
    put_varint(out, pair as u64);
    put_bytes(out, len_tag(key_value::KEY), key.as_bytes());
    out.push(len_tag(key_value::VALUE));
    put_varint(out, any as u64);
}

mod key_value {
    pub(super) const KEY: u8 = 1;
    pub(super) const VALUE: u8 = 2;
}

mod any_value {
    pub(super) const STRING: u8 = 1;
    pub(super) const BOOL: u8 = 2;
    pub(super) const INT: u8 = 3;
    pub(super) const DOUBLE: u8 = 4;
    pub(super) const ARRAY: u8 = 5;
    pub(super) const ARRAY_VALUES: u8 = 1;
}

/// A field as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Of a kind that nothing here reads.
    Fixed,
}

/// The fields of `message`, with their numbers; `None` where it is no protobuf.
pub(super) fn read_fields(mut message: &[u8]) -> Option<Vec<(u64, Read<'_>)>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = take_varint(&mut message)?;
        let read = match tag & 7 {
            0 => Read::Varint(take_varint(&mut message)?),
            1 => {
                message = message.get(8..)?;
                Read::Fixed
            }
            2 => {
                let len = usize::try_from(take_varint(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(len)?;
                message = rest;
                Read::Bytes(bytes)
            }
            5 => {
                message = message.get(4..)?;
                Read::Fixed
            }
            _ => return None,
        };
        fields.push((tag >> 3, read));
    }
    Some(fields)
}

pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_many_bytes_as_their_length_says_and_read_back() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(usize::try_from(value).unwrap()), "{value}");
            assert_eq!(take_varint(&mut out.as_slice()), Some(value));
        }
        assert_eq!(take_varint(&mut [0x80; 3].as_slice()), None, "it breaks off");
        assert_eq!(take_varint(&mut [0xff; 11].as_slice()), None, "it has no end");
    }

    #[test]
    fn messages_of_any_length_have_the_shortest_length_in_front() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let mut out = vec![7];
            put_message(&mut out, len_tag(2), |out| out.resize(out.len() + len, 9));
            assert_eq!(out.len(), 1 + 1 + varint_len(len) + len, "{len}");
            assert_eq!(read_fields(&out[1..]), Some(vec![(2, Read::Bytes(&vec![9; len]))]));
        }
    }

    #[test]
    fn what_is_no_protobuf_is_not_read() {
        for bytes in [&b"<html>please log in</html>"[..], &[0x0a], &[0x0a, 5, 1], &[0x09, 1], &[0x07]] {
            assert_eq!(read_fields(bytes), None, "{bytes:?}");
        }
    }
}
