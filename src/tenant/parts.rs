//! A request as resolvers see it, whatever the framework calls it.

use std::any::Any;
use std::fmt;

use crate::Extractor;

/// What a request says of itself before its body: path, host, headers, and what code before us attached to it.
///
/// Frameworks make it themselves; [`Parts::new`] is for others that have `http`'s types, and for tests.
#[derive(Clone, Copy)]
pub struct Parts<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Http {
        method: &'a http::Method,
        uri: &'a http::Uri,
        headers: &'a http::HeaderMap,
        extensions: &'a http::Extensions,
    },
    #[cfg(feature = "actix")]
    Actix(&'a actix_web::HttpRequest),
    #[cfg(feature = "rocket")]
    Rocket(&'a dyn crate::rocket::View),
}

impl<'a> Parts<'a> {
    /// The parts of a request of the crate `http`, 1.x.
    pub fn new(parts: &'a http::request::Parts) -> Self {
        Self(Source::Http {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            extensions: &parts.extensions,
        })
    }

    /// The parts of a whole request of the crate `http`, 1.x.
    pub fn of<B>(request: &'a http::Request<B>) -> Self {
        Self(Source::Http {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        })
    }

    #[cfg(feature = "actix")]
    pub(crate) fn of_actix(request: &'a actix_web::HttpRequest) -> Self {
        Self(Source::Actix(request))
    }

    #[cfg(feature = "rocket")]
    pub(crate) fn of_rocket(request: &'a dyn crate::rocket::View) -> Self {
        Self(Source::Rocket(request))
    }

    /// The method, such as `POST`.
    pub fn method(&self) -> &'a str {
        match self.0 {
            Source::Http { method, .. } => method.as_str(),
            #[cfg(feature = "actix")]
            Source::Actix(request) => request.method().as_str(),
            #[cfg(feature = "rocket")]
            Source::Rocket(request) => request.method_name(),
        }
    }

    /// The path as it was sent: not decoded, and without the query.
    pub fn path(&self) -> &'a str {
        match self.0 {
            Source::Http { uri, .. } => uri.path(),
            #[cfg(feature = "actix")]
            Source::Actix(request) => request.path(),
            #[cfg(feature = "rocket")]
            Source::Rocket(request) => request.path(),
        }
    }

    /// The host that the client asked for, without the port: of the request line (or HTTP/2's `:authority`), else of the
    /// one `Host` header. `None` without any, and where there are several. No `X-Forwarded-Host` is looked at.
    pub fn host(&self) -> Option<&'a str> {
        let of_uri = match self.0 {
            Source::Http { uri, .. } => uri.host(),
            #[cfg(feature = "actix")]
            Source::Actix(request) => request.uri().host(),
            #[cfg(feature = "rocket")]
            Source::Rocket(request) => request.host_name(),
        };
        of_uri.or_else(|| match self.header_values("host")[..] {
            [value] => std::str::from_utf8(value).ok().map(without_port),
            _ => None,
        })
    }

    /// All values of the header `name`, in the order they were sent.
    pub fn header_values(&self, name: &str) -> Vec<&'a [u8]> {
        match self.0 {
            Source::Http { headers, .. } => headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect(),
            #[cfg(feature = "actix")]
            Source::Actix(request) => {
                request.headers().get_all(name).map(actix_web::http::header::HeaderValue::as_bytes).collect()
            }
            #[cfg(feature = "rocket")]
            Source::Rocket(request) => request.header_values(name),
        }
    }

    /// Shows `look` what code before us attached to the request under the type `T`.
    pub fn extension<T: Any + Send + Sync, R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        match self.0 {
            Source::Http { extensions, .. } => extensions.get::<T>().map(look),
            #[cfg(feature = "actix")]
            Source::Actix(request) => actix_web::HttpMessage::extensions(request).get::<T>().map(look),
            #[cfg(feature = "rocket")]
            Source::Rocket(request) => request.attached().get::<T>().map(look),
        }
    }
}

impl Extractor for Parts<'_> {
    fn each_value(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.header_values(name).into_iter().for_each(each);
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

impl fmt::Debug for Parts<'_> {
    /// Without the headers, which have keys among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("method", &self.method()).field("path", &self.path()).finish_non_exhaustive()
    }
}
