//! [rayon](https://docs.rs/rayon) that keeps the context.
//!
//! A thread that waits in rayon runs the jobs of others meanwhile. Under rayon's own `join` and `scope` those would run
//! under the tenant of whoever waits; under these they run under none, and only what is given here runs under the
//! context of the caller. In an annotated body, calls spelled `rayon::join`, `rayon::scope` and `rayon::spawn` do so by
//! themselves.
//!
//! Parallel iterators are not covered: their closures run under no tenant on other threads of the pool, and on the
//! caller's own thread under the caller's. Give each item its context with [`Context::run`].
//!
//! ```
//! use tracium::{Context, TenantId, current_tenant};
//!
//! let acme = Context::root().with_tenant(TenantId::try_from("acme")?);
//! let (left, right) = acme.run(|| tracium::rayon::join(current_tenant, current_tenant));
//! assert_eq!(left.unwrap(), "acme");
//! assert_eq!(right.unwrap(), "acme");
//! # Ok::<(), tracium::TenantError>(())
//! ```

use crate::Context;

/// [`rayon::join`], with both closures under the current context.
///
/// # Panics
/// As `rayon::join` does: where one of the closures panics.
pub fn join<A, B, RA, RB>(left: A, right: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    let context = Context::current();
    let (left, right) = (context.wrap(left), context.wrap(right));
    Context::unscoped(|| ::rayon::join(left, right))
}

/// [`rayon::spawn`], with the closure under the current context.
pub fn spawn(work: impl FnOnce() + Send + 'static) {
    ::rayon::spawn(Context::current().wrap(work));
}

/// [`rayon::scope`], with the closure and what it spawns under the current context.
///
/// ```
/// use tracium::{Context, TenantId, current_tenant};
///
/// let acme = Context::root().with_tenant(TenantId::try_from("acme")?);
/// let mut seen = [None, None];
/// let (first, second) = seen.split_at_mut(1);
/// acme.run(|| {
///     tracium::rayon::scope(|scope| {
///         scope.spawn(|_| first[0] = current_tenant());
///         second[0] = current_tenant();
///     });
/// });
/// assert!(seen.iter().flatten().all(|tenant| *tenant == "acme"));
/// # Ok::<(), tracium::TenantError>(())
/// ```
///
/// # Panics
/// As `rayon::scope` does: where a closure panics.
pub fn scope<'scope, R: Send>(work: impl FnOnce(&Scope<'_, 'scope>) -> R + Send) -> R {
    let context = Context::current();
    Context::unscoped(|| ::rayon::scope(|inner| context.run(|| work(&Scope { inner }))))
}

/// A [`rayon::Scope`] whose jobs keep their context; made by [`scope()`].
#[derive(Debug)]
pub struct Scope<'a, 'scope> {
    inner: &'a ::rayon::Scope<'scope>,
}

impl<'scope> Scope<'_, 'scope> {
    /// Spawns a job that ends before the scope does, under the context that is current here.
    pub fn spawn(&self, work: impl FnOnce(&Scope<'_, 'scope>) + Send + 'scope) {
        let context = Context::current();
        self.inner.spawn(move |inner| context.run(|| work(&Scope { inner })));
    }
}
