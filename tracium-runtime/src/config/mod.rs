//! Settings: from the environment, or by code.

#[cfg(feature = "collect")]
mod builder;
#[cfg(feature = "collect")]
mod destination;
mod error;
#[cfg(feature = "collect")]
mod otlp;
#[cfg(feature = "collect")]
mod resolve;
#[cfg(feature = "collect")]
mod spool;

use std::sync::OnceLock;

#[cfg(feature = "collect")]
pub(crate) use self::builder::Mask;
#[cfg(feature = "collect")]
pub use self::builder::{Builder, ExporterKind, builder};
#[cfg(feature = "collect")]
pub use self::destination::Destination;
#[cfg(feature = "collect")]
pub(crate) use self::destination::Routing;
pub use self::error::InitError;
#[cfg(feature = "collect")]
#[cfg_attr(not(feature = "otlp"), allow(unused_imports))]
pub(crate) use self::otlp::OtlpTarget;
#[cfg(feature = "collect")]
pub(crate) use self::resolve::{Backoff, Connection, Endpoint, Target};
#[cfg(feature = "collect")]
pub(crate) use self::spool::SpoolSettings;
use crate::tenant::TenantId;

static DEFAULT_TENANT: OnceLock<TenantId> = OnceLock::new();

/// The tenant of a single-tenant program, where no other one is bound.
pub(crate) fn default_tenant() -> Option<TenantId> {
    DEFAULT_TENANT.get().cloned()
}

/// Keeps the process's export going. Dropping it flushes, within 5 seconds; it never shuts down.
#[derive(Debug)]
#[must_use = "dropping the guard flushes; hold it until the program ends"]
pub struct Guard(());

impl Guard {
    /// How long dropping the guard waits for what is not sent yet.
    pub const FLUSH_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
}

impl Drop for Guard {
    fn drop(&mut self) {
        #[cfg(feature = "collect")]
        crate::stats::finish(Self::FLUSH_TIMEOUT);
    }
}

/// Starts collection and export as the environment says.
///
/// | variable | meaning |
/// |---|---|
/// | `TRACIUM_API_KEY` | the key; selects the exporter `rest` |
/// | `TRACIUM_BASE_URL` | where Tracium is, `https://api.tracium.ai` without |
/// | `TRACIUM_WORKSPACE_ID` | the workspace of traces that name none |
/// | `TRACIUM_EXPORTER` | `rest`, `otlp`, `console`, `discard` (collects and throws away) or `none` (off); an explicit one wins |
/// | `TRACIUM_CAPTURE_CONTENT` | whether `capture`, `record_input` and the like record: `true` or `false` |
/// | `TRACIUM_ALLOW_HTTP_HOSTS` | hosts that plain http is allowed to, `a,b`; without, to this machine only |
/// | `TRACIUM_SPOOL_DIR` | the directory that keeps what the backend does not take (see [`Builder::spool`]) |
/// | `TRACIUM_SPOOL_MAX_BYTES` | the most bytes there; 1,073,741,824 without |
/// | `TRACIUM_DISABLED` | `true` turns everything off but tenants and context |
/// | `OTEL_EXPORTER_OTLP_ENDPOINT` | where OTLP goes, with `/v1/traces` or without; selects the exporter `otlp` |
/// | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | the same, used as it is |
/// | `OTEL_EXPORTER_OTLP_HEADERS` | headers of OTLP requests, `key=value,key2=value2`, percent-encoded |
/// | `OTEL_EXPORTER_OTLP_TIMEOUT` | the most milliseconds for one of them; 10,000 without |
/// | `OTEL_EXPORTER_OTLP_COMPRESSION` | `gzip`, which it is without, or `none` |
/// | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | who sends, as OpenTelemetry names it |
///
/// Of the variables of OTLP, those with `_TRACES` in their names win over those without. `TRACIUM_API_KEY` goes along as
/// a bearer token, unless the headers have an `authorization` of their own.
///
/// With nothing set, traces are printed on standard error; their content only where that is a terminal.
///
/// # Errors
/// An [`InitError`] says which variable is wrong and what to do. User code runs on either way; nothing is exported.
pub fn init() -> Result<Guard, InitError> {
    #[cfg(feature = "collect")]
    return builder().init();
    #[cfg(not(feature = "collect"))]
    Ok(Guard(()))
}
