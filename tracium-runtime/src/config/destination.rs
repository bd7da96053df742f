//! Where one tenant's traces go, where that is not where everyone's do.

use std::fmt;
use std::sync::Arc;

use super::InitError;
use super::otlp::{put_header, with_path};
use super::resolve::{check_key, check_url};
use crate::tenant::TenantId;

/// An OTLP backend of its own, for the tenants that [`Builder::route_tenants`](crate::Builder::route_tenants) sends there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    endpoint: String,
    api_key: Option<String>,
    headers: Vec<(String, String)>,
}

impl Destination {
    /// The backend at `endpoint`, with `/v1/traces` or without. Plain http is for this machine and for hosts that
    /// [`Builder::allow_http_host`](crate::Builder::allow_http_host) names.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), api_key: None, headers: Vec::new() }
    }

    /// The key, sent as a bearer token. The process's own key goes to its own endpoint only.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// One more header of every request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The address and the headers, checked.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code))]
    pub(crate) fn checked(&self, http_hosts: &[String]) -> Result<(String, Vec<(String, String)>), InitError> {
        let url = with_path(&self.endpoint);
        check_url(&url, "a tenant's destination", http_hosts)?;
        let mut headers = Vec::new();
        if let Some(key) = &self.api_key {
            check_key(key)?;
            put_header(&mut headers, "a tenant's destination", "authorization", format!("Bearer {key}"))?;
        }
        for (name, value) in &self.headers {
            put_header(&mut headers, "a tenant's destination", name, value.clone())?;
        }
        Ok((url, headers))
    }
}

impl fmt::Debug for Destination {
    /// Without the key and the headers' values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

pub(super) type Route = dyn Fn(Option<&TenantId>) -> Option<Destination> + Send + Sync;

/// The user's function from tenant to destination.
#[derive(Clone)]
pub(crate) struct Routing {
    pub(crate) route: Arc<Route>,
    /// Where plain http may go.
    pub(crate) http_hosts: Vec<String>,
}
