//! Nothing has a name here but what is written out: neither `Ok` nor `Box`, and no macro of std's.
#![no_implicit_prelude]

use ::core::result::Result;

/// A sync function with a result, an input and an output.
///
/// # Errors
/// 0.
#[::tracium::tenant_scope(from = tenant, missing = reject)]
#[::tracium::trace(agent = "support-bot", name = tenant, capture(number), output, bind = trace)]
pub fn sync(tenant: &str, number: u8) -> Result<u8, ::tracium::TenantError> {
    trace.add_tags(["seen"]);
    if number == 0 {
        return Result::Err(::tracium::TenantError::Missing);
    }
    Result::Ok(number)
}

/// A sync function without.
#[::tracium::span(kind = "tool")]
pub fn in_place() {}

/// An async function whose spawned work keeps its context.
#[::tracium::tenant_scope(from = tenant)]
#[::tracium::trace(agent = "support-bot")]
pub async fn spawning(tenant: &str) -> ::core::option::Option<::tracium::TenantId> {
    ::tokio::spawn(async { ::tracium::current_tenant() }).await.ok().flatten()
}

/// A boxed future.
#[::tracium::span(kind = "tool", capture(?number), metadata(number = number))]
pub fn boxed(number: u8) -> ::core::pin::Pin<::std::boxed::Box<dyn ::core::future::Future<Output = u8>>> {
    if number == 0 {
        return ::std::boxed::Box::pin(async { 1 });
    }
    ::std::boxed::Box::pin(async move { number })
}

/// Methods.
#[derive(::core::fmt::Debug)]
pub struct Tools;

#[::tracium::tool]
impl Tools {
    /// A number, later.
    pub async fn later(&self, number: u8) -> u8 {
        ::core::future::ready(number).await
    }
}

#[cfg(test)]
mod tests {
    use ::core::option::Option;
    use ::core::{assert, assert_eq};
    use ::std::string::ToString as _;

    #[test]
    fn annotated_functions_work_without_a_prelude() {
        assert_eq!(super::sync("acme", 3), super::Result::Ok(3));
        assert!(super::sync("", 3).is_err());
        super::in_place();
        assert_eq!(::tracium::block_on(super::boxed(3)), 3);
        assert_eq!(::tracium::block_on(super::Tools.later(3)), 3);
        let seen = ::tracium::block_on(super::spawning("acme"));
        assert_eq!(seen.map(|tenant| tenant.to_string()), Option::Some("acme".to_string()));
    }
}
