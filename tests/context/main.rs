//! What the design promises of context and tenants, one module a topic.
//!
//! The modules up to `tenant_scope` say nothing of spans: their tests are run again by `states`, in every state that
//! telemetry can be in. They hold without the features too; what is told of spans needs a recorder.
#![allow(clippy::missing_errors_doc)]

#[macro_use]
mod support;

mod carried;
mod ids;
mod isolation;
mod panics;
mod set_tenant;
mod spawned;
mod streams;
mod tenant_scope;

mod states;

#[cfg(feature = "rest")]
mod announced;
#[cfg(feature = "collect")]
mod either_order;
#[cfg(feature = "collect")]
mod levels;
#[cfg(feature = "collect")]
mod outcomes;
#[cfg(feature = "collect")]
mod owned;
#[cfg(feature = "collect")]
mod payload;
#[cfg(feature = "collect")]
mod propagation;
#[cfg(feature = "collect")]
mod streamed;
#[cfg(feature = "collect")]
mod traces;
