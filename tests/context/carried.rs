//! Work that an annotated body spawns keeps its context by itself, wherever it is spelled as the attributes know it.

use std::pin::Pin;
use std::sync::OnceLock;

use tokio::task::{JoinHandle, JoinSet, LocalSet};
use tracium::{Context, set_tenant};

use crate::support::{Ends, Rule, assert_all, assert_here, here, pause, run, seen_over, under};

pub(crate) const RULES: &[Rule] = rules![
    every_known_call_carries_the_tenant,
    what_is_spawned_in_what_is_spawned_is_carried_too,
    calls_in_macros_of_expressions_are_carried,
    boxed_futures_and_function_pointers_are_carried,
    every_shape_of_function_carries,
    every_attribute_carries_once,
    propagate_false_leaves_spawned_work_alone,
    what_is_no_work_of_the_body_is_left_alone,
    what_only_looks_like_a_known_call_is_left_alone,
    the_callers_context_is_taken_when_the_call_is_made,
    what_was_spawned_and_never_ran_is_dropped_under_its_tenant,
    outside_any_scope_spawned_work_has_none_either,
    rayon_carries_and_runs_the_jobs_of_others_under_no_tenant,
];

type Seen = Option<String>;

fn is_acme(seen: &Seen) -> bool {
    seen.as_deref() == Some("acme")
}

#[test]
fn every_known_call_carries_the_tenant() {
    #[tracium::tenant_scope(from = "acme")]
    async fn body(mut given: JoinSet<Vec<Seen>>, borrowed: &mut JoinSet<Seen>) -> Vec<Seen> {
        let mut seen = tokio::spawn(seen_over(3)).await.unwrap();
        seen.extend(::tokio::task::spawn(seen_over(3)).await.unwrap());
        seen.push(tokio::task::spawn_blocking(here).await.unwrap());
        seen.extend(tokio::task::spawn_local(seen_over(3)).await.unwrap());
        seen.push(std::thread::spawn(|| here().or(None)).join().unwrap());
        let mut set = JoinSet::new();
        set.spawn(seen_over(3));
        set.spawn_local(async move { seen_over(1).await });
        set.spawn_blocking(|| vec![here()]);
        let mut typed: tokio::task::JoinSet<Seen> = std::iter::empty::<std::future::Ready<_>>().collect();
        typed.spawn(async { here() });
        given.spawn(seen_over(3));
        borrowed.spawn(async { here() });
        seen.extend(set.join_all().await.concat());
        seen.extend(given.join_all().await.concat());
        seen.extend(typed.join_all().await);
        seen
    }
    run(LocalSet::new().run_until(async {
        let mut borrowed = JoinSet::new();
        let seen = body(JoinSet::new(), &mut borrowed).await;
        assert_eq!(seen.len(), 4 + 4 + 1 + 4 + 1 + (4 + 2 + 1) + 1 + 4);
        assert_all(&seen, "acme");
        assert_all(&borrowed.join_all().await, "acme");
        assert_here(None);
    }));
}

#[test]
fn what_is_spawned_in_what_is_spawned_is_carried_too() {
    #[tracium::tenant_scope(from = "acme")]
    async fn body() -> Seen {
        let outer = tokio::spawn(async {
            let inner = tokio::spawn(async { tokio::task::spawn_blocking(|| std::thread::spawn(here).join()).await });
            inner.await.unwrap().unwrap().unwrap()
        });
        outer.await.unwrap()
    }
    assert!(is_acme(&run(body())));
}

#[test]
fn calls_in_macros_of_expressions_are_carried() {
    #[tracium::tenant_scope(from = "acme")]
    async fn body() -> Vec<Seen> {
        let (first, second) = tokio::join!(tokio::spawn(async { here() }), tokio::spawn(async { here() }));
        let tried = tokio::try_join!(tokio::spawn(async { here() }), tokio::task::spawn_blocking(here));
        let selected = tokio::select! {
            seen = tokio::spawn(async { here() }) => seen.unwrap(),
        };
        let mut seen = vec![first.unwrap(), second.unwrap(), selected];
        seen.extend(<[Seen; 2]>::from(tried.unwrap()));
        let mut more = vec![tokio::spawn(async { here() })];
        more.push(tokio::spawn(async { here() }));
        for handle in more {
            seen.push(handle.await.unwrap());
        }
        seen
    }
    assert_all(&run(body()), "acme");
}

#[test]
fn boxed_futures_and_function_pointers_are_carried() {
    #[tracium::tenant_scope(from = "acme")]
    async fn body(generic: impl Future<Output = Seen> + Send + 'static) -> Vec<Seen> {
        let boxed: Pin<Box<dyn Future<Output = Seen> + Send>> = Box::pin(async { here() });
        let pointer: fn() -> Seen = here;
        let work: Box<dyn FnOnce() -> Seen + Send> = Box::new(here);
        let handles: [JoinHandle<Seen>; 4] = [
            tokio::spawn(boxed),
            tokio::spawn(generic),
            tokio::task::spawn_blocking(pointer),
            tokio::task::spawn_blocking::<_, Seen>(work),
        ];
        let mut seen = Vec::new();
        for handle in handles {
            seen.push(handle.await.unwrap());
        }
        // What the closure returns is found out by what is done with it.
        let collected: std::thread::JoinHandle<Result<Vec<Seen>, Box<dyn std::error::Error + Send + Sync>>> =
            std::thread::spawn(|| {
                "1".parse::<u8>()?;
                Ok([here()].into_iter().collect())
            });
        seen.extend(collected.join().unwrap().unwrap());
        seen
    }
    assert_all(&run(body(async { here() })), "acme");
}

#[test]
fn every_shape_of_function_carries() {
    #[tracium::tenant_scope(from = "acme")]
    fn in_place() -> Seen {
        std::thread::spawn(here).join().unwrap()
    }
    #[tracium::tenant_scope(from = "acme")]
    #[tracium::trace(agent = "support-bot")]
    fn with_result() -> Result<Seen, String> {
        std::thread::spawn(here).join().map_err(|_| String::new())
    }
    #[tracium::tenant_scope(from = "acme")]
    fn boxed() -> Pin<Box<dyn Future<Output = Seen>>> {
        Box::pin(async { tokio::spawn(async { here() }).await.unwrap() })
    }
    struct Tools;
    #[tracium::tenant_scope(from = "acme")]
    impl Tools {
        async fn call(&self) -> Seen {
            tokio::spawn(async { here() }).await.unwrap()
        }
    }
    assert!(is_acme(&in_place()) && is_acme(&with_result().unwrap()));
    assert!(is_acme(&run(boxed())) && is_acme(&run(Tools.call())));
}

#[test]
fn every_attribute_carries_once() {
    fn depth<T>(_: &T) -> usize {
        std::any::type_name::<T>().matches("InContext").count()
    }
    mod tokio {
        /// Takes what it is given for what it is.
        pub(super) fn spawn<F>(future: F) -> F {
            future
        }
    }
    #[tracium::trace(agent = "support-bot")]
    #[tracium::span(kind = "tool")]
    #[tracium::tenant_scope(from = "acme")]
    fn stacked() -> usize {
        depth(&tokio::spawn(async {}))
    }
    #[tracium::trace(agent = "support-bot")]
    fn traced() -> usize {
        depth(&tokio::spawn(async {}))
    }
    #[tracium::span(kind = "tool")]
    fn spanned() -> usize {
        depth(&tokio::spawn(async {}))
    }
    assert_eq!([stacked(), traced(), spanned()], [1; 3]);
}

#[test]
fn propagate_false_leaves_spawned_work_alone() {
    #[tracium::tenant_scope(from = "acme", propagate = false)]
    async fn alone() -> Seen {
        tokio::spawn(async { here() }).await.unwrap()
    }
    #[tracium::trace(agent = "support-bot", propagate = false)]
    #[tracium::span]
    #[tracium::tenant_scope(from = "acme")]
    async fn above() -> Seen {
        tokio::spawn(async { here() }).await.unwrap()
    }
    #[tracium::trace(agent = "support-bot")]
    #[tracium::tenant_scope(from = "acme")]
    #[tracium::span(propagate = false)]
    async fn below() -> Seen {
        tokio::spawn(async { here() }).await.unwrap()
    }
    assert_eq!([run(alone()), run(above()), run(below())], [const { None }; 3]);
}

#[test]
fn what_is_no_work_of_the_body_is_left_alone() {
    static ONCE: OnceLock<Seen> = OnceLock::new();
    macro_rules! same {
        ($work:expr) => {
            $work
        };
    }
    #[tracium::tenant_scope(from = "acme")]
    fn body() -> [Seen; 3] {
        static LATER: std::sync::LazyLock<Seen> = std::sync::LazyLock::new(|| std::thread::spawn(here).join().unwrap());
        fn nested() -> Seen {
            std::thread::spawn(here).join().unwrap()
        }
        let shared = ONCE.get_or_init(|| std::thread::spawn(here).join().unwrap());
        assert_eq!(*LATER, None);
        [nested(), shared.clone(), same!(std::thread::spawn(here).join().unwrap())]
    }
    assert_eq!(body(), [const { None }; 3]);
}

#[test]
fn what_only_looks_like_a_known_call_is_left_alone() {
    mod tokio {
        pub(super) fn spawn(number: u8) -> u8 {
            number
        }
        pub(super) mod task {
            pub(in super::super) fn spawn(first: u8, second: u8) -> u8 {
                first + second
            }
            pub(in super::super) fn spawn_blocking(text: &str) -> usize {
                text.len()
            }
        }
    }
    mod my {
        pub(super) mod tokio {
            pub(in super::super) fn spawn(work: std::pin::Pin<Box<dyn Future<Output = ()>>>) -> bool {
                drop(work);
                true
            }
        }
    }
    struct Spawner;
    impl Spawner {
        fn spawn(&self, work: fn(&Self) -> u8) -> u8 {
            work(self)
        }
    }
    #[tracium::tenant_scope(from = "acme")]
    fn body() -> (u8, u8, usize, bool, u8) {
        let set = JoinSet::<()>::new();
        assert!(set.is_empty());
        let set = Spawner;
        (
            tokio::spawn(1),
            tokio::task::spawn(1, 2),
            tokio::task::spawn_blocking("abc"),
            my::tokio::spawn(Box::pin(async {})),
            set.spawn(|_| 4),
        )
    }
    assert_eq!(body(), (1, 3, 3, true, 4));
}

#[test]
fn the_callers_context_is_taken_when_the_call_is_made() {
    #[tracium::tenant_scope(from = "acme")]
    fn body() -> impl Fn() -> Seen {
        || std::thread::spawn(here).join().unwrap()
    }
    let later = body();
    assert_eq!(later(), None);
    assert_eq!(under("globex").run(later).as_deref(), Some("globex"));
}

#[test]
fn what_was_spawned_and_never_ran_is_dropped_under_its_tenant() {
    let ends = Ends::default();
    #[tracium::tenant_scope(from = "acme")]
    async fn body(ends: &Ends) {
        let (of_future, of_closure) = (ends.note(), ends.note());
        tokio::spawn(async move {
            pause().await;
            drop(of_future);
        })
        .abort();
        std::thread::spawn(move || drop(of_closure)).join().unwrap();
    }
    run(body(&ends));
    ends.assert("acme");
}

#[test]
fn outside_any_scope_spawned_work_has_none_either() {
    // Outside any trace, a span runs its function untouched.
    #[tracium::span(kind = "tool")]
    fn orphan() -> bool {
        std::thread::spawn(|| set_tenant("acme").is_err()).join().unwrap()
    }
    assert!(orphan());
    assert!(!Context::root().run(orphan));
}

/// A job of nobody's, which the next wait of this pool's thread runs.
fn others_job(seen: &std::sync::Arc<std::sync::Mutex<Vec<Seen>>>) {
    let seen = std::sync::Arc::clone(seen);
    rayon::spawn(move || seen.lock().unwrap().push(here()));
}

#[test]
fn rayon_carries_and_runs_the_jobs_of_others_under_no_tenant() {
    #[tracium::tenant_scope(from = "acme")]
    fn joined(others: &std::sync::Arc<std::sync::Mutex<Vec<Seen>>>) -> Vec<Seen> {
        let (left, right) = rayon::join(
            || {
                others_job(others);
                here()
            },
            here,
        );
        assert_here("acme");
        vec![left, right]
    }
    #[tracium::tenant_scope(from = "acme")]
    #[tracium::span(kind = "tool")]
    fn in_scope(others: &std::sync::Arc<std::sync::Mutex<Vec<Seen>>>) -> Vec<Seen> {
        let (sender, seen) = std::sync::mpsc::channel();
        let inner = sender.clone();
        rayon::scope(|scope| {
            sender.send(here()).unwrap();
            scope.spawn(move |scope| {
                inner.send(here()).unwrap();
                scope.spawn(move |_| inner.send(here()).unwrap());
            });
            others_job(others);
        });
        assert_here("acme");
        let spawned = sender.clone();
        rayon::spawn(move || spawned.send(here()).unwrap());
        drop(sender);
        // The pool has one thread, which is this one.
        while rayon::yield_now() == Some(rayon::Yield::Executed) {}
        seen.try_iter().collect()
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let others = std::sync::Arc::default();
    let seen = pool.install(|| joined(&others));
    assert_eq!(seen.len(), 2);
    assert_all(&seen, "acme");
    let seen = pool.install(|| in_scope(&others));
    assert_eq!(seen.len(), 4);
    assert_all(&seen, "acme");
    drop(pool);
    let others = others.lock().unwrap();
    assert_eq!(others.len(), 2);
    assert_all(&others, None);
}

#[cfg(feature = "rayon")]
#[test]
fn our_rayon_carries_and_runs_the_jobs_of_others_under_no_tenant() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let others = std::sync::Arc::default();
    let mut seen = pool.install(|| {
        under("acme").run(|| {
            let left = || {
                others_job(&others);
                here()
            };
            let (left, right) = tracium::rayon::join(left, here);
            assert_here("acme");
            vec![left, right]
        })
    });
    let (sender, more) = std::sync::mpsc::channel();
    pool.install(|| {
        under("acme").run(|| {
            let inner = sender.clone();
            tracium::rayon::scope(|scope| {
                sender.send(here()).unwrap();
                scope.spawn(move |scope| {
                    inner.send(here()).unwrap();
                    scope.spawn(move |_| inner.send(here()).unwrap());
                });
                others_job(&others);
            });
            tracium::rayon::spawn(move || sender.send(here()).unwrap());
        });
    });
    drop(pool);
    seen.extend(more.iter());
    assert_eq!(seen.len(), 6);
    assert_all(&seen, "acme");
    let others = others.lock().unwrap();
    assert_eq!(others.len(), 2);
    assert_all(&others, None);
}
