//! `trace` and `tenant_scope` in either order, stacked attributes, renamed imports.

use crate::wait;
use tracium::{tenant_scope as for_tenant, trace as run};

#[tracium::trace(agent = "support-bot")]
#[tracium::tenant_scope(from = tenant, missing = reject)]
fn tenant_below(tenant: &str) -> anyhow::Result<usize> {
    anyhow::ensure!(tenant.len() < 8, "too long");
    Ok(tenant.len())
}

#[tracium::tenant_scope(from = tenant, missing = reject)]
#[tracium::trace(agent = "support-bot")]
fn tenant_above(tenant: &str) -> anyhow::Result<usize> {
    anyhow::ensure!(tenant.len() < 8, "too long");
    Ok(tenant.len())
}

#[for_tenant(from = tenant, missing = reject)]
#[run(agent = "support-bot")]
async fn renamed(tenant: &str) -> anyhow::Result<usize> {
    std::future::ready(()).await;
    anyhow::ensure!(tenant.len() < 8, "too long");
    Ok(tenant.len())
}

#[tracium::span]
#[tracium::span(name = "inner")]
#[tracium::span(name = "innermost")]
fn twice(first: String, second: String) -> Result<String, String> {
    if first.is_empty() { Err(second) } else { Ok(first) }
}

#[tracium::span]
#[tracium::span]
fn twice_in_place(text: &str) -> usize {
    text.len()
}

#[test]
fn the_order_does_not_change_the_value() {
    for call in [tenant_below, tenant_above] {
        assert_eq!(call("acme").ok(), Some(4));
        assert!(call("").is_err());
    }
    assert_eq!(wait(renamed("acme")).ok(), Some(4));
    assert!(wait(renamed("")).is_err());
    assert_eq!(twice("a".to_owned(), "b".to_owned()), Ok("a".to_owned()));
    assert_eq!(twice_in_place("abc"), 3);
}
