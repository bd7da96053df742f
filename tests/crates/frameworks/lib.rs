//! `tracium::tower` under frameworks that are no dependency of tracium, over real sockets.

#[cfg(test)]
mod grpc;
#[cfg(test)]
mod lambda;
#[cfg(test)]
mod warped;

#[cfg(test)]
use tracium::tenant::{self, Policies, Policy, Tenants};

/// By a header, which is what gRPC calls metadata.
#[cfg(test)]
fn tenants() -> Tenants {
    let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
    Tenants::new(tenant::header("x-tenant"), policies).known(|tenant| tenant.as_str() != "stranger")
}

/// A step of a handler: the current tenant, and a span.
#[cfg(test)]
fn step() -> String {
    tracium::start_span("tool", "step")
        .run(|| tracium::current_tenant().map(|tenant| tenant.to_string()).unwrap_or_default())
}

/// Waits for what others do, without a guess how long that takes.
#[cfg(test)]
async fn until(mut is_so: impl FnMut() -> bool) {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !is_so() {
        assert!(std::time::Instant::now() < patience, "it never came");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
