//! Keys of maps: JSON wants strings.

use std::fmt::{self, Write as _};

use serde_core::Serialize;
use serde_core::ser::{Impossible, Serializer};

use super::writer::{Bounded, Error, KeyClass, Writer};
use crate::panics::caught;

/// Stands for a key that has no text: a float, an array, or one that failed.
const PLACEHOLDER: &str = "[key not serializable]";
/// Bytes of a formatted key.
const LONGEST: usize = 4096;

/// Writes a key when it learns what it is. It writes once, whatever the key's code does, and never fails.
pub(super) struct MapKey<'w> {
    writer: &'w mut Writer,
    class: Option<KeyClass>,
}

impl<'w> MapKey<'w> {
    /// Writes a key and its colon.
    pub(super) fn write<T: Serialize + ?Sized>(writer: &'w mut Writer, key: &T) -> KeyClass {
        let mut to = MapKey { writer, class: None };
        // Nothing is written before the key's text is known, so a failure leaves nothing to take back.
        let outcome = caught(|| key.serialize(&mut to));
        if let Err(payload) = outcome {
            // Only the message is of use, and a key has no place for it.
            let _message = super::writer::panic_message(payload);
        }
        match to.class {
            Some(class) => class,
            None => to.writer.key(PLACEHOLDER),
        }
    }

    fn text(&mut self, text: &str) {
        if self.class.is_none() {
            self.class = Some(self.writer.key(text));
        }
    }

    fn display(&mut self, value: &(impl fmt::Display + ?Sized)) -> Result<(), Error> {
        let mut bounded = Bounded::new(LONGEST);
        if write!(bounded, "{value}").is_err() && !bounded.overflow {
            return refuse();
        }
        self.text(&bounded.text);
        Ok(())
    }
}

/// No key of this type has a text.
fn refuse<T>() -> Result<T, Error> {
    Err(Error::Custom("not a key".to_owned()))
}

/// Implements the serializer's methods for keys that are printed.
macro_rules! printed {
    ($($method:ident: $of:ty;)*) => {$(
        fn $method(self, value: $of) -> Result<(), Error> {
            self.display(&value)
        }
    )*};
}

/// Implements the serializer's methods for values that are no keys.
macro_rules! refused {
    ($($method:ident($($of:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $(_: $of),*) -> Result<$ok, Error> {
            refuse()
        }
    )*};
}

/// Nothing has elements here.
type Never = Impossible<(), Error>;

impl Serializer for &mut MapKey<'_> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    printed! {
        serialize_bool: bool; serialize_char: char;
        serialize_i8: i8; serialize_i16: i16; serialize_i32: i32; serialize_i64: i64; serialize_i128: i128;
        serialize_u8: u8; serialize_u16: u16; serialize_u32: u32; serialize_u64: u64; serialize_u128: u128;
    }

    refused! {
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.text(value);
        Ok(())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.display(value)
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<(), Error> {
        refuse()
    }
}
