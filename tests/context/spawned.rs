//! Work that is started elsewhere: with our ways it keeps its tenant, with any other it has none.
//!
//! What starts work the plain way stands in functions without attributes, whose calls nothing rewrites.

use std::sync::mpsc;

use tracium::{Context, set_tenant};

use crate::support::{Rule, assert_all, assert_here, here, pause, run, seen_over, under};

pub(crate) const RULES: &[Rule] = rules![
    plain_thread_has_no_tenant,
    plain_tokio_spawn_has_no_tenant,
    plain_spawn_blocking_has_no_tenant,
    plain_spawn_local_has_no_tenant,
    a_thread_that_is_used_again_has_no_tenant_left,
    a_thread_snapshots_the_tenant,
    a_wrapped_closure_snapshots_the_tenant,
    no_tenant_is_snapshot_too,
    what_spawned_work_sets_stays_in_it,
    block_on_runs_its_future_under_the_tenant,
    block_on_clears_the_slot_for_the_tasks_that_it_drives,
    a_runtime_within_unscoped_drives_its_tasks_under_no_tenant,
    block_on_restores_the_tenant_after_a_panic,
    #[cfg(feature = "tokio")]
    spawned_work_snapshots_the_tenant,
    #[cfg(feature = "tokio")]
    spawned_blocking_work_snapshots_the_tenant,
    #[cfg(feature = "tokio")]
    locally_spawned_work_snapshots_the_tenant,
    #[cfg(feature = "tokio")]
    spawned_work_outlives_the_scope_that_spawned_it,
];

#[test]
fn plain_thread_has_no_tenant() {
    under("acme").run(|| std::thread::spawn(|| assert_here(None)).join().unwrap());
    under("acme").run(|| std::thread::scope(|scope| scope.spawn(|| assert_here(None)).join().unwrap()));
}

#[test]
fn plain_tokio_spawn_has_no_tenant() {
    run(under("acme").scope(async {
        let plain = tokio::spawn(seen_over(10));
        assert_all(&seen_over(10).await, "acme");
        assert_all(&plain.await.unwrap(), None);

        let mut set = tokio::task::JoinSet::new();
        set.spawn(seen_over(10));
        assert_all(&set.join_next().await.unwrap().unwrap(), None);
    }));
}

#[test]
fn plain_spawn_blocking_has_no_tenant() {
    run(under("acme").scope(async {
        tokio::task::spawn_blocking(|| assert_here(None)).await.unwrap();
    }));
}

#[test]
fn plain_spawn_local_has_no_tenant() {
    let local = tokio::task::LocalSet::new();
    run(local.run_until(under("acme").scope(async {
        assert_all(&tokio::task::spawn_local(seen_over(10)).await.unwrap(), None);
        assert_here("acme");
    })));
}

#[test]
fn a_thread_that_is_used_again_has_no_tenant_left() {
    type Job = Box<dyn FnOnce() + Send>;
    let (jobs, queue) = mpsc::channel::<Job>();
    let (seen, answers) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        for job in queue {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            seen.send(here()).unwrap();
        }
    });
    let jobs_of_ours: [Job; 3] = [
        Box::new(under("acme").wrap(|| assert_here("acme"))),
        Box::new(under("globex").wrap(|| panic!("on purpose"))),
        Box::new(|| assert_here(None)),
    ];
    for job in jobs_of_ours {
        jobs.send(job).unwrap();
        assert_eq!(answers.recv().unwrap(), None);
    }
    drop(jobs);
    worker.join().unwrap();
}

#[test]
fn a_thread_snapshots_the_tenant() {
    Context::root().run(|| {
        set_tenant("acme").unwrap();
        let (start, started) = mpsc::channel::<()>();
        let thread = tracium::thread::spawn(move || {
            started.recv().unwrap();
            here()
        });
        set_tenant(None).unwrap();
        set_tenant("globex").unwrap();
        start.send(()).unwrap();
        assert_eq!(thread.join().unwrap().as_deref(), Some("acme"));
        assert_here("globex");
    });
}

#[test]
fn a_wrapped_closure_snapshots_the_tenant() {
    let wrapped = Context::root().run(|| {
        set_tenant("acme").unwrap();
        let wrapped = Context::current().wrap(here);
        set_tenant(None).unwrap();
        wrapped
    });
    let seen = under("globex").run(|| std::thread::spawn(wrapped).join().unwrap());
    assert_eq!(seen.as_deref(), Some("acme"));
}

#[test]
fn no_tenant_is_snapshot_too() {
    let wrapped = Context::root().run(|| Context::current().wrap(here));
    let outside = Context::current().wrap(here);
    let scoped = Context::current().scope(seen_over(3));
    under("globex").run(|| {
        assert_eq!(wrapped(), None);
        assert_eq!(outside(), None);
    });
    run(under("globex").scope(async { assert_all(&scoped.await, None) }));
}

#[test]
fn what_spawned_work_sets_stays_in_it() {
    Context::root().run(|| {
        tracium::thread::spawn(|| set_tenant("acme").unwrap()).join().unwrap();
        assert_here(None);
        // What it inherits holds in it as well.
        set_tenant("globex").unwrap();
        assert!(tracium::thread::spawn(|| set_tenant("acme")).join().unwrap().is_err());
        tracium::thread::spawn(|| set_tenant(None).unwrap()).join().unwrap();
        assert_here("globex");
    });
}

#[test]
fn block_on_runs_its_future_under_the_tenant() {
    under("acme").run(|| {
        assert_all(&tracium::block_on(seen_over(10)), "acme");
        assert_here("acme");
    });
    assert_all(&tracium::block_on(seen_over(10)), None);
    assert_eq!(tracium::block_on(async { set_tenant("acme") }), Ok(()));
    assert_here(None);
}

/// A future that polls another one each time it is polled, as a runtime does between two polls of ours.
async fn driving(mut other: std::pin::Pin<Box<dyn Future<Output = Vec<Option<String>>>>>) -> Vec<Option<String>> {
    loop {
        if let std::task::Poll::Ready(seen) = Context::unscoped(|| crate::support::poll(other.as_mut())) {
            return seen;
        }
        pause().await;
    }
}

#[test]
fn block_on_clears_the_slot_for_the_tasks_that_it_drives() {
    under("acme").run(|| {
        assert_all(&tracium::block_on(driving(Box::pin(seen_over(10)))), None);
        // Without a runtime of ours around it, `block_on` has one with the feature `tokio`, which drives this task.
        #[cfg(feature = "tokio")]
        tracium::block_on(async {
            let plain = tokio::spawn(seen_over(10));
            assert_all(&seen_over(10).await, "acme");
            assert_all(&plain.await.unwrap(), None);
        });
        assert_here("acme");
    });
}

#[test]
fn a_runtime_within_unscoped_drives_its_tasks_under_no_tenant() {
    under("acme").run(|| {
        let ours = Context::current().scope(async {
            let plain = tokio::spawn(seen_over(10));
            assert_all(&seen_over(10).await, "acme");
            plain.await.unwrap()
        });
        assert_all(&Context::unscoped(|| run(ours)), None);
        assert_here("acme");
    });
}

#[test]
fn block_on_restores_the_tenant_after_a_panic() {
    under("acme").run(|| {
        let panics = || tracium::block_on(async { panic!("on purpose") });
        assert!(std::panic::catch_unwind(panics).is_err());
        assert_here("acme");
    });
}

#[cfg(feature = "tokio")]
#[test]
fn spawned_work_snapshots_the_tenant() {
    run(Context::root().scope(async {
        set_tenant("acme").unwrap();
        let ours = tracium::spawn(seen_over(10));
        set_tenant(None).unwrap();
        set_tenant("globex").unwrap();
        let theirs = tracium::spawn(seen_over(10));
        set_tenant(None).unwrap();
        let nobodys = tracium::spawn(seen_over(10));
        assert_all(&ours.await.unwrap(), "acme");
        assert_all(&theirs.await.unwrap(), "globex");
        assert_all(&nobodys.await.unwrap(), None);
    }));
}

#[cfg(feature = "tokio")]
#[test]
fn spawned_blocking_work_snapshots_the_tenant() {
    run(Context::root().scope(async {
        set_tenant("acme").unwrap();
        let ours = tracium::spawn_blocking(here);
        set_tenant(None).unwrap();
        assert_eq!(ours.await.unwrap().as_deref(), Some("acme"));
        // The pool's thread was given back without it.
        assert_eq!(tokio::task::spawn_blocking(here).await.unwrap(), None);
    }));
}

#[cfg(feature = "tokio")]
#[test]
fn locally_spawned_work_snapshots_the_tenant() {
    let local = tokio::task::LocalSet::new();
    run(local.run_until(Context::root().scope(async {
        set_tenant("acme").unwrap();
        let not_send = std::rc::Rc::new(());
        let ours = tracium::spawn_local(async move {
            let seen = seen_over(10).await;
            drop(not_send);
            seen
        });
        set_tenant(None).unwrap();
        set_tenant("globex").unwrap();
        assert_all(&seen_over(10).await, "globex");
        assert_all(&ours.await.unwrap(), "acme");
    })));
}

#[cfg(feature = "tokio")]
#[test]
fn spawned_work_outlives_the_scope_that_spawned_it() {
    // The lint is for async blocks, which the attribute makes of the body.
    #[allow(clippy::async_yields_async)]
    #[tracium::tenant_scope(from = tenant)]
    async fn leaves_behind(tenant: &str) -> tokio::task::JoinHandle<Vec<Option<String>>> {
        pause().await;
        tracium::spawn(seen_over(10))
    }
    run(async {
        let left = leaves_behind("acme").await;
        assert_here(None);
        assert_all(&under("globex").scope(left).await.unwrap(), "acme");
    });
}
