//! The hosts that may be told whose work a request is.

use std::sync::OnceLock;

static ALLOWED: OnceLock<Vec<String>> = OnceLock::new();

/// Names the hosts, once for the process.
#[cfg(feature = "collect")]
pub(crate) fn allow(hosts: Vec<String>) {
    let _ = ALLOWED.set(hosts);
}

pub(super) fn is_allowed(host: &str) -> bool {
    // A name with the dot of its root is the same name.
    let host = host.trim_end_matches('.');
    ALLOWED.get().is_some_and(|allowed| allowed.iter().any(|name| name.eq_ignore_ascii_case(host)))
}
