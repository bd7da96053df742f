//! Spans that are held and not entered.

use tracium::testing::{RecordedStatus, Recorder};
use tracium::{current_span, current_trace};

use crate::support::{assert_here, here, under};

#[test]
fn an_owned_span_enters_nothing() {
    let recorder = Recorder::install();
    let trace = tracium::start_trace("uploader").tenant("acme").open();
    assert_here(None);
    assert!(!current_trace().is_recording());
    under("globex").run(|| {
        let span = trace.context().run(|| tracium::start_span("tool", "upload").open());
        assert_here("globex");
        assert!(!current_span().is_recording());
        span.end();
    });
    trace.end();
    let (traces, spans) = (recorder.traces(), recorder.spans());
    assert_eq!(traces[0].tenant.as_ref().unwrap(), "acme");
    assert_eq!((spans[0].trace_id, spans[0].tenant.as_ref().unwrap().as_str()), (traces[0].id, "acme"));
    assert_eq!((traces[0].status, spans[0].status), (RecordedStatus::Completed, RecordedStatus::Completed));
}

#[test]
fn an_owned_span_can_be_sent_to_another_thread() {
    let recorder = Recorder::install();
    let trace = tracium::start_trace("uploader").tenant("acme").open();
    let span = trace.context().run(|| tracium::start_span("tool", "upload").model("m").tag("t").open());
    std::thread::spawn(move || {
        assert_here(None);
        span.context().run(|| {
            assert_here("acme");
            assert_eq!(current_span().id(), span.id());
            tracium::start_span("tool", "part").run(|| ());
        });
        span.record_output(&"done");
        span.end();
    })
    .join()
    .unwrap();
    assert_eq!(recorder.traces()[0].status, RecordedStatus::InProgress);
    drop(trace);
    let (traces, spans) = (recorder.traces(), recorder.spans());
    assert_eq!(traces[0].status, RecordedStatus::Completed);
    assert_eq!((spans[0].name.as_str(), spans[1].name.as_str()), ("part", "upload"));
    assert_eq!((spans[0].parent_id, spans[1].parent_id), (spans[1].id, traces[0].root_id));
    assert_eq!(spans[1].output, Some(serde_json::json!("done")));
}

#[test]
fn an_owned_span_ends_when_it_is_dropped_and_outlives_the_scope_it_came_from() {
    let recorder = Recorder::install();
    let span = tracium::start_trace("uploader").run(|| tracium::start_span("tool", "upload").open());
    assert_eq!(recorder.traces()[0].status, RecordedStatus::Completed);
    assert!(recorder.spans().is_empty());
    drop(span);
    assert_eq!(recorder.spans()[0].status, RecordedStatus::Completed);
}

#[test]
fn an_owned_span_that_a_panic_drops_has_failed() {
    let recorder = Recorder::install();
    let trace = tracium::start_trace("uploader").open();
    let thread = std::thread::spawn(move || {
        let _held = trace;
        panic!("disk full");
    });
    assert!(thread.join().is_err());
    let trace = &recorder.traces()[0];
    assert_eq!(trace.status, RecordedStatus::Failed);
    assert_eq!((trace.error_type.as_deref(), trace.error.as_deref()), (Some("panic"), Some("disk full")));
}

#[test]
fn an_owned_span_that_opens_and_ends_while_a_panic_unwinds_has_not_failed() {
    /// Cleans up under a span, as a connection does when it is dropped.
    struct CleansUp;
    impl Drop for CleansUp {
        fn drop(&mut self) {
            tracium::start_trace("cleaner").open().end();
            tracium::start_trace("cleaner").run(|| ());
            clean();
        }
    }
    #[tracium::trace(agent = "cleaner")]
    fn clean() {}

    let recorder = Recorder::install();
    let _ = std::panic::catch_unwind(|| {
        let _cleans_up = CleansUp;
        panic!("another matter");
    });
    let traces = recorder.traces();
    assert_eq!(traces.len(), 3);
    for trace in traces {
        assert_eq!(trace.status, RecordedStatus::Completed, "{:?}", trace.error);
    }
}

#[test]
fn an_owned_span_without_a_recorder_still_carries_the_tenant() {
    let trace = tracium::start_trace("uploader").tenant("acme").open();
    assert!(!trace.is_recording());
    assert_eq!(trace.context().run(here).as_deref(), Some("acme"));
    assert_eq!(trace.context().tenant().unwrap(), "acme");
}
