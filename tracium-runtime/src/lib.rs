//! The runtime of the `tracium` crate: ids, tenants, context, spans, collection and export.
//!
//! Applications and libraries use it through `tracium`, which re-exports all of this beside the attributes.
#![cfg_attr(docsrs, feature(doc_cfg))]
// Without `collect`, the recording functions exist and do nothing; without an exporter, nobody needs what it alone does.
// What they would use is compiled all the same, and never called.
#![cfg_attr(not(all(feature = "console", feature = "rest", feature = "otlp")), allow(dead_code, unused_imports))]

mod clock;
mod collect;
mod config;
mod content;
mod context;
#[cfg(feature = "collect")]
mod export;
mod id;
#[cfg(feature = "collect")]
pub mod llm;
mod notice;
mod panics;
#[doc(hidden)]
pub mod private;
#[doc(hidden)]
pub mod probe;
mod propagation;
#[cfg(feature = "collect")]
mod stats;
#[cfg(feature = "collect")]
mod sync;
mod tenant;
#[cfg(feature = "collect")]
pub mod testing;
mod trace;

#[cfg(feature = "collect")]
pub use crate::collect::ledger::DropReason;
#[cfg(feature = "collect")]
pub use crate::collect::sampler::Sampler;
#[cfg(feature = "collect")]
pub use crate::config::{Builder, Destination, ExporterKind, builder};
pub use crate::config::{Guard, InitError, init};
pub use crate::context::{Context, ContextExt, InContext, block_on, current_tenant, set_tenant, thread};
#[cfg(feature = "tokio")]
pub use crate::context::{spawn, spawn_blocking, spawn_local};
pub use crate::id::{SpanId, TraceId};
pub use crate::propagation::{Extractor, Injector};
#[cfg(feature = "collect")]
pub use crate::stats::{
    ExporterStats, FlushReport, Stats, TenantUsage, Usage, flush, flush_async, shutdown, stats, usage,
};
pub use crate::tenant::{IntoTenant, ResolveTenant, TenantError, TenantId};
pub use crate::trace::{
    OwnedSpan, SpanBuilder, SpanHandle, TokenUsage, TraceBuilder, TraceHandle, current_span, current_trace, start_span,
    start_trace,
};
