//! What becomes of a request, by the tenant that it names.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use super::resolver::source;
use super::{Parts, Resolver};
use crate::{__private, TenantError, TenantId};

/// What happens to a request without a tenant that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// It is answered with this status; the application never sees it.
    Reject(StatusCode),
    /// It runs for this tenant.
    Default(TenantId),
    /// It runs for no tenant.
    Anonymous,
}

impl Policy {
    /// Answers with `status`: 400 to 599; any other number is 400.
    pub fn reject(status: u16) -> Self {
        let status = StatusCode::from_u16(status).ok();
        let status = status.filter(|status| status.is_client_error() || status.is_server_error());
        Self::Reject(status.unwrap_or(StatusCode::BAD_REQUEST))
    }
}

/// What happens to requests that name no tenant, and to those that name none that can be used. Both have to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // Both, and no third: that is what it is for.
pub struct Policies {
    /// The request names no tenant.
    pub missing: Policy,
    /// What it names is no tenant's id, could not be verified, or is not [known](Tenants::known).
    pub invalid: Policy,
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// Run it for this tenant.
    Tenant(TenantId),
    /// Run it for no tenant.
    Anonymous,
    /// Run it for no tenant, and record nothing of it.
    Exempt,
    /// Answer it.
    Reject(Rejection),
}

/// The answer to a request that is not let in: a status, and nothing of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    status: StatusCode,
    bearer: bool,
}

impl Rejection {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The value of `WWW-Authenticate`, which a 401 has to have: `Bearer`, where tokens are looked at.
    pub fn challenge(&self) -> Option<&'static str> {
        (self.bearer && self.status == StatusCode::UNAUTHORIZED).then_some("Bearer")
    }
}

type Known = dyn Fn(&TenantId) -> bool + Send + Sync;

/// How requests find their tenant, and what happens where they do not. Cheap to clone.
#[derive(Clone)]
pub struct Tenants(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    resolver: Resolver,
    policies: Policies,
    known: Option<Arc<Known>>,
    exempt: Vec<String>,
}

impl Tenants {
    /// Tenants by `resolver`, and `policies` for the requests where it finds none.
    pub fn new(resolver: Resolver, policies: Policies) -> Self {
        Self(Arc::new(Inner { resolver, policies, known: None, exempt: Vec::new() }))
    }

    /// Only tenants that `known` says yes to; others are invalid. The tenant of a [`Policy::Default`] is not asked for.
    ///
    /// It is called for each request, before it runs, and must not block: look into memory. What needs a query belongs
    /// into the application's authentication, which hands its result over by [`extension`](super::extension).
    #[must_use]
    pub fn known(self, known: impl Fn(&TenantId) -> bool + Send + Sync + 'static) -> Self {
        self.with(|inner| inner.known = Some(Arc::new(known)))
    }

    /// Requests to `path` run for no tenant, and nothing is recorded of them: health checks, metrics.
    ///
    /// The path is compared as it is sent, whole; with a `*` at its end, `path` is what it starts with.
    #[must_use]
    pub fn exempt(self, path: impl Into<String>) -> Self {
        self.with(|inner| inner.exempt.push(path.into()))
    }

    /// What to do with the request.
    pub fn decide(&self, parts: &Parts<'_>) -> Decision {
        let Inner { resolver, policies, known, exempt } = &*self.0;
        if exempt.iter().any(|pattern| matches(pattern, parts.path())) {
            return Decision::Exempt;
        }
        let found = resolver.find(parts).and_then(|found| match (found, known) {
            (Some(tenant), Some(known)) if !known(&tenant) => {
                Err(source(format!("the tenant {:?} is not known", tenant.as_str())))
            }
            (found, _) => Ok(found),
        });
        match found {
            Ok(Some(tenant)) => Decision::Tenant(tenant),
            Ok(None) => self.apply(&policies.missing),
            Err(error) => {
                self.note(&error);
                self.apply(&policies.invalid)
            }
        }
    }

    fn apply(&self, policy: &Policy) -> Decision {
        match policy {
            Policy::Reject(status) => {
                Decision::Reject(Rejection { status: *status, bearer: self.0.resolver.asks_for_bearer() })
            }
            Policy::Default(tenant) => Decision::Tenant(tenant.clone()),
            Policy::Anonymous => Decision::Anonymous,
        }
    }

    #[allow(clippy::unused_self)] // Reads as what it does, beside `apply`.
    fn note(&self, error: &TenantError) {
        __private::note_invalid_tenant("tracium::tenant", error);
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    pattern.strip_suffix('*').map_or(path == pattern, |start| path.starts_with(start))
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenants")
            .field("resolver", &self.0.resolver)
            .field("policies", &self.0.policies)
            .field("known", &self.0.known.is_some())
            .field("exempt", &self.0.exempt)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{fixed, header};
    use super::*;

    fn decide(tenants: &Tenants, path: &str, tenant: Option<&str>) -> Decision {
        let mut request = http::Request::builder().uri(path);
        if let Some(tenant) = tenant {
            request = request.header("x-tenant", tenant);
        }
        tenants.decide(&Parts::of(&request.body(()).unwrap()))
    }

    fn id(id: &str) -> TenantId {
        TenantId::try_from(id).unwrap()
    }

    fn status(decision: &Decision) -> u16 {
        match decision {
            Decision::Reject(rejection) => rejection.status().as_u16(),
            other => panic!("not rejected: {other:?}"),
        }
    }

    #[test]
    fn missing_and_invalid_go_their_own_ways() {
        let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
        let tenants = Tenants::new(header("x-tenant"), policies).known(|tenant| tenant.as_str() != "stranger");
        assert_eq!(decide(&tenants, "/", Some("acme")), Decision::Tenant(id("acme")));
        assert_eq!(status(&decide(&tenants, "/", None)), 401);
        assert_eq!(status(&decide(&tenants, "/", Some(""))), 403);
        assert_eq!(status(&decide(&tenants, "/", Some("stranger"))), 403);

        let policies = Policies { missing: Policy::Anonymous, invalid: Policy::Default(id("quarantine")) };
        let tenants = Tenants::new(header("x-tenant"), policies).known(|tenant| tenant.as_str() == "acme");
        assert_eq!(decide(&tenants, "/", None), Decision::Anonymous);
        assert_eq!(decide(&tenants, "/", Some("50%")), Decision::Tenant(id("quarantine")));
        assert_eq!(decide(&tenants, "/", Some("globex")), Decision::Tenant(id("quarantine")));
    }

    #[test]
    fn exempt_paths_are_compared_whole_or_by_their_start() {
        let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(401) };
        let tenants = Tenants::new(header("x-tenant"), policies).exempt("/health").exempt("/internal/*");
        for path in ["/health", "/health?verbose", "/internal/metrics"] {
            assert_eq!(decide(&tenants, path, Some("acme")), Decision::Exempt, "{path}");
        }
        for path in ["/healthy", "/health/", "/internal", "/v1/health"] {
            assert_eq!(status(&decide(&tenants, path, None)), 401, "{path}");
        }
    }

    #[test]
    fn a_status_that_is_no_refusal_becomes_one() {
        for (status, refused) in [(200, 400), (302, 400), (0, 400), (401, 401), (503, 503)] {
            assert_eq!(Policy::reject(status), Policy::Reject(StatusCode::from_u16(refused).unwrap()));
        }
    }

    #[test]
    fn no_token_is_asked_for_where_none_is_looked_at() {
        let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(401) };
        let Decision::Reject(rejection) = decide(&Tenants::new(header("x-tenant"), policies.clone()), "/", None) else {
            panic!("let in");
        };
        assert_eq!(rejection.challenge(), None);
        assert_eq!(decide(&Tenants::new(fixed(id("only")), policies), "/", None), Decision::Tenant(id("only")));
    }
}
