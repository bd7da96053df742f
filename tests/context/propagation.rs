//! Spans of work that is started elsewhere are children of the span that started it.

use tracium::testing::{RecordedSpan, Recorder};
use tracium::{Context, ContextExt, current_span};

use crate::support::{pause, run};

#[tracium::span(kind = "tool")]
fn tool() {}

#[tracium::span(kind = "tool")]
async fn tool_later() {
    pause().await;
}

/// Runs `work` in a span of acme's, and gives the one other span that was recorded; it is the child of that span.
fn child_of<F: Future>(work: impl FnOnce() -> F) -> RecordedSpan {
    let recorder = Recorder::install();
    let starter = tracium::start_span("workflow", "starter").scope(async move {
        work().await;
        current_span().id()
    });
    let local = tokio::task::LocalSet::new();
    let id = run(local.run_until(tracium::start_trace("bot").tenant("acme").scope(starter)));
    let (traces, spans) = (recorder.traces(), recorder.spans());
    assert_eq!((traces.len(), spans.len()), (1, 2), "{spans:#?}");
    let child = spans.into_iter().find(|span| span.name != "starter").unwrap();
    assert_eq!((child.trace_id, Some(child.parent_id), child.depth), (traces[0].id, id, 2));
    assert_eq!(child.tenant.as_ref().unwrap(), "acme");
    child
}

#[test]
fn scope_keeps_the_parent() {
    child_of(|| Context::current().scope(tool_later()));
}

#[test]
fn in_current_context_keeps_the_parent_for_a_plain_task() {
    child_of(|| async { tokio::spawn(tool_later().in_current_context()).await.unwrap() });
}

#[test]
fn run_keeps_the_parent() {
    child_of(|| async { Context::current().run(tool) });
}

#[test]
fn wrap_keeps_the_parent_for_a_plain_thread() {
    child_of(|| async { std::thread::spawn(Context::current().wrap(tool)).join().unwrap() });
}

#[test]
fn thread_spawn_keeps_the_parent() {
    child_of(|| async { tracium::thread::spawn(tool).join().unwrap() });
}

#[test]
fn block_on_keeps_the_parent() {
    child_of(|| async {
        let blocking = Context::current().wrap(|| tracium::block_on(tool_later()));
        std::thread::spawn(blocking).join().unwrap();
    });
}

#[cfg(feature = "tokio")]
#[test]
fn spawn_keeps_the_parent() {
    child_of(|| async { tracium::spawn(tool_later()).await.unwrap() });
}

#[cfg(feature = "tokio")]
#[test]
fn spawn_blocking_keeps_the_parent() {
    child_of(|| async { tracium::spawn_blocking(tool).await.unwrap() });
}

#[cfg(feature = "tokio")]
#[test]
fn spawn_local_keeps_the_parent() {
    child_of(|| async { tracium::spawn_local(tool_later()).await.unwrap() });
}

#[test]
fn a_plain_task_is_in_no_trace() {
    let recorder = Recorder::install();
    run(tracium::start_trace("bot").tenant("acme").scope(async {
        let plain = async {
            assert!(!current_span().is_recording());
            tool_later().await;
        };
        tokio::spawn(plain).await.unwrap();
        std::thread::spawn(tool).join().unwrap();
    }));
    assert!(recorder.spans().is_empty(), "{:#?}", recorder.spans());
}

#[test]
fn a_stream_polled_in_another_trace_opens_its_spans_in_its_own() {
    use futures::stream::{self, StreamExt};
    let recorder = Recorder::install();
    let ours = tracium::start_trace("ours").tenant("acme").open();
    let stream = ours.context().run(|| Box::pin(stream::iter(0..3).then(|_| tool_later()).in_current_context()));
    run(tracium::start_trace("theirs").tenant("globex").scope(stream.collect::<Vec<_>>()));
    let spans = recorder.spans();
    assert_eq!(spans.len(), 3);
    for span in spans {
        assert_eq!((Some(span.trace_id), span.tenant.unwrap().as_str()), (ours.trace_id(), "acme"));
    }
}

#[test]
fn a_handle_records_from_anywhere() {
    let recorder = Recorder::install();
    tracium::start_trace("bot").run(|| {
        tracium::start_span("tool", "clock").run(|| {
            let handle = current_span();
            std::thread::spawn(move || handle.record_output(&"noon").add_tags(["elsewhere"]).id()).join().unwrap();
        });
    });
    let span = &recorder.spans()[0];
    assert_eq!(span.output, Some(serde_json::json!("noon")));
    assert_eq!(span.tags, ["elsewhere"]);
}
