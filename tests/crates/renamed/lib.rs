//! `::tracium` is nowhere here: `crate = path` says where it is.

use observed::{TenantError, current_tenant};

/// Every attribute and every kind of expansion.
///
/// # Errors
/// No tenant.
#[observed::tenant_scope(from = tenant, missing = reject, crate = observed)]
#[observed::trace(agent = "support-bot", name = tenant, capture(tenant), output, bind = trace, crate = ::observed)]
pub async fn answer(tenant: &str) -> Result<usize, TenantError> {
    trace.add_tags(["seen"]);
    let spawned = tokio::spawn(async { current_tenant() }).await;
    assert_eq!(spawned.ok().flatten(), current_tenant());
    Ok(Tools.search(tenant)?.len() + boxed(1).await)
}

#[observed::span(kind = "tool", crate = observed)]
fn boxed(number: usize) -> std::pin::Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move { number })
}

struct Tools;

#[observed::retrieval(capture(text), crate = observed)]
impl Tools {
    fn search<'a>(&self, text: &'a str) -> Result<&'a str, TenantError> {
        if self.skipped() { Ok(text) } else { Err(TenantError::Missing) }
    }

    #[observed::skip]
    fn skipped(&self) -> bool {
        matches!(self, Self)
    }
}

#[cfg(test)]
mod tests {
    #[observed::main(crate = observed)]
    fn program() {}

    #[test]
    fn annotated_functions_find_the_crate_by_its_path() {
        let recorder = observed::testing::Recorder::install();
        assert_eq!(observed::block_on(super::answer("acme")), Ok(5));
        assert_eq!(recorder.traces().len(), 1);
        assert_eq!(recorder.spans().len(), 2);
        assert!(observed::block_on(super::answer("")).is_err());
        let _: fn() = program;
    }
}
