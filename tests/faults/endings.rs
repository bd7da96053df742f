//! Spans that end in other ways than their code meant.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use tracium::{OwnedSpan, current_span, current_tenant};

use crate::faults::{Protocol, assert_all_arrived, flush, made, note, note_end, watch, work};
use crate::own_process::faults;
use crate::server::Server;

/// The errors that arrived, by the names of their spans.
fn errors(with: Protocol, server: &Server) -> Vec<(String, String)> {
    match with {
        Protocol::Rest => {
            let requests = server.requests();
            let spans = requests.iter().filter_map(|request| request.body["spans"].as_array()).flatten();
            spans
                .filter(|span| span["status"] == "failed")
                .map(|span| (span["name"].as_str().unwrap().to_owned(), span["error"].to_string()))
                .collect()
        }
        Protocol::Otlp => crate::otlp::spans(server)
            .into_iter()
            .filter(|span| !span.parent_span_id.is_empty())
            .filter_map(|span| Some((span.name, span.status.filter(|status| status.code == 2)?.message)))
            .collect(),
    }
}

/// A span that the calls below open, by name.
fn step(name: &'static str) -> tracium::SpanBuilder {
    tracium::start_span("plan", name)
}

faults! {
    /// Row 27.
    fn a_panic_fails_its_span_and_restores_the_context(with) {
        std::panic::set_hook(Box::new(|_| ()));
        let server = with.serve(|_| None);
        let _guard = with.to(&server.url()).init().unwrap();
        tracium::start_trace("bot").tenant("acme").run(|| {
            let outer = current_span().id();
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                step("panics").run(|| {
                    note(&current_span(), "panics");
                    panic!("of the user's");
                });
            }));
            assert_eq!(*panicked.unwrap_err().downcast_ref::<&str>().unwrap(), "of the user's", "it goes on unwinding");
            assert_eq!(current_span().id(), outer);
            assert_eq!(current_tenant().unwrap().as_str(), "acme");
            note_end(current_span().trace_id());
        });
        assert_eq!(current_tenant(), None);
        assert_all_arrived(with, &server);
        let errors = errors(with, &server);
        assert!(matches!(&errors[..], [(name, error)] if name == "panics" && error.contains("of the user's")), "{errors:?}");
    }

    /// Row 32.
    fn a_runtime_that_is_dropped_with_spans_open_loses_none(with) {
        let server = with.serve(|_| None);
        let _guard = with.to(&server.url()).init().unwrap();
        let watch = watch();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (started, all_started) = std::sync::mpsc::channel();
        for _ in 0..20 {
            let started = started.clone();
            runtime.spawn(tracium::start_trace("bot").scope(async move {
                note_end(current_span().trace_id());
                step("waits").scope(async move {
                    note(&current_span(), "waits");
                    started.send(()).unwrap();
                    std::future::pending::<()>().await;
                }).await;
            }));
        }
        all_started.iter().take(20).for_each(drop);
        drop(runtime);
        assert_all_arrived(with, &server);
        assert_eq!(errors(with, &server).len(), 20, "they were cancelled");
        drop(watch);
    }

    /// Row 33: destructors of the thread's own run when ours may be gone.
    fn a_span_that_ends_in_a_thread_locals_destructor_is_not_lost(with) {
        #[derive(Default)]
        struct Late(Option<(OwnedSpan, OwnedSpan)>);
        impl Drop for Late {
            fn drop(&mut self) {
                if let Some((span, trace)) = self.0.take() {
                    span.end();
                    // One that opens here as well.
                    trace.context().run(|| step("later").run(|| note(&current_span(), "later")));
                    trace.end();
                    work(2);
                }
            }
        }
        thread_local! {
            static BEFORE: RefCell<Late> = RefCell::default();
            static AFTER: RefCell<Late> = RefCell::default();
        }
        fn open() -> Late {
            let trace = tracium::start_trace("bot").open();
            note_end(trace.trace_id());
            let span = trace.context().run(|| step("late").open());
            note(&span, "late");
            Late(Some((span, trace)))
        }
        let server = with.serve(|_| None);
        let _guard = with.to(&server.url()).init().unwrap();
        let watch = watch();
        for _ in 0..20 {
            thread::spawn(|| {
                // Touched before the thread's first span, so that it is dropped after what that made; and one the other way.
                BEFORE.with_borrow_mut(|late| late.0 = None);
                let open_before = open();
                BEFORE.with_borrow_mut(|late| *late = open_before);
                AFTER.with_borrow_mut(|late| *late = open());
            })
            .join()
            .unwrap();
        }
        flush();
        assert_all_arrived(with, &server);
        assert_eq!(made().count(), 20 * 2 * (3 + 3));
        drop(watch);
    }

    /// Row 35.
    fn a_future_that_is_never_polled_again_is_cancelled_when_it_is_dropped(with) {
        let server = with.serve(|_| None);
        let _guard = with.to(&server.url()).init().unwrap();
        {
            let mut future = pin!(tracium::start_trace("bot").scope(async {
                note_end(current_span().trace_id());
                step("forgotten").scope(async {
                    note(&current_span(), "forgotten");
                    std::future::pending::<()>().await;
                }).await;
            }));
            let mut cx = Context::from_waker(Waker::noop());
            assert_eq!(future.as_mut().poll(&mut cx), Poll::Pending);
            tracium::flush(Duration::from_secs(30));
            assert_eq!(tracium::stats().emitted, 0, "it is open");
        }
        assert_all_arrived(with, &server);
        let errors = errors(with, &server);
        assert!(matches!(&errors[..], [(name, error)] if name == "forgotten" && error.contains("dropped before it was done")), "{errors:?}");
    }
}
