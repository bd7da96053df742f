//! A panic leaves every scope as its end would: the one around it holds again, and what is left is dropped in its own.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use futures::FutureExt;
use tracium::{Context, TenantError};

use crate::support::{Ends, NotesItsEnd, Rule, assert_here, here, pause, poll, run, under};

pub(crate) const RULES: &[Rule] = rules![
    a_panic_restores_the_scope_around_it,
    a_panic_in_a_future_restores_the_scope_around_it,
    what_a_panic_leaves_of_a_future_is_dropped_under_its_own_tenant,
    a_destructor_that_panics_restores_the_scope_around_it,
];

#[tracium::tenant_scope(from = tenant)]
fn panics_in_place(tenant: &str) {
    assert_eq!(here().as_deref(), Some(tenant));
    panic!("on purpose");
}

#[tracium::trace(agent = "worker", tenant = tenant)]
fn panics_with_a_result(tenant: &str) -> Result<(), TenantError> {
    assert_eq!(here().as_deref(), Some(tenant));
    panic!("on purpose");
}

#[tracium::tenant_scope(from = tenant)]
async fn panics_later(tenant: &str) {
    pause().await;
    assert_eq!(here().as_deref(), Some(tenant));
    panic!("on purpose");
}

#[test]
fn a_panic_restores_the_scope_around_it() {
    let works: [fn(); 5] = [
        || panics_in_place("acme"),
        || panics_with_a_result("acme").unwrap(),
        || under("acme").run(|| panic!("on purpose")),
        || under("acme").wrap(|| panic!("on purpose"))(),
        || tracium::start_trace("worker").tenant("acme").run(|| panic!("on purpose")),
    ];
    for work in works {
        assert!(catch_unwind(work).is_err());
        assert_here(None);
        under("globex").run(|| {
            assert!(catch_unwind(work).is_err());
            assert_here("globex");
        });
        assert_here(None);
    }
    let _ = catch_unwind(|| Context::unscoped(|| panic!("on purpose")));
    under("globex").run(|| {
        assert!(catch_unwind(|| Context::unscoped(|| panic!("on purpose"))).is_err());
        assert_here("globex");
    });
}

#[test]
fn a_panic_in_a_future_restores_the_scope_around_it() {
    let futures = || -> [Pin<Box<dyn Future<Output = ()>>>; 3] {
        let unannotated = || async {
            pause().await;
            assert_here("acme");
            panic!("on purpose");
        };
        [
            Box::pin(panics_later("acme")),
            Box::pin(under("acme").scope(unannotated())),
            Box::pin(tracium::start_trace("worker").tenant("acme").scope(unannotated())),
        ]
    };
    for future in futures() {
        run(under("globex").scope(async {
            assert!(AssertUnwindSafe(future).catch_unwind().await.is_err());
            assert_here("globex");
        }));
        assert_here(None);
    }
    for mut future in futures() {
        assert!(poll(future.as_mut()).is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| poll(future.as_mut()))).is_err());
        assert_here(None);
    }
}

#[test]
fn what_a_panic_leaves_of_a_future_is_dropped_under_its_own_tenant() {
    // Panics, and holds its note until it is dropped itself, as a `join!` does with its other futures.
    struct Panics(#[allow(dead_code)] NotesItsEnd);
    impl Future for Panics {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<()> {
            panic!("on purpose")
        }
    }
    let ends = Ends::default();
    let futures: [Pin<Box<dyn Future<Output = ()>>>; 2] = [
        Box::pin(under("acme").scope(Panics(ends.note()))),
        Box::pin(tracium::start_trace("worker").tenant("acme").scope(Panics(ends.note()))),
    ];
    for mut future in futures {
        under("globex").run(|| {
            assert!(catch_unwind(AssertUnwindSafe(|| poll(future.as_mut()))).is_err());
            assert_here("globex");
            drop(future);
            assert_here("globex");
        });
        ends.assert("acme");
    }
}

/// Panics where it is dropped, but not in the midst of another panic, which would end the process.
struct Bomb(#[allow(dead_code)] NotesItsEnd);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "on purpose");
    }
}

async fn armed(bomb: Bomb) {
    let _bomb = bomb;
    pending::<()>().await;
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

#[test]
fn a_destructor_that_panics_restores_the_scope_around_it() {
    let ends = Ends::default();
    let futures: [fn(Bomb) -> Work; 2] = [
        |bomb| Box::pin(under("acme").scope(armed(bomb))),
        |bomb| Box::pin(tracium::start_trace("worker").tenant("acme").scope(armed(bomb))),
    ];
    for future in futures {
        let mut future = future(Bomb(ends.note()));
        under("globex").run(|| {
            assert!(poll(future.as_mut()).is_pending());
            assert!(catch_unwind(AssertUnwindSafe(|| drop(future))).is_err());
            assert_here("globex");
        });
        ends.assert("acme");
        assert_here(None);
    }
}
