//! Tenants: validated ids, and how any value names one.

mod encode;
mod resolve;

use std::fmt;
use std::sync::Arc;

use serde_core::{Deserialize, Deserializer, Serialize, Serializer};

pub use resolve::{IntoTenant, ResolveTenant};

/// The customer that work is done for: a validated, cheaply cloned id.
///
/// An id has 1 to 255 characters, none of them a control character. It is never altered and never
/// cut: two ids that differ anywhere are two tenants, in every encoding and in every export.
///
/// ```
/// # use tracium_runtime as tracium;
/// use tracium::{TenantError, TenantId};
///
/// let tenant = TenantId::try_from("Zürich-会社")?;
/// assert_eq!(tenant.as_str(), "Zürich-会社");
/// assert_eq!(TenantId::try_from(""), Err(TenantError::Empty));
/// # Ok::<(), TenantError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The most characters (not bytes) an id may have.
    pub const MAX_CHARS: usize = 255;

    /// The id as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as the value of an HTTP header: `%`, spaces at the edges and everything outside
    /// printable ASCII are percent-encoded, so that different ids stay different.
    pub fn to_header_value(&self) -> String {
        encode::to_header(&self.0)
    }

    /// The id that [`TenantId::to_header_value`] was made from.
    ///
    /// # Errors
    /// [`TenantError::Malformed`] where `value` has a `%` that starts no byte of UTF-8 text, and
    /// the errors of an illegal id.
    pub fn from_header_value(value: &str) -> Result<Self, TenantError> {
        Self::try_from(encode::from_header(value)?)
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }

    fn check(id: &str) -> Result<(), TenantError> {
        if id.is_empty() {
            return Err(TenantError::Empty);
        }
        // A character is at least one byte, so most ids need no count.
        if id.len() > Self::MAX_CHARS {
            let chars = id.chars().count();
            if chars > Self::MAX_CHARS {
                return Err(TenantError::TooLong { chars });
            }
        }
        match id.chars().enumerate().find(|(_, c)| c.is_control()) {
            Some((position, character)) => Err(TenantError::ControlCharacter { character, position }),
            None => Ok(()),
        }
    }
}

impl TryFrom<&str> for TenantId {
    type Error = TenantError;
    fn try_from(id: &str) -> Result<Self, TenantError> {
        Self::check(id)?;
        Ok(Self(Arc::from(id)))
    }
}

impl TryFrom<String> for TenantId {
    type Error = TenantError;
    fn try_from(id: String) -> Result<Self, TenantError> {
        Self::check(&id)?;
        Ok(Self(Arc::from(id)))
    }
}

impl TryFrom<&String> for TenantId {
    type Error = TenantError;
    fn try_from(id: &String) -> Result<Self, TenantError> {
        Self::try_from(id.as_str())
    }
}

impl std::str::FromStr for TenantId {
    type Err = TenantError;
    fn from_str(id: &str) -> Result<Self, TenantError> {
        Self::try_from(id)
    }
}

impl AsRef<str> for TenantId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for TenantId {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for TenantId {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantId({:?})", &*self.0)
    }
}

impl Serialize for TenantId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TenantId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        Self::try_from(id).map_err(serde_core::de::Error::custom)
    }
}

/// Why a value is no tenant, or why one could not be set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TenantError {
    /// The id has no characters.
    Empty,
    /// The id has more than [`TenantId::MAX_CHARS`] characters. It is never cut, since two tenants could become one.
    TooLong {
        /// How many characters it has.
        chars: usize,
    },
    /// The id has a control character, such as a line break.
    ControlCharacter {
        /// The character.
        character: char,
        /// Its place, in characters from the start.
        position: usize,
    },
    /// A header's value is no percent-encoded UTF-8 text.
    Malformed,
    /// `from` gave no tenant where one is required.
    Missing,
    /// `set_tenant` was called in a scope that has another tenant already.
    Conflict {
        /// The tenant that holds.
        current: TenantId,
    },
    /// `set_tenant` was called where no scope is open that could hold the tenant.
    NoScope,
    /// The value that was to name the tenant was an error itself.
    Source {
        /// That error's text.
        message: Box<str>,
    },
}

impl fmt::Display for TenantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a tenant id is empty; it must have 1 to 255 characters"),
            Self::TooLong { chars } => {
                write!(f, "a tenant id has {chars} characters; the limit is 255, and ids are never cut")
            }
            Self::ControlCharacter { character, position } => write!(
                f,
                "a tenant id has the control character {character:?} at position {position}; control characters are not allowed"
            ),
            Self::Malformed => f.write_str(
                "a tenant header is not percent-encoded UTF-8; encode `%` as `%25` and bytes outside ASCII as `%XX`",
            ),
            Self::Missing => f.write_str("no tenant was given, and this scope requires one"),
            Self::Conflict { current } => write!(
                f,
                "this scope belongs to tenant {:?} already; to work for another one, open a scope of its own with \
                 `#[tracium::tenant_scope(from = ..)]` or `tracium::Context::current().with_tenant(..).scope(..)`",
                current.as_str()
            ),
            Self::NoScope => f.write_str(
                "no scope is open here that could hold a tenant; annotate the function with \
                 `#[tracium::tenant_scope(from = ..)]` or `#[tracium::trace(..)]`, or run the work in \
                 `tracium::Context::root().with_tenant(..).scope(..)`",
            ),
            Self::Source { message } => write!(f, "the tenant could not be found out: {message}"),
        }
    }
}

impl std::error::Error for TenantError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_255_characters_pass_and_of_256_are_refused_whole() {
        let wide = "会".repeat(255);
        assert_eq!(TenantId::try_from(wide.as_str()).unwrap().as_str(), wide);
        let error = TenantId::try_from("a".repeat(256)).unwrap_err();
        assert_eq!(error, TenantError::TooLong { chars: 256 });
        assert!(error.to_string().contains("255"), "{error}");
    }

    #[test]
    fn empty_and_control_characters_are_refused_with_the_rule() {
        assert!(TenantId::try_from("").unwrap_err().to_string().contains("empty"));
        for id in ["a\nb", "\0", "a\u{7f}", "\u{85}"] {
            let error = TenantId::try_from(id).unwrap_err();
            assert!(error.to_string().contains("control character"), "{error}");
        }
    }

    #[test]
    fn serde_checks_what_it_reads() {
        let id: TenantId = serde_json::from_str("\"acme\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"acme\"");
        assert!(serde_json::from_str::<TenantId>("\"\"").is_err());
    }
}
