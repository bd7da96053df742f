//! `trace` and `tenant_scope` on one function work in either order, by whatever names they are known.

use std::future::ready;
use std::pin::Pin;

use tracium::testing::{RecordedStatus, Recorder};
use tracium::{TenantError, tenant_scope as bound, trace as t};

use crate::support::{assert_here, here, pause, run};

type Answer = Result<Option<String>, TenantError>;
type Form = (&'static str, fn(Option<&'static str>) -> Pin<Box<dyn Future<Output = Answer>>>);

#[tracium::span(kind = "tool")]
fn tool() {}

/// Functions of each shape with two attributes, and a list of them.
macro_rules! forms {
    ($tenant:ident; $($name:ident: #[$first:meta] #[$second:meta])*) => {
        mod at_once {
            use super::*;
            $(
                #[$first]
                #[$second]
                pub(super) fn $name($tenant: Option<&str>) -> Answer {
                    tool();
                    Ok(here())
                }
            )*
        }
        mod later {
            use super::*;
            $(
                #[$first]
                #[$second]
                pub(super) async fn $name($tenant: Option<&str>) -> Answer {
                    pause().await;
                    tool();
                    Ok(here())
                }
            )*
        }
        mod returned {
            use super::*;
            $(
                #[$first]
                #[$second]
                pub(super) fn $name($tenant: Option<&str>) -> impl Future<Output = Answer> {
                    async move {
                        pause().await;
                        tool();
                        assert_eq!(here().as_deref(), $tenant);
                        Ok(here())
                    }
                }
            )*
        }
        const FORMS: &[Form] = &[
            $(
                (concat!("fn: ", stringify!($name)), |tenant| Box::pin(ready(at_once::$name(tenant)))),
                (concat!("async fn: ", stringify!($name)), |tenant| Box::pin(later::$name(tenant))),
                (concat!("-> impl Future: ", stringify!($name)), |tenant| Box::pin(returned::$name(tenant))),
            )*
        ];
    };
}

forms! {
    tenant;
    trace_first: #[tracium::trace(agent = "bot")] #[tracium::tenant_scope(from = tenant, missing = reject)]
    tenant_first: #[tracium::tenant_scope(from = tenant, missing = reject)] #[tracium::trace(agent = "bot")]
    renamed_trace_first: #[t(agent = "bot")] #[tracium::tenant_scope(from = tenant, missing = reject)]
    tenant_before_renamed_trace: #[tracium::tenant_scope(from = tenant, missing = reject)] #[t(agent = "bot")]
    trace_before_renamed_tenant: #[tracium::trace(agent = "bot")] #[bound(from = tenant, missing = reject)]
    renamed_tenant_first: #[bound(from = tenant, missing = reject)] #[tracium::trace(agent = "bot")]
    both_renamed_trace_first: #[t(agent = "bot")] #[bound(from = tenant, missing = reject)]
    both_renamed_tenant_first: #[bound(from = tenant, missing = reject)] #[t(agent = "bot")]
}

#[test]
fn trace_and_tenant_scope_work_in_either_order() {
    for (form, call) in FORMS {
        let recorder = Recorder::install();
        assert_eq!(run(call(Some("acme"))).unwrap().as_deref(), Some("acme"), "{form}");
        let (traces, spans) = (recorder.traces(), recorder.spans());
        assert_eq!(traces.len(), 1, "{form}: {traces:#?}");
        assert_eq!(traces[0].tenant.as_ref().unwrap(), "acme", "{form}");
        assert_eq!(traces[0].status, RecordedStatus::Completed, "{form}");
        assert_eq!(spans.len(), 1, "{form}: {spans:#?}");
        assert_eq!(spans[0].tenant.as_ref().unwrap(), "acme", "{form}");
        assert_eq!((spans[0].trace_id, spans[0].parent_id), (traces[0].id, traces[0].root_id), "{form}");
        assert_here(None);
    }
}

#[test]
fn a_rejected_call_leaves_no_trace() {
    for (form, call) in FORMS {
        for rejected in [None, Some(""), Some("a\nb")] {
            let recorder = Recorder::install();
            assert!(run(call(rejected)).is_err(), "{form}");
            assert!(recorder.traces().is_empty(), "{form}: {:#?}", recorder.traces());
            assert!(recorder.spans().is_empty(), "{form}: {:#?}", recorder.spans());
            assert_here(None);
        }
    }
}

#[test]
fn either_order_gives_a_trace_of_its_own_within_one_of_another_tenant() {
    for (form, call) in FORMS {
        let recorder = Recorder::install();
        let outer = tracium::start_trace("outer").tenant("globex").scope(async { call(Some("acme")).await });
        assert_eq!(run(outer).unwrap().as_deref(), Some("acme"), "{form}");
        let (traces, spans) = (recorder.traces(), recorder.spans());
        assert_eq!(traces.len(), 2, "{form}: {traces:#?}\n{spans:#?}");
        assert_eq!(traces[0].tenant.as_ref().unwrap(), "globex", "{form}");
        assert_eq!((traces[1].agent.as_str(), traces[1].tenant.as_ref().unwrap().as_str()), ("bot", "acme"), "{form}");
        assert!(spans.iter().all(|span| span.trace_id == traces[1].id), "{form}: {spans:#?}");
    }
}

#[test]
fn either_order_is_a_span_within_a_trace_of_the_same_tenant() {
    for (form, call) in FORMS {
        let recorder = Recorder::install();
        let outer = tracium::start_trace("outer").tenant("acme").scope(async { call(Some("acme")).await });
        run(outer).unwrap();
        assert_eq!(recorder.traces().len(), 1, "{form}");
        let kinds: Vec<_> = recorder.spans().iter().map(|span| (span.kind.clone(), span.depth)).collect();
        assert_eq!(kinds, [("tool".to_owned(), 2), ("agent".to_owned(), 1)], "{form}");
    }
}

#[tracium::trace(agent = "goes-on")]
fn goes_on() -> Option<String> {
    assert!(later_rejected(None).is_err());
    tool();
    tracium::current_trace().set_summary("went on");
    here()
}

#[tracium::tenant_scope(from = tenant, missing = reject)]
fn later_rejected(tenant: Option<&str>) -> Result<(), TenantError> {
    unreachable!("it is rejected")
}

#[test]
fn a_rejected_call_of_another_function_leaves_the_trace_that_called_it() {
    let recorder = Recorder::install();
    goes_on();
    assert_eq!(recorder.spans().len(), 1);
    assert_eq!(recorder.traces().len(), 1, "the trace went on, and its spans belong to it");
}

#[tracium::tenant_scope(from = tenant)]
fn scoped(tenant: &str) -> Option<String> {
    tool();
    here()
}

#[tracium::trace(agent = "dispatcher")]
fn dispatches() {
    scoped("acme");
    scoped("globex");
    tool();
}

#[test]
fn a_trace_that_works_for_one_tenant_after_the_other_is_none_of_theirs() {
    let recorder = Recorder::install();
    dispatches();
    tracium::start_trace("dispatcher").run(|| {
        scoped("acme");
        scoped("globex");
        tool();
    });
    assert_eq!(recorder.traces().len(), 2);
    assert!(recorder.traces().iter().all(|trace| trace.tenant.is_none()));
    let tenants: Vec<_> = recorder.spans().into_iter().map(|span| span.tenant.map(|t| t.to_string())).collect();
    let each = [Some("acme".to_owned()), Some("globex".to_owned()), None];
    assert_eq!(tenants, [each.clone(), each].concat());
}

#[test]
fn content_of_one_tenant_is_never_recorded_on_a_trace_of_another() {
    let recorder = Recorder::install();
    tracium::start_trace("router").tenant("acme").run(|| {
        tracium::Context::current().with_tenant(tracium::TenantId::try_from("globex").unwrap()).run(|| {
            tracium::current_span().record_input("of globex");
            tracium::current_trace().record_output("of globex").add_tags(["globex"]);
            assert!(!tracium::current_span().is_recording());
        });
        tracium::current_trace().add_tags(["acme"]);
    });
    let trace = &recorder.traces()[0];
    assert_eq!((&trace.input, &trace.output), (&None, &None));
    assert_eq!(trace.tags, ["acme"]);
}

#[test]
fn conversions_of_the_users_may_record_themselves() {
    struct Model;
    impl From<Model> for String {
        fn from(_: Model) -> Self {
            tracium::current_span().add_tags(["converted"]);
            tracium::current_trace().add_tags(["converted"]);
            "m".to_owned()
        }
    }
    let recorder = Recorder::install();
    tracium::start_trace("bot").run(|| {
        tracium::current_span().set_model(Model);
        tracium::current_trace().set_model(Model);
    });
    assert_eq!(recorder.traces()[0].model.as_deref(), Some("m"));
}

/// A trace of its own tenant whose first act is the scope of another function.
#[tracium::trace(agent = "asks", capture(secret))]
#[tracium::tenant_scope(from = "acme")]
fn asks(secret: &str, first: fn() -> Option<String>) -> Option<String> {
    let _ = secret;
    first()
}

#[tracium::tenant_scope(from = "acme")]
#[tracium::trace(agent = "asks", capture(secret))]
fn asks_the_other_way_round(secret: &str, first: fn() -> Option<String>) -> Option<String> {
    let _ = secret;
    first()
}

#[tracium::trace(agent = "asks", tenant = "acme")]
fn asks_with_a_tenant(secret: &str, first: fn() -> Option<String>) -> Option<String> {
    tracium::current_span().record_input(secret);
    first()
}

#[tracium::trace(agent = "asks")]
fn asks_and_sets(secret: &str, first: fn() -> Option<String>) -> Option<String> {
    tracium::set_tenant("acme").unwrap();
    tracium::current_span().record_input(secret);
    first()
}

#[test]
fn a_trace_of_one_tenant_never_takes_the_name_of_a_scope_that_it_calls_first() {
    for call in [asks, asks_the_other_way_round, asks_with_a_tenant, asks_and_sets] {
        let recorder = Recorder::install();
        assert_eq!(call("of acme", || scoped("globex")).as_deref(), Some("globex"));
        let traces = recorder.traces();
        assert_eq!(traces[0].tenant.as_ref().unwrap(), "acme");
        assert!(traces[0].input.is_some());
        let span = &recorder.spans()[0];
        assert_eq!(span.tenant.as_ref().unwrap(), "globex");
        assert_ne!(span.trace_id, traces[0].id);
    }
}

#[test]
fn a_trace_that_has_recorded_something_is_not_named_by_the_scope_of_another_function() {
    let recorder = Recorder::install();
    tracium::start_trace("asks").run(|| {
        tracium::current_span().record_input("of nobody");
        scoped("globex");
    });
    assert_eq!(recorder.traces()[0].tenant, None);
    assert_eq!(recorder.spans()[0].tenant.as_ref().unwrap(), "globex");
}
