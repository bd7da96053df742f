//! What the adapters for models' clients share: a call's bytes are shown to the parser as they pass, and none of them is
//! changed, held back or waited for.

#[cfg(any(feature = "async-openai", feature = "bedrock", feature = "reqwest-middleware"))]
mod body;
#[cfg(any(feature = "async-openai", feature = "reqwest-middleware", feature = "rig"))]
mod include_usage;
#[cfg(any(feature = "async-openai", feature = "reqwest-middleware"))]
mod reqwest;

use std::error::Error;
use std::fmt::{self, Display};

use crate::llm::{Exchange, Request};

#[cfg(any(feature = "async-openai", feature = "bedrock", feature = "reqwest-middleware"))]
pub(crate) use self::body::Observed;
#[cfg(any(feature = "async-openai", feature = "reqwest-middleware", feature = "rig"))]
pub(crate) use self::include_usage::with_usage;
#[cfg(any(feature = "async-openai", feature = "reqwest-middleware"))]
pub(crate) use self::reqwest::{ask_for_usage, begin as begin_request, observed};

/// The call of a model that a request is, if it is one. Never the query: it may hold a key.
pub(crate) fn begin(
    method: &str,
    host: &str,
    path: &str,
    content_type: Option<&str>,
    body: Option<&[u8]>,
) -> Option<Exchange> {
    let mut request = Request::new(method, host, path);
    if let Some(content_type) = content_type {
        request = request.content_type(content_type);
    }
    if let Some(body) = body {
        request = request.body(body);
    }
    Exchange::begin(&request)
}

/// An error with what caused it: clients' own say no more than that sending failed.
pub(crate) struct Causes<'a>(pub(crate) &'a (dyn Error + 'static));

impl Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // Some say their cause's text as theirs.
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            next = cause.source();
        }
        Ok(())
    }
}
