//! Processes that are forked off without exec: Row 28.
#![allow(unsafe_code)] // There is no safe way to fork.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::faults::{Protocol, Traces, assert_all_arrived, at_rest, flush, made, note, note_end, until, work};
use crate::own_process::faults;

/// Forks; in the child, runs `work` and ends. What the child is called to whoever waits for it.
fn fork(work: impl FnOnce()) -> libc::pid_t {
    std::io::stdout().flush().unwrap();
    // SAFETY: the child calls nothing that needs what other threads held at that moment: neither libtest nor the server of
    // this process, and glibc's allocator is made fit for the child. It ends without running destructors of this process.
    match unsafe { libc::fork() } {
        0 => {
            let went_well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_ok();
            // SAFETY: it ends the process, and nothing else.
            unsafe { libc::_exit(i32::from(!went_well)) }
        }
        child => {
            assert!(child > 0, "{}", std::io::Error::last_os_error());
            child
        }
    }
}

/// Waits for the child; one that hangs is killed, and fails.
fn join(child: libc::pid_t) {
    let mut status = 0;
    let mut ended = false;
    for _ in 0..6_000 {
        // SAFETY: the status is ours, and outlives the call.
        ended = unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == child;
        if ended {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    if !ended {
        // SAFETY: it is a child of this process, which nobody has waited for.
        unsafe { libc::kill(child, libc::SIGKILL) };
    }
    assert!(ended, "the child hangs");
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status}");
}

/// What the child of a process has to itself: its own traces are marked by their number of spans.
const CHILDS: usize = 7;

/// Of all that arrived: what children made.
fn of_children(arrived: &Traces) -> usize {
    arrived.0.values().filter(|trace| trace.spans.len() == CHILDS && trace.ended).count()
}

/// Starts afresh in a child, sends its own, and checks its accounting.
fn child(traces: u64, init: Option<tracium::Builder>) {
    match init {
        Some(builder) => std::mem::forget(builder.init().unwrap()),
        // The first to ask for anything.
        None => assert_eq!(tracium::stats().emitted, 0, "the child starts empty"),
    }
    (0..traces).for_each(|_| work(CHILDS));
    let stats = flush();
    assert_eq!((stats.emitted, stats.acknowledged), (traces * (CHILDS as u64 + 1), stats.emitted), "{stats:?}");
    assert_eq!(stats.dropped, 0);
}

faults! {
    /// The child starts empty, sends nothing of its parent's and all of its own; both are exact.
    fn a_forked_child_starts_empty_and_sends_its_own(with) {
        let server = with.serve(|_| None);
        let _guard = with.to(&server.url()).init().unwrap();
        work(20);
        let open = tracium::start_trace("bot").open();
        let span = open.context().run(|| tracium::start_span("plan", "over the fork").open());
        note(&span, "over the fork");
        note_end(open.trace_id());
        // Nothing of it was sent yet; the child has a copy of it.
        let forked = fork(|| child(30, None));
        work(20);
        join(forked);
        span.end();
        open.end();
        let stats = flush();
        assert_eq!((stats.emitted, stats.acknowledged, stats.dropped), (44, 44, 0), "{stats:?}");
        let arrived = with.arrived(&server);
        assert!(made().is_in(&arrived));
        assert_eq!((of_children(&arrived), arrived.count()), (30, 44 + 30 * 8), "no duplicates, and no ids in common");
        if with == Protocol::Otlp {
            assert_eq!(crate::otlp::spans(&server).len() as u64, arrived.count(), "each once");
        }
    }

    /// With settings of its own.
    fn a_forked_child_may_call_init_itself(with) {
        let (server, theirs) = (with.serve(|_| None), with.serve(|_| None));
        let _guard = with.to(&server.url()).init().unwrap();
        work(20);
        let builder = with.to(&theirs.url());
        join(fork(move || child(5, Some(builder))));
        work(20);
        assert_all_arrived(with, &server);
        let arrived = with.arrived(&theirs);
        assert_eq!((of_children(&arrived), arrived.count()), (5, 40));
    }

    /// A child that asks for nothing finds out as it goes on: what its thread opens until then is in a copy of its
    /// parent's buffer, which is sent by nobody.
    fn a_forked_child_that_does_nothing_about_it_loses_no_more_than_256_spans(with) {
        let server = with.serve(|_| None);
        let _guard = with.to(&server.url()).init().unwrap();
        work(1);
        join(fork(|| {
            (0..100).for_each(|_| work(CHILDS));
            let stats = flush();
            assert!((800 - 256..=800).contains(&stats.emitted), "{stats:?}");
            assert_eq!((stats.acknowledged, stats.dropped), (stats.emitted, 0), "{stats:?}");
        }));
        work(1);
        let stats = flush();
        assert_eq!((stats.emitted, stats.acknowledged), (4, 4), "{stats:?}");
        let arrived = with.arrived(&server);
        assert!(made().is_in(&arrived));
        assert!(of_children(&arrived) >= 100 - 256 / 8 - 1, "{}", of_children(&arrived));
    }

    /// What is open over the fork ends in both; the child's end of it is nobody's, and takes no lock.
    fn ends_of_the_parents_spans_in_the_child_do_nothing(with) {
        let server = with.serve(|_| None);
        let _guard = with.to(&server.url()).init().unwrap();
        tracium::start_trace("bot").run(|| {
            note_end(tracium::current_span().trace_id());
            tracium::start_span("plan", "around").run(|| {
                note(&tracium::current_span(), "around");
                join(fork(|| {
                    tracium::Context::root().run(|| child(3, None));
                    tracium::current_span().record_output("in the child").fail("in the child");
                    // In a trace that is the parent's: nobody sends it.
                    tracium::start_span("plan", "inside").run(|| ());
                }));
            });
        });
        work(3);
        let stats = flush();
        assert_eq!((stats.emitted, stats.acknowledged, stats.dropped), (6, 6, 0), "{stats:?}");
        let arrived = with.arrived(&server);
        assert!(made().is_in(&arrived));
        assert_eq!(arrived.count(), 6 + 3 * 8);
    }

    /// A child of a child.
    fn a_forked_childs_child_starts_empty_as_well(with) {
        let server = with.serve(|_| None);
        let _guard = with.to(&server.url()).init().unwrap();
        work(1);
        join(fork(|| {
            child(3, None);
            join(fork(|| child(4, None)));
            work(CHILDS);
            assert_eq!(flush().acknowledged, 4 * 8);
        }));
        assert_eq!(of_children(&with.arrived(&server)), 8);
        flush();
        assert_eq!(with.arrived(&server).count(), 2 + 8 * 8);
    }

    /// 25 times for each protocol, while others emit and the export thread works.
    fn forks_among_busy_threads_neither_hang_nor_mix(with) {
        const FORKS: u64 = 25;
        let server = with.serve(|_| None);
        // Nothing is sent twice since the machine is slow.
        let _guard = with.to(&server.url()).request_timeout(Duration::from_secs(60)).init().unwrap();
        // What the libraries below make once for a process, they make here: a fork in the middle of that is not theirs to bear.
        work(1);
        flush();
        static OVER: AtomicBool = AtomicBool::new(false);
        let busy: Vec<_> = (0..3)
            .map(|_| {
                thread::spawn(|| {
                    while !OVER.load(Ordering::Relaxed) {
                        tracium::start_trace("busy").tenant("acme").run(|| {
                            for _ in 0..20 {
                                tracium::start_span("plan", "step").run(|| _ = tracium::current_span().record_input("x"));
                            }
                        });
                        thread::sleep(Duration::from_micros(200));
                    }
                })
            })
            .collect();
        // The export thread takes the locks of all of them again and again.
        let sweeps = thread::spawn(|| {
            while !OVER.load(Ordering::Relaxed) {
                tracium::flush(Duration::ZERO);
            }
        });
        let children: Vec<_> = (0..FORKS)
            .map(|at| {
                tracium::start_trace("forks").run(|| ());
                let forked = fork(move || {
                    if at % 2 == 0 {
                        assert_eq!(tracium::stats().emitted, 0);
                    } else {
                        // The first that the child does is to open a trace.
                        (0..60).for_each(|_| tracium::start_trace("mute").run(|| ()));
                    }
                    let before = tracium::stats().emitted;
                    let work = || {
                        tracium::start_trace("child").run(|| {
                            (0..CHILDS).for_each(|_| tracium::start_span("plan", "step").run(|| ()));
                        });
                    };
                    thread::spawn(move || (0..5).for_each(|_| work())).join().unwrap();
                    (0..5).for_each(|_| work());
                    let stats = flush();
                    assert_eq!((stats.emitted - before, stats.dropped), (80, 0), "{stats:?}");
                });
                thread::sleep(Duration::from_millis(3));
                forked
            })
            .collect();
        children.into_iter().for_each(join);
        OVER.store(true, Ordering::Relaxed);
        busy.into_iter().chain([sweeps]).for_each(|thread| thread.join().unwrap());
        until(|| flush().queued == 0);
        let stats = at_rest();
        assert_eq!((stats.acknowledged, stats.dropped), (stats.emitted, 0), "{stats:?}");
        let arrived = with.arrived(&server).without_empty();
        assert_eq!(of_children(&arrived) as u64, FORKS * 10);
        if with == Protocol::Otlp {
            assert_eq!(crate::otlp::spans(&server).len() as u64, arrived.count(), "each id once");
        }
    }
}
