//! A library as it is meant to use tracium: the same functions, and whether anything is recorded is for the program to
//! say that uses it.

use tracium::{TenantError, TokenUsage, current_tenant};

/// An answer for a tenant.
///
/// # Errors
/// No tenant.
#[tracium::tenant_scope(from = tenant, missing = reject)]
#[tracium::trace(agent = "support-bot", model = "gpt-4o", capture(question), output, bind = trace)]
pub async fn answer(tenant: &str, question: &str) -> Result<String, TenantError> {
    trace.add_tags(["seen"]);
    complete(question).await
}

#[tracium::llm]
async fn complete(question: &str) -> Result<String, TenantError> {
    tracium::current_span().record_response("Earl Grey").set_token_usage(TokenUsage::new(1, 2));
    let tenant = std::thread::spawn(current_tenant).join().ok().flatten();
    Ok(format!("{}: {question}", tenant.ok_or(TenantError::Missing)?))
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn tenants_and_results_are_the_same_with_nothing_to_collect() {
        assert_eq!(tracium::block_on(answer("acme", "tea")).as_deref(), Ok("acme: tea"));
        assert!(tracium::block_on(answer("", "tea")).is_err());
        assert_eq!(tracium::current_tenant(), None);
    }
}
