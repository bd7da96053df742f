//! Every setting by code.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::destination::Route;
use super::resolve::{Backoff, Environment, Resolved, resolve};
use super::{DEFAULT_TENANT, Destination, Guard, InitError};
use crate::collect::policy::Policy;
use crate::collect::room::OnFull;
use crate::collect::sampler::Sampler;
use crate::collect::{Budget, Collector};
use crate::tenant::{IntoTenant, TenantError, TenantId};
use crate::{export, panics};

/// Where traces go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExporterKind {
    /// Tracium's REST API.
    Rest,
    /// OTLP over HTTP: the open-source Tracium backend, and every other OpenTelemetry backend.
    Otlp,
    /// Trees on standard error.
    Console,
    /// Collects and throws away: dry runs, benches.
    Discard,
    /// Off: tenants and context work, nothing is collected.
    None,
}

/// Looks at every captured value and text before it leaves, and may change it.
pub(crate) type Mask = Arc<dyn Fn(&str, &mut String) + Send + Sync>;

/// Settings of the process's export; ends in [`init`](Self::init). Made by [`builder`].
///
/// A setting that is not made here is the environment's (see [`init`](crate::init)), or its default.
#[derive(Clone, Default)]
#[must_use = "settings do nothing until `.init()`"]
pub struct Builder {
    pub(super) api_key: Option<String>,
    pub(super) base_url: Option<String>,
    pub(super) workspace_id: Option<String>,
    pub(super) exporter: Option<ExporterKind>,
    pub(super) more_exporters: Vec<ExporterKind>,
    pub(super) capture_content: Option<bool>,
    pub(super) disabled: Option<bool>,
    pub(super) http_hosts: Vec<String>,
    pub(super) otlp_endpoint: Option<String>,
    pub(super) otlp_headers: Vec<(String, String)>,
    pub(super) resource: Vec<(String, String)>,
    tenant_hosts: Vec<String>,
    pub(super) tenant_header: Option<String>,
    pub(super) route: Option<Arc<Route>>,
    policy: Policy,
    default_tenant: Option<Result<Option<TenantId>, TenantError>>,
    max_records: Option<usize>,
    max_bytes: Option<usize>,
    pub(super) request_timeout: Option<Duration>,
    pub(super) proxy: Option<String>,
    pub(super) root_certificates: Vec<Vec<u8>>,
    pub(super) backoff: Backoff,
    pub(super) spool: Option<(PathBuf, u64)>,
    mask: Option<Mask>,
    on_terminate: Option<Duration>,
}

/// Settings by code.
///
/// ```no_run
/// # use tracium_runtime as tracium;
/// let _guard = tracium::builder()
///     .api_key("trc_..")
///     .capture_content_for(|tenant| tenant.is_some_and(|t| t.as_str() != "bank"))
///     .init()?;
/// # Ok::<(), tracium::InitError>(())
/// ```
pub fn builder() -> Builder {
    Builder::default()
}

impl Builder {
    /// The key of the workspace; selects [`ExporterKind::Rest`]. OTLP takes it along as a bearer token.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Where Tracium is; `https://api.tracium.ai` without.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// The workspace of traces that name none.
    pub fn workspace_id(mut self, id: impl Into<String>) -> Self {
        self.workspace_id = Some(id.into());
        self
    }

    /// Where traces go.
    pub fn exporter(mut self, exporter: ExporterKind) -> Self {
        self.exporter = Some(exporter);
        self
    }

    /// One more exporter beside the first: the console beside OTLP, for one. Each has an accounting of its own, in
    /// `stats().exporters`; what an exporter beside the first holds is a copy, and counts towards `max_records` and
    /// `max_bytes` as well.
    pub fn add_exporter(mut self, exporter: ExporterKind) -> Self {
        self.more_exporters.push(exporter);
        self
    }

    /// Which traces are sent; all without.
    pub fn sampler(mut self, sampler: Sampler) -> Self {
        self.policy.sampler = Some(sampler);
        self
    }

    /// Whether what code asks to be captured is recorded. Without content, of an error only its type is sent.
    pub fn capture_content(mut self, capture: bool) -> Self {
        self.capture_content = Some(capture);
        self
    }

    /// Whether content of a tenant is recorded, where capture is on at all. A panic in `allow` withholds it.
    pub fn capture_content_for(mut self, allow: impl Fn(Option<&TenantId>) -> bool + Send + Sync + 'static) -> Self {
        self.policy.per_tenant = Some(Arc::new(allow));
        self
    }

    /// The one tenant of a single-tenant program: it holds wherever no other one is bound.
    pub fn default_tenant(mut self, tenant: impl IntoTenant) -> Self {
        self.default_tenant = Some(tenant.into_tenant());
        self
    }

    /// Turns everything off but tenants and context.
    pub fn disabled(mut self, disabled: bool) -> Self {
        self.disabled = Some(disabled);
        self
    }

    /// Allows plain http to `host`, which is refused otherwise for all hosts but this machine.
    pub fn allow_http_host(mut self, host: impl Into<String>) -> Self {
        self.http_hosts.push(host.into());
        self
    }

    /// Lets [`Context::inject_for_host`](crate::Context::inject_for_host) tell `host`, a name or address without port,
    /// whose work a request is. Without, no host is told.
    pub fn allow_tenant_host(mut self, host: impl Into<String>) -> Self {
        self.tenant_hosts.push(host.into());
        self
    }

    /// Where OTLP goes, with `/v1/traces` or without; selects [`ExporterKind::Otlp`].
    pub fn otlp_endpoint(mut self, url: impl Into<String>) -> Self {
        self.otlp_endpoint = Some(url.into());
        self
    }

    /// One more header of every OTLP request. An `authorization` replaces the one made of the key.
    pub fn otlp_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.otlp_headers.push((name.into(), value.into()));
        self
    }

    /// Names the tenant of OTLP requests in the header `name`, as backends such as Grafana's want it in `X-Scope-OrgID`.
    /// Requests are of one tenant each then; those of none go without the header.
    ///
    /// An id that the header cannot carry is never altered: its spans are refused, counted as
    /// [`DropReason::Unroutable`](crate::DropReason::Unroutable), and `stats().last_error` says why. `X-Scope-OrgID`
    /// takes up to 150 of `A-Z a-z 0-9 ! - _ . * ' ( )`, every other header printable ASCII.
    pub fn tenant_header(mut self, name: impl Into<String>) -> Self {
        self.tenant_header = Some(name.into());
        self
    }

    /// Sends tenants' OTLP traces where `route` says: a backend and key of their own, or `None` for the endpoint of
    /// everyone else. One backend that is down holds up no other.
    ///
    /// It is called on the export thread, for each trace, with `None` for work of no tenant; it should look up, not
    /// fetch. Up to 256 destinations are kept; where it panics, or names one that is not legal, the spans are lost,
    /// counted as [`DropReason::Unroutable`](crate::DropReason::Unroutable), and go nowhere else.
    ///
    /// ```no_run
    /// # use tracium_runtime as tracium;
    /// use tracium::{Destination, ExporterKind};
    ///
    /// let _guard = tracium::builder()
    ///     .exporter(ExporterKind::Otlp)
    ///     .route_tenants(|tenant| match tenant?.as_str() {
    ///         "bank" => Some(Destination::new("https://otel.bank.example").api_key("trc_..")),
    ///         _ => None,
    ///     })
    ///     .init()?;
    /// # Ok::<(), tracium::InitError>(())
    /// ```
    pub fn route_tenants(
        mut self,
        route: impl Fn(Option<&TenantId>) -> Option<Destination> + Send + Sync + 'static,
    ) -> Self {
        self.route = Some(Arc::new(route));
        self
    }

    /// The name of this service, as OTLP backends show it.
    pub fn service_name(self, name: impl Into<String>) -> Self {
        self.resource_attribute("service.name", name)
    }

    /// One more attribute of the resource that OTLP spans are of, such as `deployment.environment.name`.
    pub fn resource_attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.resource.push((key.into(), value.into()));
        self
    }

    /// The most spans and traces that are kept in memory; 1,048,576 without.
    ///
    /// Once they are there, a seventh more, as of [`max_bytes`](Self::max_bytes), is kept for tenants that have less than their
    /// share, the whole divided by the tenants that are active: who has more gets no more then, and loses of it where
    /// others come. Less than 3,584 records, or 896 KiB, have no such reserve.
    pub fn max_records(mut self, records: usize) -> Self {
        self.max_records = Some(records);
        self
    }

    /// The most bytes that they take, captured values included; 128 MiB without.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// What a thread does whose spans find no room: goes on, which it does without this, or waits; see [`OnFull`].
    ///
    /// It is asked once in 256 spans, and when a trace opens. Values that find no room are replaced by a note either way.
    pub fn on_full(mut self, on_full: OnFull) -> Self {
        self.policy.on_full = on_full;
        self
    }

    /// The most time that one request may take; 10 seconds without.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = Some(timeout);
        self
    }

    /// The proxy of all requests, as a URL.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// One more root certificate to trust, as PEM.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// How long is waited after a failed request, at first and at most: for tests, which have no minutes to wait.
    #[doc(hidden)]
    pub fn __retry_times(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff = Backoff { first, longest };
        self
    }

    /// Keeps what the backend does not take in `directory`, up to `max_bytes`: it is sent when the backend is back, or by
    /// the next process that is started with the same directory and key. For REST and for OTLP.
    ///
    /// - **When.** Once the backend has been down for a second, when memory is half full, and at the end of the process
    ///   ([`shutdown`](crate::shutdown), dropping the guard). What ended within the last seconds before a kill is in memory
    ///   still, and lost with it.
    /// - **How.** In files that are whole, with a checksum, or not there, written and read by a thread of their own. They are
    ///   sent oldest first, beside what comes in meanwhile, and removed once the backend has all of them. A kill between
    ///   the two sends a file again: the ids are the same, which makes that harmless.
    /// - **Where it is full** to `max_bytes`, or cannot be written, memory goes on, and past its bounds spans are lost as
    ///   [`DropReason::QueueFull`](crate::DropReason::QueueFull). `stats().last_error` says so, and a log line once a minute.
    ///   A damaged file is set aside as `.corrupt` (the last 16 are kept), and the rest is sent.
    /// - **Who.** Any number of processes may share a directory, on one machine: each writes to one of its own beneath it,
    ///   under a lock, and takes over those of processes that are gone and had the same exporter and key; others' it leaves
    ///   alone. A process that was killed is gone for this only when those that were forked off it without exec are, too.
    ///   Processes that send to different backends with one key need different directories. Each minds what lies
    ///   there in all, as it last looked some seconds ago, against its own `max_bytes`.
    /// - **What.** Captured content lies on disk then, after the mask has seen it. Directories are made with mode 0700, files
    ///   with 0600. Keys and headers are not in it.
    ///
    /// Spans of an OTLP tenant with a header or a destination of its own are routed anew when they are sent, and requests are
    /// of one tenant each where [`route_tenants`](Self::route_tenants) is set. What was
    /// spooled without either, for all tenants at once, is lost as
    /// [`DropReason::Unroutable`](crate::DropReason::Unroutable) where the next process has one.
    ///
    /// ```no_run
    /// # use tracium_runtime as tracium;
    /// let _guard = tracium::builder()
    ///     .api_key("trc_..")
    ///     .spool("/var/spool/chat-service", 1 << 30)
    ///     .init()?;
    /// # Ok::<(), tracium::InitError>(())
    /// ```
    pub fn spool(mut self, directory: impl Into<PathBuf>, max_bytes: u64) -> Self {
        self.spool = Some((directory.into(), max_bytes));
        self
    }

    /// Looks at every captured value and text before it leaves this process, and may change it: `mask(field, value)`.
    ///
    /// `field` is `input`, `output`, `tools`, `tool_calls`, `metadata`, `summary` or `error`; the first four and
    /// `metadata` are JSON, and what is no JSON after the call is sent as a string. It runs on the export thread.
    /// Where it panics, the value is withheld.
    pub fn mask(mut self, mask: impl Fn(&str, &mut String) + Send + Sync + 'static) -> Self {
        self.mask = Some(Arc::new(mask));
        self
    }

    /// On `SIGTERM`, sends what ended for up to `timeout`, stops the export, and lets the process die of the signal as it
    /// would have.
    ///
    /// For programs that do nothing of their own on it. One that does, such as a server that lets its requests end, would
    /// be cut short: it calls [`shutdown`](crate::shutdown) when it is done.
    ///
    /// In a process that was forked off without exec, the signal is held up until an export of its own has started there
    /// (see [`init`](Self::init)): nobody watches for it before, and the process does not die of it.
    #[cfg(all(unix, feature = "signal"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "signal")))]
    pub fn flush_on_terminate(mut self, timeout: Duration) -> Self {
        self.on_terminate = Some(timeout);
        self
    }

    /// Starts collection and export.
    ///
    /// In a process that was forked off without exec, an export of its own starts by itself with the settings of the process
    /// before, once the thread that goes on there has written some 256 spans, or asks for [`stats`](crate::stats) or a
    /// [`flush`](crate::flush). What that thread opened until then is not sent: call this first, with these or other
    /// settings, to start at once. Nothing of the process before is sent there.
    ///
    /// # Errors
    /// An [`InitError`] says which setting is wrong and what to do. User code runs on either way; nothing is exported.
    pub fn init(self) -> Result<Guard, InitError> {
        self.init_with(&Environment::of_process())
    }

    pub(super) fn init_with(self, environment: &Environment) -> Result<Guard, InitError> {
        let Resolved { targets, spool, capture_content } = resolve(&self, environment)?;
        let default_tenant = self.default_tenant.transpose().map_err(InitError::DefaultTenant)?.flatten();
        if !targets.is_empty() {
            let policy = Policy { content: capture_content, ..self.policy };
            let budget = Budget::with_reserve(self.max_records.unwrap_or(1 << 20), self.max_bytes.unwrap_or(128 << 20));
            let collector = Collector::new(budget, policy);
            let recipe = Arc::new(export::Recipe::new(targets, self.mask.as_ref(), spool.as_ref(), self.on_terminate));
            // Before anything starts, so that what is wrong is said at once.
            let exporters = recipe.make()?;
            if !export::start(collector, recipe, exporters) {
                return Err(InitError::AlreadyInitialized);
            }
            panics::install_hook();
        }
        crate::propagation::allow_hosts(self.tenant_hosts);
        if let Some(tenant) = default_tenant {
            let _ = DEFAULT_TENANT.set(tenant);
        }
        Ok(Guard(()))
    }
}

impl fmt::Debug for Builder {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("exporter", &self.exporter)
            .field("api_key", &self.api_key.as_ref().map(|_| "[redacted]"))
            .field("capture_content", &self.capture_content)
            .field("disabled", &self.disabled)
            .field("max_records", &self.max_records)
            .field("max_bytes", &self.max_bytes)
            .field("spool", &self.spool)
            .finish_non_exhaustive()
    }
}
