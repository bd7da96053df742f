//! What is recorded: traces, spans and what their bodies say of themselves.

pub(crate) mod builder;
mod core;
pub(crate) mod details;
mod exchanges;
pub(crate) mod handle;
mod meta;
mod record;
mod upstream;
mod usage;

pub use self::builder::{OwnedSpan, SpanBuilder, TraceBuilder, start_span, start_trace};
pub(crate) use self::core::{Opening, Relation, RootPlace, TraceCore, TraceSpec};
pub use self::handle::{SpanHandle, TraceHandle, current_span, current_trace};
#[cfg(feature = "collect")]
pub(crate) use self::meta::end_quiet;
pub use self::meta::{Place, SpanMeta, TenantMeta, TraceMeta};
pub(crate) use self::record::{Beginning, OpenSpan, Status, TenantMark};
pub(crate) use self::upstream::{Remote, Upstream};
pub use self::usage::TokenUsage;
