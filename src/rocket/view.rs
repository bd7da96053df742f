use std::any::Any;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Extensions;
use rocket::Request;

/// What resolvers see of a request, whose type is invariant in its lifetime.
pub(crate) trait View {
    fn method_name(&self) -> &str;
    fn path(&self) -> &str;
    fn host_name(&self) -> Option<&str>;
    fn header_values(&self, name: &str) -> Vec<&[u8]>;
    fn attached(&self) -> MutexGuard<'_, Extensions>;
}

impl View for Request<'_> {
    fn method_name(&self) -> &str {
        self.method().as_str()
    }

    fn path(&self) -> &str {
        self.uri().path().as_str()
    }

    fn host_name(&self) -> Option<&str> {
        self.host().map(|host| host.domain().as_str())
    }

    fn header_values(&self, name: &str) -> Vec<&[u8]> {
        self.headers().get(name).map(str::as_bytes).collect()
    }

    fn attached(&self) -> MutexGuard<'_, Extensions> {
        struct Attached(Mutex<Extensions>);
        let Attached(extensions) = self.local_cache(|| Attached(Mutex::default()));
        extensions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Attaches `value` to the request, for [`tenant::extension`](crate::tenant::extension) to find: Rocket's local cache
/// cannot be asked whether something is in it. Call it where the caller is authenticated, in a fairing's `on_request`.
///
/// A value of the same type is replaced.
pub fn attach<T: Any + Clone + Send + Sync>(request: &Request<'_>, value: T) {
    request.attached().insert(value);
}
