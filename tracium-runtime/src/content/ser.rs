//! serde's calls, mapped to the writer. The shapes are those of `serde_json`: enums are tagged from outside.

use std::fmt::{self, Write as _};

use serde_core::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::escape::{unescape, write_u64};
use super::grammar::is_json;
use super::map_key::MapKey;
use super::writer::{Error, KeyClass, Members, Writer};

/// What `serde_json` names the structs that carry text which is JSON already: `RawValue`, and numbers of any precision.
const RAW: [&str; 2] = ["$serde_json::private::RawValue", "$serde_json::private::Number"];

/// An array or object that is being written.
pub(super) struct Compound<'w> {
    writer: &'w mut Writer,
    /// Brackets open around it.
    outside: usize,
    mode: Mode,
    members: Members,
    /// A map's key whose value did not come yet.
    pending: Option<KeyClass>,
}

/// What becomes of the elements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// They are written.
    Write,
    /// They are ignored: a redacted variant.
    Skip,
    /// The one field is JSON text.
    Raw,
}

impl<'w> Compound<'w> {
    /// Opens an array or object.
    fn open(writer: &'w mut Writer, object: bool, declared: Option<usize>) -> Result<Self, Error> {
        let outside = writer.depth();
        writer.open(object, declared)?;
        Ok(Self { writer, outside, mode: Mode::Write, members: Members::default(), pending: None })
    }

    /// Opens `{"variant": [..` or `{"variant": {..`; a sensitive variant hides what it holds.
    fn variant(writer: &'w mut Writer, variant: &str, object: bool, declared: usize) -> Result<Self, Error> {
        let mut outer = Self::open(writer, true, Some(1))?;
        outer.writer.begin_item()?;
        if outer.writer.key(variant).sensitive {
            outer.writer.redacted();
            outer.mode = Mode::Skip;
            return Ok(outer);
        }
        outer.writer.open(object, Some(declared))?;
        Ok(outer)
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if self.mode == Mode::Skip {
            return Ok(());
        }
        self.writer.begin_item()?;
        self.writer.value(value)
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Error> {
        match self.mode {
            Mode::Skip => Ok(()),
            Mode::Raw => self.raw(value),
            Mode::Write => {
                self.writer.begin_item()?;
                let key = self.writer.key(key);
                self.members.value(self.writer, key, value)
            }
        }
    }

    /// Writes JSON text as a string, which redacts in it, and takes it out of the string if it is still JSON.
    fn raw<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let start = self.writer.out.len();
        self.writer.value(value)?;
        let depth = self.writer.limits.depth.saturating_sub(self.writer.depth());
        let string = &self.writer.out[start..];
        let text = string.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(unescape);
        if let Some(text) = text.filter(|text| is_json(text, depth)) {
            self.writer.out.truncate(start);
            self.writer.out.push_str(&text);
        }
        Ok(())
    }

    /// A key without a value reads as null.
    fn settle(&mut self) {
        if self.pending.take().is_some() {
            self.writer.out.push_str("null");
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the signature of every `end` of serde's traits")]
    fn finish(mut self) -> Result<(), Error> {
        self.settle();
        self.writer.close_to(self.outside);
        Ok(())
    }
}

/// Implements serde's traits for arrays and objects, which differ in their names only.
macro_rules! elements {
    ($($of:ident, $method:ident;)*) => {$(
        impl $of for Compound<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )*};
}

elements! {
    SerializeSeq, serialize_element;
    SerializeTuple, serialize_element;
    SerializeTupleStruct, serialize_field;
    SerializeTupleVariant, serialize_field;
}

/// As `elements!`, for those with names.
macro_rules! fields {
    ($($of:ident)*) => {$(
        impl $of for Compound<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
                self.field(key, value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }

impl SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.settle();
        self.writer.begin_item()?;
        self.pending = Some(MapKey::write(self.writer, key));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        match self.pending.take() {
            Some(key) => self.members.value(self.writer, key, value),
            None => Err(Error::Custom("a map's value without a key".to_owned())),
        }
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

/// Implements the serializer's methods for numbers that print as JSON.
macro_rules! numbers {
    ($($method:ident: $of:ty;)*) => {$(
        fn $method(self, value: $of) -> Result<(), Error> {
            // Writing to a string cannot fail.
            let _ok = write!(self.out, "{value}");
            Ok(())
        }
    )*};
}

/// Implements the serializer's methods for small numbers without a sign.
macro_rules! unsigned {
    ($($method:ident: $of:ty;)*) => {$(
        fn $method(self, value: $of) -> Result<(), Error> {
            write_u64(&mut self.out, u64::from(value));
            Ok(())
        }
    )*};
}

/// Implements the serializer's methods for floats, whose `Debug` form is JSON when they are finite.
macro_rules! floats {
    ($($method:ident: $of:ty;)*) => {$(
        fn $method(self, value: $of) -> Result<(), Error> {
            if value.is_finite() {
                let _ok = write!(self.out, "{value:?}");
            } else if value.is_nan() {
                self.out.push_str("\"NaN\"");
            } else {
                self.out.push_str(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
            }
            Ok(())
        }
    )*};
}

impl<'w> Serializer for &'w mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'w>;
    type SerializeTuple = Compound<'w>;
    type SerializeTupleStruct = Compound<'w>;
    type SerializeTupleVariant = Compound<'w>;
    type SerializeMap = Compound<'w>;
    type SerializeStruct = Compound<'w>;
    type SerializeStructVariant = Compound<'w>;

    unsigned! { serialize_u8: u8; serialize_u16: u16; serialize_u32: u32; serialize_u64: u64; }
    numbers! {
        serialize_i8: i8; serialize_i16: i16; serialize_i32: i32; serialize_i64: i64;
        serialize_i128: i128; serialize_u128: u128; serialize_bool: bool;
    }
    floats! { serialize_f32: f32; serialize_f64: f64; }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.text(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.text(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        let _ok = write!(self.out, "\"[binary {} bytes]\"", value.len());
        Ok(())
    }

    /// Formats into a bounded buffer: a `Display` of 50 MB is stopped, not collected.
    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        let mut bounded = self.bounded();
        if write!(bounded, "{value}").is_err() && !bounded.overflow {
            return Err(Error::Custom("formatting failed".to_owned()));
        }
        self.formatted(&bounded);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.nested(value)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.out.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), Error> {
        self.nested(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let mut compound = Compound::open(self, true, Some(1))?;
        compound.field(variant, value)?;
        compound.finish()
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Compound<'w>, Error> {
        Compound::open(self, false, len)
    }

    fn serialize_tuple(self, len: usize) -> Result<Compound<'w>, Error> {
        Compound::open(self, false, Some(len))
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Compound<'w>, Error> {
        Compound::open(self, false, Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'w>, Error> {
        Compound::variant(self, variant, false, len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Compound<'w>, Error> {
        Compound::open(self, true, len)
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Compound<'w>, Error> {
        if RAW.contains(&name) {
            let outside = self.depth();
            return Ok(Compound { writer: self, outside, mode: Mode::Raw, members: Members::default(), pending: None });
        }
        Compound::open(self, true, Some(len))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'w>, Error> {
        Compound::variant(self, variant, true, len)
    }
}
