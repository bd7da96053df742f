//! An object of several named values: a function's captured arguments.

use std::fmt::{self, Debug, Write as _};

use serde_core::Serialize;

use super::writer::{Error, Members, Writer, panic_message};
use super::{Json, Limits};
use crate::panics::caught;

/// Writes `{"name": value, ..}`, value by value, within one budget. The same promises hold as for `to_json`.
pub(crate) struct ObjectWriter {
    writer: Writer,
    members: Members,
}

impl ObjectWriter {
    /// An object without values.
    pub(crate) fn new(limits: &Limits) -> Self {
        let mut writer = Writer::new(limits);
        // Without any depth there is no object either; `finish` then says null.
        let _opened = writer.open(true, None);
        Self { writer, members: Members::default() }
    }

    /// Adds a value by its `Serialize`. A sensitive name redacts it, at the name and at any depth inside.
    pub(crate) fn value<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> &mut Self {
        // A full object says so itself when it is finished.
        let _full = self.add(name, value);
        self
    }

    /// Adds a value by its `Debug`, as a string. There are no keys inside to redact by, only secrets' forms.
    pub(crate) fn debug(&mut self, name: &str, value: &dyn Debug) -> &mut Self {
        let _full = self.add_debug(name, value);
        self
    }

    /// The object.
    pub(crate) fn finish(self) -> Json {
        self.writer.finish()
    }

    fn add<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        if self.writer.depth() == 0 {
            return Ok(());
        }
        self.writer.begin_item()?;
        let key = self.writer.key(name);
        self.members.value(&mut self.writer, key, value)
    }

    fn add_debug(&mut self, name: &str, value: &dyn Debug) -> Result<(), Error> {
        if self.writer.depth() == 0 {
            return Ok(());
        }
        self.writer.begin_item()?;
        if self.writer.key(name).sensitive {
            self.writer.redacted();
            return Ok(());
        }
        let mut bounded = self.writer.bounded();
        match caught(|| write!(bounded, "{value:?}")) {
            Ok(Err(_)) if !bounded.overflow => self.writer.not_serializable("formatting failed"),
            Ok(_) => self.writer.formatted(&bounded),
            Err(payload) => self.writer.not_serializable(&panic_message(payload)),
        }
        Ok(())
    }
}

/// Shows the size only: captured content has no place in our logs.
impl Debug for ObjectWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectWriter({} bytes)", self.writer.out.len())
    }
}
