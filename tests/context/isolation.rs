//! The tenant of a scope stays in it: over every poll and drop.

use std::future::pending;
use std::pin::{Pin, pin};
use std::task::Poll;

use tracium::{Context, ContextExt, TenantError, set_tenant};

use crate::support::{Ends, NotesItsEnd, Rule, assert_all, assert_here, here, pause, poll, run, seen_over, under};

pub(crate) const RULES: &[Rule] = rules![
    tenant_does_not_leak_into_a_task_polled_between,
    tenant_of_an_annotated_future_does_not_leak_into_a_task_polled_between,
    two_futures_of_one_join_that_set_different_tenants_never_read_each_others,
    a_future_keeps_its_tenant_on_whatever_thread_it_is_polled,
    dropping_a_future_runs_its_destructors_under_its_own_tenant,
    what_a_future_leaves_at_its_end_is_dropped_under_its_own_tenant,
    a_future_that_was_never_polled_is_not_dropped_under_anothers_tenant,
    a_closure_that_was_never_called_is_dropped_under_its_own_tenant,
    aborting_a_task_runs_its_destructors_under_its_own_tenant,
    the_loser_of_a_select_is_dropped_under_its_own_tenant,
    no_tenant_shadows_the_tenant_outside,
    every_scope_ends_with_its_tenant,
    scopes_end_in_the_order_in_which_they_nest,
    a_scope_polled_outside_first_is_no_part_of_a_later_pollers,
];

#[test]
fn tenant_does_not_leak_into_a_task_polled_between() {
    run(async {
        let ours = tokio::spawn(under("acme").scope(seen_over(50)));
        let between = tokio::spawn(seen_over(50));
        let theirs = tokio::spawn(under("globex").scope(seen_over(50)));
        assert_all(&ours.await.unwrap(), "acme");
        assert_all(&between.await.unwrap(), None);
        assert_all(&theirs.await.unwrap(), "globex");
    });
    assert_here(None);
}

#[tracium::tenant_scope(from = tenant)]
async fn annotated(tenant: &str) -> Vec<Option<String>> {
    let mut seen = seen_over(10).await;
    seen.extend(inner().await);
    seen.extend(seen_over(10).await);
    seen
}

#[tracium::span(kind = "tool")]
async fn inner() -> Vec<Option<String>> {
    seen_over(10).await
}

#[test]
fn tenant_of_an_annotated_future_does_not_leak_into_a_task_polled_between() {
    let mut ours = pin!(annotated("acme"));
    let mut theirs = pin!(annotated("globex"));
    let mut between = pin!(seen_over(40));
    loop {
        let (ours, theirs, between) = (poll(ours.as_mut()), poll(theirs.as_mut()), poll(between.as_mut()));
        assert_here(None);
        if let Poll::Ready(seen) = ours {
            assert_all(&seen, "acme");
            let Poll::Ready(seen) = theirs else { panic!("they take as many polls") };
            assert_all(&seen, "globex");
            break;
        }
        if let Poll::Ready(seen) = between {
            assert_all(&seen, None);
        }
    }
}

#[tracium::trace(agent = "worker")]
async fn sets(id: &'static str) {
    assert_here(None);
    for _ in 0..10 {
        pause().await;
        assert_here(None);
    }
    set_tenant(id).unwrap();
    for _ in 0..50 {
        assert_here(id);
        pause().await;
        assert_here(id);
    }
}

async fn sets_unannotated(id: &'static str) {
    assert_here(None);
    pause().await;
    set_tenant(id).unwrap();
    for _ in 0..50 {
        assert_here(id);
        pause().await;
    }
    assert_here(id);
}

#[test]
fn two_futures_of_one_join_that_set_different_tenants_never_read_each_others() {
    run(async {
        tokio::join!(sets("acme"), sets("globex"));
        assert_here(None);
        futures::join!(
            sets_unannotated("acme").in_current_context(),
            sets_unannotated("globex").in_current_context(),
            sets("initech"),
        );
        assert_here(None);
        futures::future::join_all((0..20).map(|n| sets(["acme", "globex", "initech"][n % 3]))).await;
        assert_here(None);
    });
}

#[test]
fn a_future_keeps_its_tenant_on_whatever_thread_it_is_polled() {
    let mut future: Pin<Box<dyn Future<Output = Vec<_>> + Send>> = Box::pin(annotated("acme"));
    let mut turn = 0;
    let seen = loop {
        turn += 1;
        let other = under(if turn % 2 == 0 { "globex" } else { "initech" });
        let (polled, rest) = std::thread::spawn(move || {
            let polled = other.run(|| {
                let polled = poll(future.as_mut());
                assert_ne!(here().as_deref(), Some("acme"));
                polled
            });
            assert_here(None);
            (polled, future)
        })
        .join()
        .unwrap();
        future = rest;
        if let Poll::Ready(seen) = polled {
            break seen;
        }
    };
    assert_all(&seen, "acme");
}

#[tracium::tenant_scope(from = tenant)]
async fn holds_under(tenant: &str, note: NotesItsEnd) {
    holds(note).await;
}

async fn holds(note: NotesItsEnd) {
    let _held = note;
    pending::<()>().await;
}

#[tracium::trace(agent = "worker")]
async fn holds_and_sets(id: &str, note: NotesItsEnd) {
    set_tenant(None).unwrap();
    set_tenant(id).unwrap();
    holds_in_span(note).await;
}

#[tracium::span(kind = "tool")]
async fn holds_in_span(note: NotesItsEnd) {
    let _held = note;
    pending::<()>().await;
}

/// Each way to have a future of acme's that holds a note and never ends.
fn unfinished(ends: &Ends) -> Vec<Pin<Box<dyn Future<Output = ()> + Send>>> {
    let ours = under("acme");
    vec![
        Box::pin(ours.scope(holds(ends.note()))),
        Box::pin(ours.run(|| holds(ends.note()).in_current_context())),
        Box::pin(holds_under("acme", ends.note())),
        Box::pin(holds_and_sets("acme", ends.note())),
        Box::pin(tracium::start_trace("worker").tenant("acme").scope(holds(ends.note()))),
    ]
}

#[test]
fn dropping_a_future_runs_its_destructors_under_its_own_tenant() {
    let ends = Ends::default();
    for mut future in unfinished(&ends) {
        assert!(poll(future.as_mut()).is_pending());
        under("globex").run(|| {
            drop(future);
            assert_here("globex");
        });
        ends.assert("acme");
        assert_here(None);
    }
    for mut future in unfinished(&ends) {
        assert!(poll(future.as_mut()).is_pending());
        drop(future);
        ends.assert("acme");
        assert_here(None);
    }
}

#[test]
fn what_a_future_leaves_at_its_end_is_dropped_under_its_own_tenant() {
    /// Is ready at once, and holds its note until it is dropped itself.
    struct Ready(#[allow(dead_code)] NotesItsEnd);
    impl Future for Ready {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    let ends = Ends::default();
    let mut scoped = Box::pin(under("acme").scope(Ready(ends.note())));
    let mut traced = Box::pin(tracium::start_trace("worker").tenant("acme").scope(Ready(ends.note())));
    under("globex").run(|| {
        assert!(poll(scoped.as_mut()).is_ready());
        assert!(poll(traced.as_mut()).is_ready());
        drop((scoped, traced));
        assert_here("globex");
    });
    ends.assert("acme");
}

#[test]
fn a_future_that_was_never_polled_is_not_dropped_under_anothers_tenant() {
    let ends = Ends::default();
    let ours = under("acme");
    let (scoped, adapted) = (ours.scope(holds(ends.note())), ours.run(|| holds(ends.note()).in_current_context()));
    under("globex").run(|| drop((scoped, adapted)));
    ends.assert("acme");
    // This one would have opened its scope at the first poll.
    let traced = tracium::start_trace("worker").tenant("acme").scope(holds(ends.note()));
    under("globex").run(|| drop(traced));
    ends.assert(None);
}

#[test]
fn a_closure_that_was_never_called_is_dropped_under_its_own_tenant() {
    let ends = Ends::default();
    let note = ends.note();
    let wrapped = under("acme").wrap(move || drop(note));
    under("globex").run(|| {
        drop(wrapped);
        assert_here("globex");
    });
    ends.assert("acme");

    let note = ends.note();
    let wrapped = under("acme").wrap(move || drop(note));
    under("globex").run(wrapped);
    ends.assert("acme");
}

#[test]
fn aborting_a_task_runs_its_destructors_under_its_own_tenant() {
    run(async {
        let ends = Ends::default();
        for future in unfinished(&ends) {
            let task = tokio::spawn(future);
            tokio::task::yield_now().await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            ends.assert("acme");
        }
    });
}

#[test]
fn the_loser_of_a_select_is_dropped_under_its_own_tenant() {
    let ends = Ends::default();
    run(under("globex").scope(async {
        for future in unfinished(&ends) {
            tokio::select! {
                biased;
                () = future => unreachable!(),
                () = pause() => {}
            }
            ends.assert("acme");
            assert_here("globex");
        }
    }));
}

#[tracium::tenant_scope(from = tenant)]
fn shadowed(tenant: Option<&str>) -> Option<String> {
    here()
}

#[test]
fn no_tenant_shadows_the_tenant_outside() {
    under("acme").run(|| {
        assert_eq!(shadowed(None), None);
        assert_here("acme");
        Context::root().run(|| assert_here(None));
        Context::current().with_tenant(None).run(|| {
            assert_here(None);
            tracium::start_span("tool", "search").run(|| assert_here(None));
        });
        Context::unscoped(|| assert_here(None));
        tracium::start_trace("worker").tenant(None).run(|| assert_here(None));
        assert_here("acme");
        tracium::start_span("tool", "search").run(|| {
            set_tenant(None).unwrap();
            assert_here(None);
            Context::current().run(|| assert_here(None));
        });
        assert_here("acme");
    });
    run(under("acme").scope(async {
        assert_all(&Context::root().scope(seen_over(3)).await, None);
        assert_here("acme");
    }));
}

#[tracium::trace(agent = "worker")]
fn sets_in_a_trace(id: &'static str) {
    set_tenant(id).unwrap();
    assert_here(id);
}

#[tracium::span(kind = "tool")]
fn sets_in_a_span(id: &'static str) {
    set_tenant(id).unwrap();
    assert_here(id);
}

#[tracium::tenant_scope(from = None::<&str>)]
fn sets_in_a_tenant_scope(id: &'static str) -> Result<(), TenantError> {
    set_tenant(id)?;
    assert_here(id);
    Ok(())
}

#[test]
fn every_scope_ends_with_its_tenant() {
    let set = || {
        set_tenant("acme").unwrap();
        assert_here("acme");
    };
    Context::root().run(|| {
        sets_in_a_trace("acme");
        assert_here(None);
        sets_in_a_span("globex");
        assert_here(None);
        sets_in_a_tenant_scope("initech").unwrap();
        assert_here(None);
        Context::current().run(set);
        assert_here(None);
        Context::current().wrap(set)();
        assert_here(None);
        tracium::start_trace("worker").run(set);
        assert_here(None);
        tracium::start_span("tool", "search").run(set);
        assert_here(None);
        tracium::thread::spawn(set).join().unwrap();
        assert_here(None);
        tracium::block_on(async { set() });
        assert_here(None);
    });
    run(Context::root().scope(async {
        sets("acme").await;
        assert_here(None);
        async { set() }.in_current_context().await;
        assert_here(None);
        tracium::start_span("tool", "search").scope(async { set() }).await;
        assert_here(None);
    }));
}

#[test]
fn scopes_end_in_the_order_in_which_they_nest() {
    under("acme").run(|| {
        under("globex").run(|| {
            assert_eq!(shadowed(Some("initech")).as_deref(), Some("initech"));
            assert_here("globex");
            Context::unscoped(|| {
                assert_here(None);
                under("umbrella").run(|| assert_here("umbrella"));
                assert_here(None);
            });
            assert_here("globex");
        });
        assert_here("acme");
    });
    assert_here(None);
}

#[tracium::span(kind = "tool")]
async fn orphan() -> Vec<Option<String>> {
    seen_over(2).await
}

#[test]
fn a_scope_polled_outside_first_is_no_part_of_a_later_pollers() {
    let mut orphan = pin!(orphan());
    assert!(poll(orphan.as_mut()).is_pending());
    let seen = under("globex").run(|| {
        assert!(poll(orphan.as_mut()).is_pending());
        poll(orphan.as_mut())
    });
    let Poll::Ready(seen) = seen else { panic!("two pauses, three polls") };
    assert_all(&seen, None);
}
