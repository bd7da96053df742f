//! What a user should hear of, at most once a minute, through the `tracing` facade.

use crate::tenant::TenantError;

/// Counts a span outside any trace, and names its function once a minute.
pub(crate) fn orphan_span(function: &'static str) {
    #[cfg(feature = "collect")]
    if let Some(collector) = crate::collect::global() {
        counted::ORPHANS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if collector.is_closed() {
            return;
        }
        static TURN: counted::Minute = counted::Minute::new();
        if TURN.is_due() {
            counted::say(|| {
                tracing::warn!(
                    target: "tracium",
                    function,
                    "a span is outside any trace and is not recorded; annotate its caller with \
                     `#[tracium::trace(agent = ..)]`, or give the task its context with `tracium::spawn`"
                );
            });
        }
    }
    #[cfg(not(feature = "collect"))]
    let _ = function;
}

/// Counts a tenant id that `from` gave and that is none; the scope has no tenant then.
pub(crate) fn invalid_tenant(function: &'static str, error: &TenantError) {
    #[cfg(feature = "collect")]
    {
        counted::INVALID_TENANTS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        static TURN: counted::Minute = counted::Minute::new();
        if TURN.is_due() {
            let error = crate::content::scrub_text(&error.to_string(), 500);
            counted::say(|| tracing::warn!(target: "tracium", function, error, "a tenant could not be bound"));
        }
    }
    #[cfg(not(feature = "collect"))]
    let _ = (function, error);
}

/// Counts a header that says nothing that can be read; the request goes on without it.
pub(crate) fn malformed_header(name: &'static str) {
    #[cfg(feature = "collect")]
    {
        counted::MALFORMED_HEADERS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        static TURN: counted::Minute = counted::Minute::new();
        if TURN.is_due() {
            // Without its value: anyone can have sent it.
            counted::say(|| tracing::warn!(target: "tracium", name, "a header is malformed and is ignored"));
        }
    }
    #[cfg(not(feature = "collect"))]
    let _ = name;
}

#[cfg(feature = "collect")]
pub(crate) use counted::{INVALID_TENANTS, MALFORMED_HEADERS, Minute, ORPHANS, say};

#[cfg(feature = "collect")]
mod counted {
    use std::sync::atomic::{AtomicU64, Ordering};

    use crate::clock::Timestamp;

    pub(crate) static ORPHANS: AtomicU64 = AtomicU64::new(0);
    pub(crate) static INVALID_TENANTS: AtomicU64 = AtomicU64::new(0);
    pub(crate) static MALFORMED_HEADERS: AtomicU64 = AtomicU64::new(0);

    /// Says something through the `tracing` facade. Who listens is the user's, and may panic.
    pub(crate) fn say(say: impl FnOnce()) {
        crate::panics::contained(say);
    }

    /// Comes due once a minute.
    #[derive(Debug)]
    pub(crate) struct Minute(AtomicU64);

    impl Minute {
        pub(crate) const fn new() -> Self {
            Self(AtomicU64::new(0))
        }

        pub(crate) fn is_due(&self) -> bool {
            let now = Timestamp::now().unix_nanos() / 1_000_000_000;
            let last = self.0.load(Ordering::Relaxed);
            now >= last + 60 && self.0.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        }
    }
}
