//! Which request a tenant's spans go into: to which backend, and under which name.

use std::collections::HashMap;

use reqwest::header::HeaderName;

use super::destination::Destination;
use crate::config::{self, Backoff, InitError, OtlpTarget, Routing};
use crate::panics::contained;
use crate::tenant::TenantId;

/// The most destinations that are kept.
const MOST: usize = 256;
/// The one of everyone who has none of their own.
pub(super) const COMMON: u32 = 0;

/// What the spans of one request have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Route {
    pub(super) destination: u32,
    /// The tenant that the request names.
    pub(super) tenant: Option<TenantId>,
}

pub(super) struct Router {
    header: Option<HeaderName>,
    routing: Option<Routing>,
    /// What is routed goes into requests of one tenant each, so that each can be routed anew.
    apart: bool,
    /// The user's destinations by their numbers.
    known: HashMap<config::Destination, u32>,
    next: u32,
    backoff: Backoff,
}

impl Router {
    pub(super) fn new(target: &OtlpTarget) -> Result<Self, InitError> {
        let header = target.tenant_header.as_ref().map(|name| {
            let illegal = || InitError::InvalidHeader { setting: "`tenant_header`", name: name.clone() };
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| illegal())
        });
        let header = header.transpose()?;
        let (routing, backoff) = (target.routing.clone(), target.connection.backoff);
        Ok(Self { header, routing, apart: false, known: HashMap::new(), next: COMMON + 1, backoff })
    }

    /// From now on tenants that are routed share no requests.
    pub(super) fn keep_apart(&mut self) {
        self.apart = true;
    }

    pub(super) fn header(&self) -> Option<&HeaderName> {
        self.header.as_ref()
    }

    /// All spans go into the same requests.
    pub(super) fn is_plain(&self) -> bool {
        self.header.is_none() && self.routing.is_none()
    }

    /// Where spans of `tenant` go, or why they go nowhere. `in_use` are destinations that something waits for.
    pub(super) fn route(
        &mut self,
        tenant: Option<&TenantId>,
        destinations: &mut HashMap<u32, Destination>,
        in_use: impl Fn(u32) -> bool,
    ) -> Result<Route, String> {
        let named = match (&self.header, tenant) {
            (Some(header), Some(tenant)) => {
                check(header, tenant)?;
                Some(tenant.clone())
            }
            (None, tenant) if self.apart => tenant.cloned(),
            _ => None,
        };
        let Some(routing) = &self.routing else { return Ok(Route { destination: COMMON, tenant: named }) };
        let found = contained(|| (routing.route)(tenant)).ok_or("`route_tenants` panicked")?;
        let destination = match found {
            None => COMMON,
            Some(found) => match self.known.get(&found) {
                Some(known) => *known,
                None => self.add(found, destinations, in_use)?,
            },
        };
        Ok(Route { destination, tenant: named })
    }

    fn add(
        &mut self,
        found: config::Destination,
        destinations: &mut HashMap<u32, Destination>,
        in_use: impl Fn(u32) -> bool,
    ) -> Result<u32, String> {
        let http_hosts = self.routing.as_ref().map_or(&[][..], |routing| &routing.http_hosts);
        let (url, headers) = found.checked(http_hosts).map_err(|error| error.to_string())?;
        let destination = Destination::new(url, &headers, self.backoff).map_err(|error| error.to_string())?;
        if self.known.len() >= MOST {
            let idle = |number: &u32| destinations.get(number).is_none_or(Destination::is_idle) && !in_use(*number);
            let idle =
                self.known.iter().find(|(_, number)| idle(number)).map(|(found, number)| (found.clone(), *number));
            let (forgotten, number) = idle.ok_or("256 destinations have spans waiting for them already")?;
            self.known.remove(&forgotten);
            destinations.remove(&number);
        }
        let number = self.next;
        self.next += 1;
        destinations.insert(number, destination);
        self.known.insert(found, number);
        Ok(number)
    }
}

/// Whether `header` can carry the id as it is. It is never altered, since two tenants could become one.
fn check(header: &HeaderName, tenant: &TenantId) -> Result<(), String> {
    let id = tenant.as_str();
    if header.as_str() == "x-scope-orgid" {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!-_.*'()".contains(&byte);
        if id.len() > 150 || !id.bytes().all(legal) || matches!(id, "." | "..") {
            return Err(format!(
                "X-Scope-OrgID cannot carry the tenant id {id:?}: it takes up to 150 of A-Z a-z 0-9 ! - _ . * ' ( )"
            ));
        }
    } else if !id.bytes().all(|byte| (0x20..0x7f).contains(&byte)) || id.trim() != id {
        return Err(format!("the header {header} cannot carry the tenant id {id:?}: it takes printable ASCII"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_a_header_cannot_carry_are_refused_whole() {
        let of = |header: &'static str, id: &str| {
            check(&HeaderName::from_static(header), &TenantId::try_from(id).unwrap()).is_ok()
        };
        for id in ["acme", "a.b-c_d!*'()", &"a".repeat(150)] {
            assert!(of("x-scope-orgid", id), "{id}");
        }
        for id in ["a b", "a/b", "a|b", "ü", ".", "..", &"a".repeat(151)] {
            assert!(!of("x-scope-orgid", id), "{id}");
        }
        assert!(of("x-customer", "a b/c|d") && of("x-customer", &"a".repeat(255)));
        assert!(!of("x-customer", "ü") && !of("x-customer", " a"));
    }
}
