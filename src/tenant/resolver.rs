//! The places where a request can name its tenant.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::Parts;
use crate::{Context, ResolveTenant, TenantError, TenantId};

/// What a resolver found: a tenant, nothing, or something that is no tenant.
pub type Found = Result<Option<TenantId>, TenantError>;

type Find = dyn Fn(&Parts<'_>) -> Found + Send + Sync;

/// Where to look for a request's tenant: one place, or several in order.
///
/// Made by [`claim`](super::claim), [`extension`], [`header`], [`subdomain`], [`path_segment`], [`from_fn`] and
/// [`fixed`]; chained with [`or`](Self::or). Which of them prove something is told [above](super#what-to-trust).
#[derive(Clone)]
pub struct Resolver {
    places: Vec<Place>,
}

#[derive(Clone)]
struct Place {
    name: Cow<'static, str>,
    find: Arc<Find>,
    asks_for_bearer: bool,
}

impl Resolver {
    fn new(name: impl Into<Cow<'static, str>>, find: impl Fn(&Parts<'_>) -> Found + Send + Sync + 'static) -> Self {
        Self { places: vec![Place { name: name.into(), find: Arc::new(find), asks_for_bearer: false }] }
    }

    /// One that looks at bearer tokens: what is rejected for want of one says so.
    #[cfg(feature = "jwt")]
    pub(super) fn bearer(name: String, find: impl Fn(&Parts<'_>) -> Found + Send + Sync + 'static) -> Self {
        let mut resolver = Self::new(name, find);
        resolver.places[0].asks_for_bearer = true;
        resolver
    }

    /// Where this one finds nothing, `next` is asked; not where it finds something that is wrong.
    #[must_use]
    pub fn or(mut self, next: Self) -> Self {
        self.places.extend(next.places);
        self
    }

    /// The tenant that the request names.
    ///
    /// # Errors
    /// What is in a place where this looks and is no tenant.
    pub fn find(&self, parts: &Parts<'_>) -> Found {
        for place in &self.places {
            if let Some(tenant) = (place.find)(parts)? {
                return Ok(Some(tenant));
            }
        }
        Ok(None)
    }

    pub(super) fn asks_for_bearer(&self) -> bool {
        self.places.iter().any(|place| place.asks_for_bearer)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.places.iter().map(|place| &place.name)).finish()
    }
}

/// What the application's own authentication attached to the request, under the type `T`.
///
/// That is a request extension of tower's frameworks and of actix; in Rocket, what `tracium::rocket::attach` attached. `T` names the tenant by
/// [`ResolveTenant`]: a [`TenantId`], or a type of yours such as the authenticated user. The layer that attaches it must
/// run before this one.
///
/// ```
/// use tracium::tenant::{self, Parts};
/// use tracium::{ResolveTenant, TenantError, TenantId};
///
/// #[derive(Clone)]
/// struct User { account: u64 }
/// impl ResolveTenant for User {
///     fn resolve_tenant(&self) -> Result<Option<TenantId>, TenantError> {
///         TenantId::try_from(format!("account-{}", self.account)).map(Some)
///     }
/// }
///
/// let request = http::Request::builder().extension(User { account: 7 }).body(()).unwrap();
/// let found = tenant::extension::<User>().find(&Parts::of(&request));
/// assert_eq!(found.unwrap().unwrap(), "account-7");
/// ```
pub fn extension<T: ResolveTenant + Any + Send + Sync>() -> Resolver {
    let name = format!("extension {}", std::any::type_name::<T>());
    Resolver::new(name, |parts| parts.extension(T::resolve_tenant).unwrap_or(Ok(None)))
}

/// The header `name`, in the encoding of [`TenantId::to_header_value`]. **A hint**: clients send what they like.
///
/// A header that was sent more than once is invalid, also with the same value. A proxy that joins such headers to one
/// (`a, b`) makes another id of them; [`Tenants::known`](super::Tenants::known) refuses that.
pub fn header(name: impl Into<Cow<'static, str>>) -> Resolver {
    let name: Cow<'static, str> = name.into();
    Resolver::new(format!("header {name}"), move |parts| {
        let Some(value) = only_header(parts, &name)? else { return Ok(None) };
        TenantId::from_header_value(value).map(Some)
    })
}

/// The one value of a header that must not be sent twice.
pub(super) fn only_header<'a>(parts: &Parts<'a>, name: &str) -> Result<Option<&'a str>, TenantError> {
    match parts.header_values(name)[..] {
        [] => Ok(None),
        [value] => std::str::from_utf8(value).map(Some).map_err(|_| TenantError::Malformed),
        [..] => Err(source(format!("the header {name} was sent more than once"))),
    }
}

/// The tenant that another service of yours put into the request, as [`Context::inject`](crate::Context::inject) does.
/// **A hint** wherever anyone else can send requests.
pub fn baggage() -> Resolver {
    Resolver::new("baggage", |parts| Ok(Context::extract(parts).tenant().cloned()))
}

/// The label before `domain` in the host: `acme` of `acme.example.com:8080`, in lower case. **A hint.**
///
/// The domain itself and other hosts name no tenant; more labels than one (`a.b.example.com`) are invalid.
pub fn subdomain(domain: impl Into<String>) -> Resolver {
    let domain = domain.into().to_ascii_lowercase();
    Resolver::new(format!("subdomain of {domain}"), move |parts| {
        only_header(parts, "host")?;
        let Some(host) = parts.host() else { return Ok(None) };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match host.strip_suffix(&domain).and_then(|label| label.strip_suffix('.')) {
            Some(label) if label.contains('.') => Err(source(format!("the host has several labels before {domain}"))),
            Some(label) => TenantId::try_from(label).map(Some),
            None => Ok(None),
        }
    })
}

/// The segment of the path at `index`, from 0: at 1, `acme` of `/tenants/acme/chat`. **A hint.**
///
/// It is percent-decoded after the path was split. No segment, or an empty one, names no tenant.
pub fn path_segment(index: usize) -> Resolver {
    Resolver::new(format!("path segment {index}"), move |parts| {
        match parts.path().trim_start_matches('/').split('/').nth(index) {
            None | Some("") => Ok(None),
            Some(segment) => TenantId::from_header_value(segment).map(Some),
        }
    })
}

/// Whatever `find` says. As trustworthy as what it looks at.
///
/// ```
/// use tracium::TenantId;
/// use tracium::tenant::{self, Parts};
///
/// let by_port = tenant::from_fn(|parts| {
///     let port: Option<u16> = parts.extension(|address: &std::net::SocketAddr| address.port());
///     port.map(|port| TenantId::try_from(format!("port-{port}"))).transpose()
/// });
/// # let address: std::net::SocketAddr = ([127, 0, 0, 1], 9).into();
/// # let request = http::Request::builder().extension(address).body(()).unwrap();
/// # assert_eq!(by_port.find(&Parts::of(&request)).unwrap().unwrap(), "port-9");
/// ```
pub fn from_fn(find: impl Fn(&Parts<'_>) -> Found + Send + Sync + 'static) -> Resolver {
    Resolver::new("function", find)
}

/// Always `tenant`: for the end of a chain, or a service with one tenant.
pub fn fixed(tenant: TenantId) -> Resolver {
    Resolver::new(format!("fixed {tenant}"), move |_| Ok(Some(tenant.clone())))
}

pub(super) fn source(message: String) -> TenantError {
    TenantError::Source { message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(resolver: &Resolver, request: http::request::Builder) -> Result<Option<String>, TenantError> {
        let request = request.body(()).unwrap();
        Ok(resolver.find(&Parts::of(&request))?.map(|tenant| tenant.to_string()))
    }

    fn get(uri: &str) -> http::request::Builder {
        http::Request::builder().uri(uri)
    }

    #[test]
    fn a_header_names_the_tenant_whole_and_decoded_or_is_refused() {
        let header = header("X-Tenant-Id");
        let with = |value: &[u8]| {
            let value = http::HeaderValue::from_bytes(value).unwrap();
            found(&header, get("/").header("x-tenant-id", value))
        };
        assert_eq!(with(b"acme"), Ok(Some("acme".into())));
        assert_eq!(with(b"Z%C3%BCrich 50%25"), Ok(Some("Zürich 50%".into())));
        assert_eq!(with("Zürich".as_bytes()), Ok(Some("Zürich".into())));
        assert_eq!(found(&header, get("/")), Ok(None));
        assert_eq!(with(b""), Err(TenantError::Empty));
        assert_eq!(with(b"50%"), Err(TenantError::Malformed));
        assert_eq!(with(b"\xff\xfe"), Err(TenantError::Malformed));
        assert!(matches!(with(b"a%0d%0aset-cookie: b"), Err(TenantError::ControlCharacter { .. })));
        assert_eq!(with(&[b'a'; 10_000]), Err(TenantError::TooLong { chars: 10_000 }));
    }

    #[test]
    fn a_header_that_was_sent_twice_names_nobody_even_with_one_value() {
        for (first, second) in [("acme", "globex"), ("acme", "acme")] {
            let error =
                found(&header("x-tenant"), get("/").header("x-tenant", first).header("x-tenant", second)).unwrap_err();
            assert!(error.to_string().contains("more than once"), "{error}");
        }
    }

    #[test]
    fn a_subdomain_is_one_label_before_the_known_domain() {
        let resolver = subdomain("Example.com");
        let host = |host: &str| found(&resolver, get("/").header("host", host));
        assert_eq!(host("acme.example.com"), Ok(Some("acme".into())));
        assert_eq!(host("ACME.example.COM.:8080"), Ok(Some("acme".into())));
        for other in ["example.com", "acme.example.org", "notexample.com", "127.0.0.1:80", "[::1]:80"] {
            assert_eq!(host(other), Ok(None), "{other}");
        }
        assert!(host("a.b.example.com").is_err());
        assert_eq!(host(".example.com"), Err(TenantError::Empty));
        assert_eq!(found(&resolver, get("http://acme.example.com/").header("host", "globex.example.com")), {
            Ok(Some("acme".into()))
        });
        let twice = get("/").header("host", "acme.example.com").header("host", "globex.example.com");
        assert!(found(&resolver, twice).is_err());
    }

    #[test]
    fn a_path_segment_is_split_before_it_is_decoded() {
        let resolver = path_segment(1);
        assert_eq!(found(&resolver, get("/tenants/acme/chat?x=1")), Ok(Some("acme".into())));
        assert_eq!(found(&resolver, get("/tenants/a%2Fb")), Ok(Some("a/b".into())));
        assert_eq!(found(&resolver, get("/tenants")), Ok(None));
        assert_eq!(found(&resolver, get("/tenants/")), Ok(None));
        assert!(found(&resolver, get("/tenants/a%00b")).is_err());
    }

    #[test]
    fn the_next_place_is_asked_after_nothing_and_not_after_something_wrong() {
        let chain = header("x-first").or(header("x-second")).or(fixed(TenantId::try_from("rest").unwrap()));
        assert_eq!(found(&chain, get("/").header("x-second", "b")), Ok(Some("b".into())));
        assert_eq!(found(&chain, get("/")), Ok(Some("rest".into())));
        assert_eq!(found(&chain, get("/").header("x-first", "").header("x-second", "b")), Err(TenantError::Empty));
        assert_eq!(format!("{chain:?}"), r#"["header x-first", "header x-second", "fixed rest"]"#);
    }
}
