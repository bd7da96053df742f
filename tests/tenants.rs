//! 20,000 concurrent tasks over 200 tenants: not one span or `current_tenant()` with another's tenant.
//!
//! Every task opens a trace, waits until all of them have, and then does its work in one of ten ways, checking its
//! tenant after every await. All that is recorded says in its metadata whose it is, by the code that opened it.
#![cfg(all(feature = "collect", feature = "tokio"))]

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::panic::set_hook;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use futures::future::BoxFuture;
use futures::stream::{self, Stream, StreamExt};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Barrier, Notify, mpsc as channel, oneshot};
use tokio::task::{JoinHandle, JoinSet, LocalSet, yield_now};
use tracium::testing::{RecordedStatus, Recorder};
use tracium::{Context, ContextExt, TenantId, current_tenant};

const TENANTS: usize = 200;
/// The ways in which a task works. Each tenant has as many tasks of each.
const WAYS: usize = 10;

/// How often a tenant was another than expected, and where that was first.
static MISMATCHES: AtomicUsize = AtomicUsize::new(0);
static FIRST: Mutex<Option<String>> = Mutex::new(None);
static CHECKS: AtomicUsize = AtomicUsize::new(0);

fn check(expected: Option<&str>, place: &str) {
    CHECKS.fetch_add(1, Ordering::Relaxed);
    let tenant = current_tenant();
    if tenant.as_ref().map(TenantId::as_str) != expected {
        MISMATCHES.fetch_add(1, Ordering::Relaxed);
        FIRST.lock().unwrap().get_or_insert_with(|| format!("{place}: {tenant:?} in place of {expected:?}"));
    }
}

/// Checks where it is dropped.
struct ChecksItsEnd(String);

impl Drop for ChecksItsEnd {
    fn drop(&mut self) {
        check(Some(&self.0), "destructor");
    }
}

/// A span that is open over some awaits.
#[tracium::span(kind = "tool", metadata(owner = tenant))]
async fn step(tenant: &str, awaits: usize) {
    check(Some(tenant), "step");
    for _ in 0..awaits {
        yield_now().await;
        check(Some(tenant), "step, later");
    }
}

#[tracium::span(kind = "tool", metadata(owner = tenant))]
fn step_at_once(tenant: &str) {
    check(Some(tenant), "step at once");
}

#[tracium::span(kind = "tool", metadata(owner = tenant))]
async fn never_ends(tenant: &str, started: Arc<Notify>) {
    let _checks = ChecksItsEnd(tenant.to_owned());
    yield_now().await;
    check(Some(tenant), "never ends");
    started.notify_one();
    pending::<()>().await;
}

#[tracium::span(kind = "tool", metadata(owner = tenant))]
async fn panics(tenant: &str) {
    let _checks = ChecksItsEnd(tenant.to_owned());
    yield_now().await;
    check(Some(tenant), "panics");
    panic!("of {tenant}");
}

type Items = Pin<Box<dyn Stream<Item = usize> + Send>>;
type Job = Box<dyn FnOnce() + Send>;

/// What all tasks of a runtime share.
struct Shared {
    all_open: Barrier,
    local: bool,
    /// A plain thread, which runs closures of all tenants.
    worker: mpsc::Sender<Job>,
    /// A task of a tenant of its own, which polls streams of all others side by side.
    poller: channel::UnboundedSender<(Items, oneshot::Sender<usize>)>,
}

impl Shared {
    fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        if self.local { tracium::spawn_local(work) } else { tracium::spawn(work) }
    }
}

/// One task's work. How many spans it records: [`SPANS`].
#[tracium::trace(agent = "stress", metadata(owner = tenant))]
#[tracium::tenant_scope(from = tenant, missing = reject)]
async fn work(tenant: &str, number: usize, shared: Arc<Shared>) -> Result<(), tracium::TenantError> {
    check(Some(tenant), "work");
    shared.all_open.wait().await;
    check(Some(tenant), "work, all open");
    by_way(tenant, number, &shared).await;
    check(Some(tenant), "work, at its end");
    step(tenant, 1).await;
    check(Some(tenant), "work, after its last step");
    Ok(())
}

/// The spans of each way, without the last step that all of them have.
const SPANS: [usize; WAYS] = [2, 4, 3, 1, 1, 1, 1, 3, 1, 2];

async fn by_way(tenant: &str, number: usize, shared: &Arc<Shared>) {
    let id = tenant.to_owned();
    match number / TENANTS % WAYS {
        0 => {
            let started = Arc::new(Notify::new());
            tokio::select! {
                () = never_ends(tenant, Arc::clone(&started)) => unreachable!(),
                () = async { started.notified().await; step(tenant, 3).await } => {}
            }
        }
        1 => {
            let steps = stream::iter(0..4).map(|n| step(tenant, n)).buffer_unordered(2);
            futures::pin_mut!(steps);
            while let Some(()) = steps.next().await {
                check(Some(tenant), "buffer_unordered");
            }
        }
        2 => {
            let mut set = JoinSet::new();
            for n in 0..3 {
                let id = id.clone();
                let work = async move { step(&id, n).await }.in_current_context();
                if shared.local {
                    set.spawn_local(work)
                } else {
                    set.spawn(work)
                };
            }
            while let Some(joined) = set.join_next().await {
                joined.unwrap();
                check(Some(tenant), "JoinSet");
            }
        }
        3 => {
            let started = Arc::new(Notify::new());
            let task = shared.spawn({
                let started = Arc::clone(&started);
                async move { never_ends(&id, started).await }
            });
            started.notified().await;
            check(Some(tenant), "before a cancellation");
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        4 => {
            let task = shared.spawn(async move { panics(&id).await });
            assert!(task.await.unwrap_err().is_panic());
        }
        5 => tracium::spawn_blocking(move || step_at_once(&id)).await.unwrap(),
        6 => {
            let (answer, answered) = oneshot::channel();
            let job = move || {
                step_at_once(&id);
                // The task waits for it.
                let _ = answer.send(());
            };
            if number.is_multiple_of(20) {
                drop(tracium::thread::spawn(job));
            } else {
                shared.worker.send(Box::new(Context::current().wrap(job))).unwrap();
            }
            answered.await.unwrap();
        }
        7 => {
            let items = stream::unfold((0, ChecksItsEnd(id)), |(n, checks)| async move {
                check(Some(&checks.0), "a stream polled elsewhere");
                if n == 3 {
                    return None;
                }
                step(&checks.0, n).await;
                Some((n, (n + 1, checks)))
            });
            let (answer, answered) = oneshot::channel();
            assert!(shared.poller.send((Box::pin(items.in_current_context()), answer)).is_ok());
            assert_eq!(answered.await.unwrap(), 3);
        }
        8 => {
            // Other tenants' work, on purpose: recorded as theirs, in traces of their own.
            let other = other_of(number);
            let theirs = Context::current().with_tenant(TenantId::try_from(other.as_str()).unwrap());
            theirs.scope(step(&other, 3)).await;
        }
        _ => {
            tokio::join!(step(tenant, 5), async {
                yield_now().await;
                check(Some(tenant), "join");
                let plain = async { check(None, "a plain task") };
                plainly(plain, shared.local).await;
                tracium::start_span("llm", "call").metadata("owner", tenant).scope(yield_now()).await;
            });
        }
    }
    check(Some(tenant), "by way");
}

/// Without an attribute, so that nothing gives the task a context.
fn plainly(work: impl Future<Output = ()> + Send + 'static, local: bool) -> BoxFuture<'static, ()> {
    let task = if local { tokio::task::spawn_local(work) } else { tokio::spawn(work) };
    Box::pin(async { task.await.unwrap() })
}

fn tenant_of(number: usize) -> String {
    format!("tenant-{}", number % TENANTS)
}

fn other_of(number: usize) -> String {
    tenant_of(number + 77)
}

/// Polls streams of everybody under a tenant that is nobody's.
async fn poll_streams(mut streams: channel::UnboundedReceiver<(Items, oneshot::Sender<usize>)>) {
    let mut polled = stream::FuturesUnordered::new();
    loop {
        tokio::select! {
            Some((items, answer)) = streams.recv() => polled.push(async move {
                let count = items.inspect(|_| check(Some("poller"), "the poller of a stream")).count().await;
                let _ = answer.send(count);
            }),
            Some(()) = polled.next() => check(Some("poller"), "the poller"),
            else => return,
        }
    }
}

/// A runtime whose threads tell at each rest, and at their end, that no tenant is left on them.
fn runtime(mut builder: Builder, threads: &'static AtomicUsize) -> Runtime {
    builder
        .max_blocking_threads(4)
        .on_thread_park(|| check(None, "a thread that rests"))
        .on_thread_stop(|| {
            check(None, "a thread at its end");
            threads.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .unwrap()
}

/// Runs tasks `0..count` together, by `start`.
async fn run_all(count: usize, local: bool) {
    let (worker, jobs) = mpsc::channel::<Job>();
    let thread = std::thread::spawn(move || {
        for job in jobs {
            check(None, "a plain thread");
            job();
            check(None, "a plain thread, after");
        }
    });
    let (poller, streams) = channel::unbounded_channel();
    let poller_of_all = Context::root().with_tenant(TenantId::try_from("poller").unwrap());
    let polling = tokio::spawn(poller_of_all.scope(poll_streams(streams)));

    let shared = Arc::new(Shared { all_open: Barrier::new(count), local, worker, poller });
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let shared = Arc::clone(&shared);
        if local {
            let not_send = Rc::new(tenant_of(number));
            tasks.spawn_local(async move { work(&Rc::clone(&not_send), number, shared).await });
        } else {
            tasks.spawn(async move { work(&tenant_of(number), number, shared).await });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
        check(None, "who waits for all");
    }
    drop(shared);
    polling.await.unwrap();
    thread.join().unwrap();
}

/// What each tenant is to have recorded: traces and spans.
fn expected(count: usize) -> BTreeMap<String, (usize, usize)> {
    let mut expected = BTreeMap::<_, (usize, usize)>::new();
    for number in 0..count {
        let way = number / TENANTS % WAYS;
        if way == 8 {
            let theirs = expected.entry(other_of(number)).or_default();
            theirs.0 += 1;
            theirs.1 += SPANS[way];
        }
        let ours = expected.entry(tenant_of(number)).or_default();
        ours.0 += 1;
        ours.1 += 1 + if way == 8 { 0 } else { SPANS[way] };
    }
    expected
}

fn owner(metadata: &[(String, serde_json::Value)]) -> Option<&str> {
    metadata.iter().find(|(key, _)| key == "owner").and_then(|(_, owner)| owner.as_str())
}

/// Compares all that was recorded with what each task was to record, and forgets it.
fn assert_recorded(recorder: &Recorder, count: usize, runtime: &str) {
    let mut counts = BTreeMap::<String, (usize, usize)>::new();
    let mut owners = HashMap::new();
    for trace in recorder.traces() {
        let tenant = trace.tenant.expect("every trace has a tenant").to_string();
        // A trace that another tenant's span opened has no more than its link.
        assert!(owner(&trace.metadata).is_none_or(|owner| owner == tenant), "{runtime}: {:?}", trace.metadata);
        assert_eq!(trace.status, RecordedStatus::Completed, "{runtime}: {:?}", trace.error);
        counts.entry(tenant.clone()).or_default().0 += 1;
        owners.insert(trace.id, tenant);
    }
    let mut failed = HashMap::<String, usize>::new();
    for span in recorder.spans() {
        let tenant = span.tenant.expect("every span has a tenant").to_string();
        assert_eq!(owner(&span.metadata), Some(tenant.as_str()), "{runtime}: {}", span.name);
        assert_eq!(owners[&span.trace_id], tenant, "{runtime}: {} is in another's trace", span.name);
        if span.status == RecordedStatus::Failed {
            let kind = span.error_type.unwrap();
            if kind == "panic" {
                assert_eq!(span.error, Some(format!("of {tenant}")), "{runtime}");
            }
            *failed.entry(kind).or_default() += 1;
        }
        counts.entry(tenant).or_default().1 += 1;
    }
    recorder.clear();
    assert_eq!(counts, expected(count), "{runtime}");
    let of_a_way = count / WAYS;
    assert_eq!(failed, HashMap::from([("cancelled".into(), 2 * of_a_way), ("panic".into(), of_a_way)]), "{runtime}");
}

#[test]
fn of_20_000_tasks_of_200_tenants_none_sees_anothers() {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    const MULTI_THREAD: usize = 12_000;
    const CURRENT_THREAD: usize = 4_000;
    const LOCAL_SET: usize = 4_000;

    set_hook(Box::new(|_| ()));
    let recorder = Recorder::install_global();
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(4);
    let multi_thread = runtime(builder, &THREADS);
    multi_thread.block_on(run_all(MULTI_THREAD, false));
    drop(multi_thread);
    check(None, "who runs a runtime");
    // Four workers, and those of the blocking pool that were needed.
    assert!(THREADS.load(Ordering::Relaxed) > 4);
    assert_recorded(&recorder, MULTI_THREAD, "multi-thread");

    runtime(Builder::new_current_thread(), &THREADS).block_on(run_all(CURRENT_THREAD, false));
    check(None, "who runs a runtime");
    assert_recorded(&recorder, CURRENT_THREAD, "current-thread");

    let local = LocalSet::new();
    local.block_on(&runtime(Builder::new_current_thread(), &THREADS), run_all(LOCAL_SET, true));
    check(None, "who runs a runtime");
    assert_recorded(&recorder, LOCAL_SET, "LocalSet");

    assert_eq!(*FIRST.lock().unwrap(), None);
    assert_eq!(MISMATCHES.load(Ordering::Relaxed), 0);
    // What checks nothing finds nothing.
    assert!(CHECKS.load(Ordering::Relaxed) > 10 * (MULTI_THREAD + CURRENT_THREAD + LOCAL_SET));
}
