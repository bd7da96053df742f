//! Which values name a tenant: for `set_tenant` and for `from = ..`.

use std::borrow::Cow;
use std::fmt::Display;
use std::rc::Rc;
use std::sync::Arc;

use super::{TenantError, TenantId};

/// What `set_tenant` and `with_tenant` take: an id in any form, or an `Option<TenantId>`, so that `None` clears.
///
/// `None` infers: it is the only `Option` here.
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no tenant",
    note = "use a `TenantId`, a string, or an `Option<TenantId>`; `None` clears the tenant"
)]
pub trait IntoTenant {
    /// The tenant, or `None` for "no tenant".
    ///
    /// # Errors
    /// An illegal id.
    fn into_tenant(self) -> Result<Option<TenantId>, TenantError>;
}

impl IntoTenant for TenantId {
    fn into_tenant(self) -> Result<Option<TenantId>, TenantError> {
        Ok(Some(self))
    }
}

impl IntoTenant for &TenantId {
    fn into_tenant(self) -> Result<Option<TenantId>, TenantError> {
        Ok(Some(self.clone()))
    }
}

impl IntoTenant for Option<TenantId> {
    fn into_tenant(self) -> Result<Option<TenantId>, TenantError> {
        Ok(self)
    }
}

impl IntoTenant for &str {
    fn into_tenant(self) -> Result<Option<TenantId>, TenantError> {
        TenantId::try_from(self).map(Some)
    }
}

impl IntoTenant for String {
    fn into_tenant(self) -> Result<Option<TenantId>, TenantError> {
        TenantId::try_from(self).map(Some)
    }
}

impl IntoTenant for &String {
    fn into_tenant(self) -> Result<Option<TenantId>, TenantError> {
        TenantId::try_from(self).map(Some)
    }
}

/// What `tenant_scope(from = ..)` takes: a tenant, or an `Option` or `Result` of one, by reference.
///
/// Implement it for an id type of your own, so that `from = user.id` works:
/// ```
/// # use tracium_runtime as tracium;
/// use tracium::{ResolveTenant, TenantError, TenantId};
///
/// struct CustomerId(u64);
/// impl ResolveTenant for CustomerId {
///     fn resolve_tenant(&self) -> Result<Option<TenantId>, TenantError> {
///         TenantId::try_from(format!("customer-{}", self.0)).map(Some)
///     }
/// }
/// # assert_eq!(CustomerId(7).resolve_tenant().unwrap().unwrap().as_str(), "customer-7");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no tenant",
    note = "`from` takes a `TenantId`, a string, or an `Option` or `Result` of one; implement `tracium::ResolveTenant` for your own id type"
)]
pub trait ResolveTenant {
    /// The tenant, or `None` where the value names none.
    ///
    /// # Errors
    /// An illegal id, or the error that stood in the tenant's place.
    fn resolve_tenant(&self) -> Result<Option<TenantId>, TenantError>;
}

impl ResolveTenant for TenantId {
    fn resolve_tenant(&self) -> Result<Option<TenantId>, TenantError> {
        Ok(Some(self.clone()))
    }
}

impl ResolveTenant for str {
    fn resolve_tenant(&self) -> Result<Option<TenantId>, TenantError> {
        TenantId::try_from(self).map(Some)
    }
}

impl ResolveTenant for String {
    fn resolve_tenant(&self) -> Result<Option<TenantId>, TenantError> {
        self.as_str().resolve_tenant()
    }
}

impl<T: ResolveTenant> ResolveTenant for Option<T> {
    fn resolve_tenant(&self) -> Result<Option<TenantId>, TenantError> {
        self.as_ref().map_or(Ok(None), T::resolve_tenant)
    }
}

impl<T: ResolveTenant, E: Display> ResolveTenant for Result<T, E> {
    fn resolve_tenant(&self) -> Result<Option<TenantId>, TenantError> {
        match self {
            Ok(tenant) => tenant.resolve_tenant(),
            Err(error) => Err(TenantError::Source { message: error.to_string().into() }),
        }
    }
}

macro_rules! by_deref {
    ($($pointer:ty),*) => {$(
        impl<T: ResolveTenant + ?Sized> ResolveTenant for $pointer {
            fn resolve_tenant(&self) -> Result<Option<TenantId>, TenantError> {
                (**self).resolve_tenant()
            }
        }
    )*};
}
by_deref!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

impl ResolveTenant for Cow<'_, str> {
    fn resolve_tenant(&self) -> Result<Option<TenantId>, TenantError> {
        (**self).resolve_tenant()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(tenant: impl ResolveTenant) -> Result<Option<String>, TenantError> {
        Ok(tenant.resolve_tenant()?.map(|t| t.to_string()))
    }

    #[test]
    fn tenants_options_and_results_resolve_and_errors_stay_errors() {
        assert_eq!(id("a"), Ok(Some("a".into())));
        assert_eq!(id(String::from("a")), Ok(Some("a".into())));
        assert_eq!(id(Some("a")), Ok(Some("a".into())));
        assert_eq!(id(None::<&str>), Ok(None));
        assert_eq!(id(Ok::<_, String>(Some("a"))), Ok(Some("a".into())));
        assert_eq!(id(Arc::<str>::from("a")), Ok(Some("a".into())));
        assert!(matches!(id(Err::<&str, _>("expired")), Err(TenantError::Source { .. })));
        assert_eq!(id(Some("")), Err(TenantError::Empty));
    }

    #[test]
    fn none_infers_and_clears() {
        assert_eq!(None.into_tenant(), Ok(None));
    }
}
