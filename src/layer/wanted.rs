//! Which spans and events the bridge is for. It is decided by what is known of a callsite, once.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tracing_core::subscriber::Interest;
use tracing_core::{Level, Metadata};
use tracing_subscriber::layer::{Context, Filter};

use super::libraries::{self, Library};

/// The bridge's filter: it keeps the program's other spans and events from being made for the bridge's sake.
#[derive(Clone, Default)]
pub struct Wanted(Option<Arc<Asked>>);

type Asked = dyn Fn(&Metadata<'_>) -> bool + Send + Sync;

/// What is known of a span that is wanted, before its fields are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// The library that it is of, where that has names of its own.
    pub(super) library: Option<Library>,
    /// The application asked for it: all of its fields are.
    pub(super) asked: bool,
}

impl Wanted {
    pub(super) fn asked(filter: impl Fn(&Metadata<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(filter)))
    }

    pub(super) fn span(&self, metadata: &Metadata<'_>) -> Option<Source> {
        if is_ours(metadata) {
            return None;
        }
        let library = libraries::span(metadata);
        // A filter of the user's that panics wants nothing.
        let ask = |asked: &Asked| catch_unwind(AssertUnwindSafe(|| asked(metadata))).unwrap_or(false);
        let asked = self.0.as_deref().is_some_and(ask);
        (asked || library.is_some() || has_fields(metadata)).then_some(Source { library, asked })
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            self.span(metadata).is_some()
        } else {
            !is_ours(metadata)
                && (*metadata.level() == Level::ERROR || metadata.name().starts_with("gen_ai.") || has_fields(metadata))
        }
    }
}

/// What we say ourselves: it must not come back to us.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target == "tracium" || target.starts_with("tracium::") || target.starts_with("tracium_runtime")
}

/// Fields of the conventions, or of Langfuse's, which are as telling.
fn has_fields(metadata: &Metadata<'_>) -> bool {
    metadata.fields().iter().any(|field| field.name().starts_with("gen_ai.") || field.name().starts_with("langfuse."))
}

impl<S> Filter<S> for Wanted {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted").field("asked", &self.0.is_some()).finish()
    }
}
