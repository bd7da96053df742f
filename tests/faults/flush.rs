//! Flush and shutdown, wherever they are called.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tracium::{Context, DropReason};

use crate::faults::{assert_all_arrived, at_rest, made, note_end, until, watch, work};
use crate::own_process::faults;
use crate::refusing::nobody;

/// Far more than a flush of 200 ms takes on the busiest machine, and less than what it must not wait for.
const LONG: Duration = Duration::from_secs(5);

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

faults! {
    /// Row 19: with a backend that is well, it is done; with a dead one, its deadline holds.
    fn a_flush_inside_a_runtime_is_done_by_its_deadline(with) {
        let server = with.serve(|_| None);
        let _guard = with.to(&server.url()).init().unwrap();
        let watch = watch();
        current_thread().block_on(async {
            work(3);
            assert!(tracium::flush(Duration::from_secs(30)).complete, "blocking, on the runtime's only thread");
            work(3);
            assert!(tracium::flush_async(Duration::from_secs(30)).await.complete);
        });
        let several = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        several.block_on(async {
            let task = tokio::spawn(async {
                work(3);
                tracium::block_on(async { work(1) });
                tracium::flush(Duration::from_secs(30)).complete
            });
            assert!(task.await.unwrap());
        });
        tracium::block_on(async {
            work(2);
            assert!(tracium::flush_async(Duration::from_secs(30)).await.complete, "it needs no runtime");
        });
        assert_all_arrived(with, &server);
        drop(watch);
    }

    /// Row 19.
    fn a_flush_inside_a_runtime_that_is_shutting_down_is_done(with) {
        struct Flushes;
        impl Drop for Flushes {
            fn drop(&mut self) {
                work(3);
                assert!(tracium::flush(Duration::from_secs(30)).complete);
                FLUSHED.store(true, Ordering::Relaxed);
            }
        }
        static FLUSHED: AtomicBool = AtomicBool::new(false);
        let server = with.serve(|_| None);
        let _guard = with.to(&server.url()).init().unwrap();
        let runtime = current_thread();
        runtime.spawn(async {
            let _flushes = Flushes;
            std::future::pending::<()>().await;
        });
        runtime.block_on(tokio::task::yield_now());
        drop(runtime);
        assert!(FLUSHED.load(Ordering::Relaxed));
        assert_all_arrived(with, &server);
    }

    /// Row 20.
    fn a_flush_with_a_full_queue_and_a_dead_server_returns_with_what_is_left(with) {
        let _guard = with.to(&format!("http://{}", nobody())).max_records(500).init().unwrap();
        let watch = watch();
        (0..100).for_each(|_| work(9));
        for inside in [false, true] {
            let before = Instant::now();
            let deadline = Duration::from_millis(200);
            let report =
                if inside { current_thread().block_on(tracium::flush_async(deadline)) } else { tracium::flush(deadline) };
            assert_eq!((report.complete, report.queued), (false, 500), "{report:?}");
            assert!(before.elapsed() < LONG, "{:?}", before.elapsed());
        }
        let before = Instant::now();
        let report = tracium::shutdown(Duration::from_millis(200));
        assert!(before.elapsed() < LONG, "{:?}", before.elapsed());
        assert_eq!((report.complete, report.queued), (false, 500), "{report:?}");
        let stats = at_rest();
        assert_eq!((stats.queued, stats.dropped_by(DropReason::QueueFull)), (0, 500), "{stats:?}");
        assert_eq!(stats.dropped_by(DropReason::Shutdown), 500, "{stats:?}");
        drop(watch);
    }

    /// Row 20: a server that answers nobody is no different, and neither are many who flush.
    fn many_flushes_of_what_hangs_return_each_at_its_deadline(with) {
        let server = with.serve(move |_| Some(with.answer(200).with(crate::server::Fault::Hang)));
        let _guard = with.to(&server.url()).request_timeout(Duration::from_secs(20)).init().unwrap();
        work(9);
        let before = Instant::now();
        thread::scope(|scope| {
            for wait in [0, 1, 50, 100, 200] {
                scope.spawn(move || {
                    let report = tracium::flush(Duration::from_millis(wait));
                    assert!(!report.complete && report.queued == 10, "{report:?}");
                });
            }
        });
        tracium::shutdown(Duration::from_millis(100));
        assert!(before.elapsed() < LONG, "{:?}", before.elapsed());
        assert_eq!(at_rest().dropped_by(DropReason::Shutdown), 10);
    }

    /// Row 20: the export thread itself is held up, by a hook of the user's.
    fn deadlines_hold_while_a_hook_holds_up_the_export_thread(with) {
        static GATE: Mutex<()> = Mutex::new(());
        let server = with.serve(|_| None);
        let builder = with.to(&server.url()).mask(|_, _| drop(GATE.lock()));
        let guard = builder.init().unwrap();
        let watch = watch();
        let held = GATE.lock().unwrap();
        tracium::start_trace("bot").run(|| {
            note_end(tracium::current_span().record_input("looked at").trace_id());
        });
        // Each of them while the hook waits for what is ours.
        let short = Duration::from_millis(100);
        assert!(!tracium::flush(short).complete);
        assert!(!tracium::block_on(tracium::flush_async(short)).complete, "where no runtime is");
        assert!(!current_thread().block_on(tracium::flush_async(short)).complete);
        assert_eq!(tracium::shutdown(short).queued, 1);
        drop(held);
        until(|| tracium::stats().queued == 0);
        let stats = at_rest();
        assert_eq!(stats.acknowledged + stats.dropped_by(DropReason::Shutdown), 1, "{stats:?}");
        drop((watch, guard));
    }

    /// Row 21.
    fn a_flush_among_emitters_takes_every_span_that_ended_before_it(with) {
        let server = with.serve(|_| None);
        let _guard = with.to(&server.url()).init().unwrap();
        let watch = watch();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        // Less than the export can take, in a build without optimization.
                        work(10);
                        thread::sleep(Duration::from_millis(10));
                    }
                });
            }
            for _ in 0..15 {
                work(3);
                let before = made();
                assert!(tracium::flush(Duration::from_secs(30)).complete);
                // A trace that was under way had some of its spans noted.
                let arrived = with.arrived(&server);
                for (id, trace) in before.0.iter().filter(|(_, trace)| trace.ended) {
                    for span in trace.spans.keys() {
                        assert!(arrived.0[id].spans.contains_key(span), "it ended before the flush");
                    }
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        assert_all_arrived(with, &server);
        drop(watch);
    }

    /// Row 22.
    fn what_ends_after_a_shutdown_is_counted_and_a_second_shutdown_does_nothing(with) {
        let server = with.serve(|_| None);
        let guard = with.to(&server.url()).init().unwrap();
        let watch = watch();
        work(3);
        let open = tracium::start_trace("bot").open();
        let span = open.context().run(|| tracium::start_span("plan", "late").open());
        assert!(tracium::shutdown(Duration::from_secs(30)).complete);
        let arrived = with.arrived(&server);
        span.end();
        open.end();
        work(3);
        let stats = at_rest();
        assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::Shutdown)), (4, 6), "{stats:?}");
        for _ in 0..2 {
            assert!(tracium::shutdown(Duration::from_secs(30)).complete);
        }
        assert!(tracium::flush(Duration::from_secs(30)).complete, "there is nothing to send");
        assert_eq!(with.arrived(&server), arrived);
        drop(guard);
        assert_eq!(at_rest().emitted, 10);
        drop(watch);
    }

    /// Row 23.
    fn a_guard_that_is_dropped_inside_async_code_flushes_and_does_not_panic(with) {
        let server = with.serve(|_| None);
        let guard = with.to(&server.url()).init().unwrap();
        current_thread().block_on(async move {
            Context::root().scope(async { work(3) }).await;
            drop(guard);
        });
        assert_eq!(at_rest().acknowledged, 4);
        assert_all_arrived(with, &server);
    }
}
