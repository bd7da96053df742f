//! `tenant_scope(from = ..)`: what names a tenant, and what happens where nothing does.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tracium::{ResolveTenant, TenantError, TenantId, set_tenant};

use crate::support::{Rule, assert_here, here, pause, poll, run, tenant, under};

pub(crate) const RULES: &[Rule] = rules![
    from_takes_a_tenant_in_any_form,
    without_a_tenant_the_call_runs_with_none_and_never_with_the_callers,
    without_a_tenant_reject_returns_the_error_and_runs_nothing,
    without_a_tenant_anonymous_is_the_tenant,
    an_invalid_id_takes_the_road_of_a_missing_one,
    an_error_in_the_tenants_place_takes_the_road_of_a_missing_one,
    from_borrows_its_argument_and_is_evaluated_once_before_the_body,
    from_of_an_async_function_is_evaluated_at_the_first_poll,
    a_tenant_scope_holds_on_every_shape_of_function,
    a_tenant_scope_in_another_ones_is_its_own,
    a_bound_tenant_cannot_be_changed_in_the_body,
];

type Here = Option<String>;

#[tracium::tenant_scope(from = tenant)]
fn of<T: ResolveTenant>(tenant: T) -> Here {
    here()
}

#[test]
fn from_takes_a_tenant_in_any_form() {
    assert_eq!(of("acme").as_deref(), Some("acme"));
    assert_eq!(of(String::from("acme")).as_deref(), Some("acme"));
    assert_eq!(of(tenant("acme")).as_deref(), Some("acme"));
    let id = tenant("acme");
    assert_eq!(of(&id).as_deref(), Some(id.as_str()));
    assert_eq!(of(Some("acme")).as_deref(), Some("acme"));
    assert_eq!(of(Some(&tenant("acme"))).as_deref(), Some("acme"));
    assert_eq!(of(Ok::<_, TenantError>("acme")).as_deref(), Some("acme"));
    assert_eq!(of(Ok::<_, std::fmt::Error>(Some("acme"))).as_deref(), Some("acme"));
    assert_eq!(of(Arc::<str>::from("acme")).as_deref(), Some("acme"));
    assert_eq!(of(Rc::new(Some(String::from("acme")))).as_deref(), Some("acme"));
    assert_here(None);
}

#[tracium::tenant_scope(from = tenant, missing = none)]
async fn or_none(tenant: Option<&str>) -> Here {
    pause().await;
    here()
}

#[test]
fn without_a_tenant_the_call_runs_with_none_and_never_with_the_callers() {
    run(under("globex").scope(async {
        assert_eq!(of(None::<&str>), None);
        assert_eq!(or_none(None).await, None);
        assert_eq!(or_none(Some("acme")).await.as_deref(), Some("acme"));
        assert_here("globex");
    }));
}

/// An error of the application's own.
#[derive(Debug, PartialEq)]
enum Refused {
    Tenant(TenantError),
}

impl From<TenantError> for Refused {
    fn from(error: TenantError) -> Self {
        Self::Tenant(error)
    }
}

static RAN: AtomicUsize = AtomicUsize::new(0);

#[tracium::tenant_scope(from = tenant, missing = reject)]
async fn or_reject(tenant: Option<&str>) -> Result<Here, Refused> {
    RAN.fetch_add(1, Ordering::Relaxed);
    pause().await;
    Ok(here())
}

#[tracium::tenant_scope(from = tenant, missing = reject)]
fn or_reject_at_once(tenant: Result<&str, std::fmt::Error>) -> Result<Here, Box<dyn std::error::Error>> {
    RAN.fetch_add(1, Ordering::Relaxed);
    Ok(here())
}

#[tracium::tenant_scope(from = tenant, missing = reject)]
async fn or_reject_any(tenant: Option<String>) -> anyhow::Result<Here> {
    pause().await;
    Ok(here())
}

#[test]
fn without_a_tenant_reject_returns_the_error_and_runs_nothing() {
    run(under("globex").scope(async {
        let before = RAN.load(Ordering::Relaxed);
        assert_eq!(or_reject(None).await, Err(Refused::Tenant(TenantError::Missing)));
        assert!(or_reject_at_once(Err(std::fmt::Error)).is_err());
        let error = or_reject_any(None).await.unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&TenantError::Missing));
        assert_eq!(RAN.load(Ordering::Relaxed), before);
        assert_here("globex");

        assert_eq!(or_reject(Some("acme")).await.unwrap().as_deref(), Some("acme"));
        assert_eq!(or_reject_at_once(Ok("acme")).unwrap().as_deref(), Some("acme"));
        assert_eq!(or_reject_any(Some("acme".into())).await.unwrap().as_deref(), Some("acme"));
        assert_eq!(RAN.load(Ordering::Relaxed), before + 2);
    }));
}

#[tracium::tenant_scope(from = tenant, missing = "anonymous")]
fn or_anonymous(tenant: Option<&str>) -> Here {
    here()
}

#[test]
fn without_a_tenant_anonymous_is_the_tenant() {
    assert_eq!(or_anonymous(None).as_deref(), Some("anonymous"));
    assert_eq!(or_anonymous(Some("acme")).as_deref(), Some("acme"));
    under("globex").run(|| {
        assert_eq!(or_anonymous(None).as_deref(), Some("anonymous"));
        assert_here("globex");
    });
}

#[test]
fn an_invalid_id_takes_the_road_of_a_missing_one() {
    run(under("globex").scope(async {
        for invalid in ["", "a\nb", "\u{7f}", &"a".repeat(256)] {
            assert_eq!(of(invalid), None);
            assert_eq!(or_none(Some(invalid)).await, None);
            assert_eq!(or_anonymous(Some(invalid)).as_deref(), Some("anonymous"));
            let Err(Refused::Tenant(error)) = or_reject(Some(invalid)).await else { panic!("{invalid:?} passed") };
            assert_eq!(error, TenantId::try_from(invalid).unwrap_err());
            assert_here("globex");
        }
    }));
}

#[test]
fn an_error_in_the_tenants_place_takes_the_road_of_a_missing_one() {
    let expired = Err::<&str, _>(anyhow::anyhow!("the token expired"));
    under("globex").run(|| {
        assert_eq!(of(expired), None);
        let error = or_reject_at_once(Err(std::fmt::Error)).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(TenantError::Source { .. })), "{error}");
        assert!(error.to_string().contains(&std::fmt::Error.to_string()), "{error}");
    });
}

/// Names a tenant, and counts how often it is asked.
struct Asked<'a>(&'a Cell<usize>);

impl ResolveTenant for Asked<'_> {
    fn resolve_tenant(&self) -> Result<Option<TenantId>, TenantError> {
        self.0.set(self.0.get() + 1);
        Ok(Some(tenant("acme")))
    }
}

struct Request<'a> {
    user: Asked<'a>,
}

#[tracium::tenant_scope(from = request.user)]
fn asked(request: Request<'_>, before: usize) -> Asked<'_> {
    assert_eq!(request.user.0.get(), before + 1);
    assert_here("acme");
    request.user
}

#[tracium::tenant_scope(from = request.user)]
async fn asked_later(request: Request<'_>) {
    let asked = request.user.0.get();
    pause().await;
    assert_eq!(request.user.0.get(), asked);
    assert_here("acme");
}

#[test]
fn from_borrows_its_argument_and_is_evaluated_once_before_the_body() {
    let count = Cell::new(0);
    let request = Request { user: asked(Request { user: Asked(&count) }, 0) };
    assert_eq!(asked(request, 1).0.get(), 2);
}

#[test]
fn from_of_an_async_function_is_evaluated_at_the_first_poll() {
    let count = Cell::new(0);
    let mut future = Box::pin(asked_later(Request { user: Asked(&count) }));
    assert_eq!(count.get(), 0);
    assert!(under("globex").run(|| poll(future.as_mut())).is_pending());
    assert_eq!(count.get(), 1);
    assert!(poll(future.as_mut()).is_ready());
    assert_eq!(count.get(), 1);
}

struct Service {
    tenant: TenantId,
}

#[async_trait]
trait Answers {
    async fn answer(&self, tenant: Option<&str>) -> Here;

    #[tracium::tenant_scope(from = tenant)]
    async fn answer_by_default(&self, tenant: &str) -> Here {
        pause().await;
        here()
    }
}

#[async_trait]
impl Answers for Service {
    #[tracium::tenant_scope(from = tenant)]
    async fn answer(&self, tenant: Option<&str>) -> Here {
        pause().await;
        assert_eq!(here().as_deref(), tenant);
        here()
    }
}

impl Service {
    #[tracium::tenant_scope(from = self.tenant)]
    fn method(&self) -> Here {
        here()
    }

    #[tracium::tenant_scope(from = self.tenant)]
    async fn method_later(&mut self) -> Here {
        pause().await;
        here()
    }

    #[tracium::tenant_scope(from = self.tenant)]
    async fn consumed(self) -> Here {
        pause().await;
        here()
    }
}

#[tracium::tenant_scope(from = tenant)]
fn returns_a_future(tenant: String) -> impl Future<Output = Here> {
    async move {
        pause().await;
        drop(tenant);
        here()
    }
}

#[tracium::tenant_scope(from = tenant)]
fn returns_a_box(tenant: &str) -> futures::future::BoxFuture<'_, Here> {
    Box::pin(async move {
        pause().await;
        assert_eq!(here().as_deref(), Some(tenant));
        here()
    })
}

/// An id type of the application's.
struct Id(&'static str);

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl ResolveTenant for Id {
    fn resolve_tenant(&self) -> Result<Option<TenantId>, TenantError> {
        TenantId::try_from(self.0).map(Some)
    }
}

#[tracium::tenant_scope(from = id)]
async fn generic_over<T: AsRef<str> + ResolveTenant>(id: T) -> Here {
    pause().await;
    assert_eq!(here().as_deref(), Some(id.as_ref()));
    here()
}

#[test]
fn a_tenant_scope_holds_on_every_shape_of_function() {
    run(under("globex").scope(async {
        let mut service = Service { tenant: tenant("acme") };
        let seen = [
            service.method(),
            service.method_later().await,
            service.answer(Some("acme")).await,
            service.answer_by_default("acme").await,
            service.consumed().await,
            returns_a_future("acme".into()).await,
            returns_a_box("acme").await,
            generic_over(Id("acme")).await,
        ];
        for (shape, seen) in seen.iter().enumerate() {
            assert_eq!(seen.as_deref(), Some("acme"), "shape {shape}");
            assert_here("globex");
        }
        let service: &dyn Answers = &Service { tenant: tenant("acme") };
        assert_eq!(service.answer(None).await, None);
        assert_here("globex");
    }));
}

#[tracium::tenant_scope(from = outer)]
fn nested(outer: &str, inner: Option<&str>) -> (Here, Here, Here) {
    (here(), of(inner), here())
}

#[test]
fn a_tenant_scope_in_another_ones_is_its_own() {
    let some = |id: &str| Some(id.to_owned());
    assert_eq!(nested("acme", Some("globex")), (some("acme"), some("globex"), some("acme")));
    assert_eq!(nested("acme", Some("acme")), (some("acme"), some("acme"), some("acme")));
    assert_eq!(nested("acme", None), (some("acme"), None, some("acme")));
}

#[tracium::tenant_scope(from = tenant)]
async fn binds_and_sets(tenant: Option<&str>, to: &str) -> Result<(), TenantError> {
    pause().await;
    set_tenant(to)
}

#[test]
fn a_bound_tenant_cannot_be_changed_in_the_body() {
    let conflict = TenantError::Conflict { current: tenant("acme") };
    run(async {
        assert_eq!(binds_and_sets(Some("acme"), "globex").await, Err(conflict));
        assert_eq!(binds_and_sets(Some("acme"), "acme").await, Ok(()));
        // Bound to none, it may be named.
        assert_eq!(binds_and_sets(None, "acme").await, Ok(()));
    });
}
