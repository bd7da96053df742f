//! What the adapters for models' clients share: a call's bytes are shown to the parser as they pass, and none of them is
//! changed, held back or waited for.

#[cfg(any(feature = "async-openai", feature = "bedrock", feature = "reqwest-middleware"))]
mod body;
#[cfg(any(feature = "async-openai", feature = "reqwest-middleware", feature = "rig"))]
mod include_usage;
#[cfg(any(feature = "async-openai", feature = "reqwest-middleware"))]
mod reqwest;

#[cfg(any(feature = "async-openai", feature = "bedrock", feature = "reqwest-middleware"))]
pub(crate) use self::body::Observed;
#[cfg(feature = "bedrock")]
pub(crate) use self::body::Exclusive;
#[cfg(any(feature = "async-openai", feature = "reqwest-middleware", feature = "rig"))]
pub(crate) use self::include_usage::with_usage;
#[cfg(any(feature = "async-openai", feature = "reqwest-middleware"))]
pub(crate) use self::reqwest::{ask_for_usage, begin, observed};
