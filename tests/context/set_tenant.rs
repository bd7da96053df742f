//! `set_tenant` writes what the innermost scope owns.

use tracium::{Context, TenantError, current_tenant, set_tenant};

use crate::support::{Rule, assert_here, pause, run, tenant, under};

pub(crate) const RULES: &[Rule] = rules![
    outside_any_scope_is_no_scope,
    changing_a_tenant_is_a_conflict,
    a_tenant_may_be_set_and_cleared,
    what_is_set_in_a_scope_is_not_set_in_the_one_around_it,
    an_illegal_id_changes_nothing,
    a_tenant_is_named_by_an_id_in_any_form,
];

#[test]
fn outside_any_scope_is_no_scope() {
    for outside in [|| set_tenant("acme"), || set_tenant(None), || Context::unscoped(|| set_tenant("acme"))] {
        assert_eq!(outside(), Err(TenantError::NoScope));
        assert_here(None);
    }
    under("acme").run(|| assert_eq!(Context::unscoped(|| set_tenant("acme")), Err(TenantError::NoScope)));
    run(async { assert_eq!(set_tenant("acme"), Err(TenantError::NoScope)) });
    std::thread::spawn(|| assert_eq!(set_tenant("acme"), Err(TenantError::NoScope))).join().unwrap();

    let message = TenantError::NoScope.to_string();
    for instead in ["tenant_scope", "trace", "with_tenant"] {
        assert!(message.contains(instead), "{message}");
    }
}

#[tracium::tenant_scope(from = tenant)]
fn changes(tenant: &str, to: &str) -> Result<(), TenantError> {
    set_tenant(to)
}

#[test]
fn changing_a_tenant_is_a_conflict() {
    let conflict = TenantError::Conflict { current: tenant("acme") };
    Context::root().run(|| {
        set_tenant("acme").unwrap();
        assert_eq!(set_tenant("globex"), Err(conflict.clone()));
        assert_here("acme");
        set_tenant("acme").unwrap();
        // The one that is inherited holds as well.
        Context::current().run(|| assert_eq!(set_tenant("globex"), Err(conflict.clone())));
        tracium::start_span("tool", "search").run(|| assert_eq!(set_tenant("globex"), Err(conflict.clone())));
        assert_here("acme");
    });
    assert_eq!(changes("acme", "globex"), Err(conflict.clone()));
    assert_eq!(changes("acme", "acme"), Ok(()));
    run(under("acme").scope(async {
        pause().await;
        assert_eq!(set_tenant("globex"), Err(conflict.clone()));
        assert_here("acme");
    }));

    let message = conflict.to_string();
    for part in ["\"acme\"", "tenant_scope", "with_tenant"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_tenant_may_be_set_and_cleared() {
    run(Context::root().scope(async {
        for id in ["acme", "globex", "acme"] {
            set_tenant(id).unwrap();
            pause().await;
            assert_here(id);
            set_tenant(None).unwrap();
            pause().await;
            assert_here(None);
            set_tenant(None).unwrap();
        }
    }));
}

#[test]
fn what_is_set_in_a_scope_is_not_set_in_the_one_around_it() {
    under("acme").run(|| {
        tracium::start_span("tool", "search").run(|| {
            set_tenant(None).unwrap();
            set_tenant("globex").unwrap();
            Context::current().run(|| assert_here("globex"));
        });
        assert_here("acme");
        Context::root().run(|| set_tenant("initech").unwrap());
        assert_here("acme");
    });
    assert_here(None);
}

#[test]
fn an_illegal_id_changes_nothing() {
    let too_long = "a".repeat(256);
    under("acme").run(|| {
        for id in ["", "a\nb", &too_long] {
            let error = set_tenant(id).unwrap_err();
            assert!(!matches!(error, TenantError::Conflict { .. } | TenantError::NoScope), "{error}");
            assert_here("acme");
        }
    });
    // What is wrong with the id is told before where it would go.
    assert_eq!(set_tenant(""), Err(TenantError::Empty));
}

#[test]
fn a_tenant_is_named_by_an_id_in_any_form() {
    let id = tenant("acme");
    let text = String::from("acme");
    under("acme").run(|| {
        set_tenant(&id).unwrap();
        set_tenant(id.clone()).unwrap();
        set_tenant(Some(id.clone())).unwrap();
        set_tenant(&text).unwrap();
        set_tenant(text.clone()).unwrap();
        set_tenant(text.as_str()).unwrap();
        assert_eq!(current_tenant(), Some(id.clone()));
        assert_eq!(Context::current().tenant(), Some(&id));
    });
}
