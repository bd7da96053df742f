//! How a trace or span ended: by type and not by spelling, whatever the function's shape.

use std::fmt;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use tracium::testing::{RecordedSpan, RecordedStatus, Recorder};

use crate::support::{pause, poll, run};

#[track_caller]
fn assert_failed(status: RecordedStatus, error_type: Option<&str>, error: Option<&str>, expected: (&str, &str)) {
    assert_eq!(status, RecordedStatus::Failed);
    assert_eq!((error_type, error), (Some(expected.0), Some(expected.1)));
}

/// The one span of `work`, which runs in a trace.
fn span_of<F: Future>(work: F) -> RecordedSpan {
    let recorder = Recorder::install();
    run(tracium::start_trace("bot").scope(work));
    let mut spans = recorder.spans();
    assert_eq!(spans.len(), 1, "{spans:#?}");
    assert_eq!(recorder.traces()[0].status, RecordedStatus::Completed, "the trace's own outcome is another");
    spans.remove(0)
}

#[track_caller]
fn assert_span_failed<F: Future>(work: F, error_type: &str, error: &str) {
    let span = span_of(work);
    assert_failed(span.status, span.error_type.as_deref(), span.error.as_deref(), (error_type, error));
}

#[tracium::trace(agent = "bot")]
async fn never_ends() {
    never_ends_either().await;
}

#[tracium::span(kind = "tool")]
async fn never_ends_either() {
    pending::<()>().await;
}

#[test]
fn a_future_dropped_before_its_end_has_failed_as_cancelled() {
    let recorder = Recorder::install();
    let futures: [Pin<Box<dyn Future<Output = ()>>>; 2] = [
        Box::pin(never_ends()),
        Box::pin(tracium::start_trace("bot").scope(tracium::start_span("tool", "waits").scope(pending()))),
    ];
    for mut future in futures {
        recorder.clear();
        assert!(poll(future.as_mut()).is_pending());
        assert_eq!(recorder.traces()[0].status, RecordedStatus::InProgress);
        drop(future);
        let (traces, spans) = (recorder.traces(), recorder.spans());
        let trace = &traces[0];
        assert_eq!((trace.status, trace.error_type.as_deref()), (RecordedStatus::Failed, Some("cancelled")));
        assert_eq!((spans[0].status, spans[0].error_type.as_deref()), (RecordedStatus::Failed, Some("cancelled")));
    }
}

#[test]
fn a_future_that_was_never_polled_leaves_nothing() {
    let recorder = Recorder::install();
    drop(never_ends());
    drop(tracium::start_trace("bot").scope(pending::<()>()));
    assert!(recorder.traces().is_empty());
}

#[test]
fn the_loser_of_a_select_has_failed_as_cancelled() {
    let span = span_of(async {
        tokio::select! {
            biased;
            () = never_ends_either() => unreachable!(),
            () = pause() => {}
        }
    });
    assert_eq!((span.status, span.error_type.as_deref()), (RecordedStatus::Failed, Some("cancelled")));
}

#[tracium::span(kind = "tool")]
async fn panics_later(what: &str) {
    pause().await;
    panic!("no {what} left");
}

#[tracium::span(kind = "tool")]
fn panics_with_a_result(what: &str) -> Result<(), fmt::Error> {
    panic!("no {what} left");
}

#[tracium::span(kind = "tool")]
fn panics_in_place(what: &str) {
    panic!("no {what} left");
}

#[tracium::span(kind = "tool")]
fn panics_without_text() {
    std::panic::panic_any(7);
}

#[test]
fn a_panic_fails_an_async_span_with_its_message_and_goes_on() {
    let panics = async {
        let panic = AssertUnwindSafe(panics_later("milk")).catch_unwind().await.unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "no milk left");
    };
    assert_span_failed(panics, "panic", "no milk left");
}

#[test]
fn a_panic_fails_a_sync_span_with_its_message_and_goes_on() {
    let with_a_result = async {
        let panic = catch_unwind(|| panics_with_a_result("milk")).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "no milk left");
    };
    assert_span_failed(with_a_result, "panic", "no milk left");
    let in_place = async {
        let panic = catch_unwind(|| panics_in_place("tea")).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "no tea left");
    };
    assert_span_failed(in_place, "panic", "no tea left");
    let builder = async {
        let work = || tracium::start_span("tool", "brew").run(|| panic!("no water"));
        assert_eq!(*catch_unwind(work).unwrap_err().downcast_ref::<&str>().unwrap(), "no water");
    };
    assert_span_failed(builder, "panic", "no water");
}

#[test]
fn a_panic_without_text_is_told_as_such() {
    let panics = async {
        assert_eq!(*catch_unwind(panics_without_text).unwrap_err().downcast_ref::<i32>().unwrap(), 7);
    };
    assert_span_failed(panics, "panic", "panicked");
}

#[test]
fn a_panic_fails_the_trace_that_it_leaves() {
    #[tracium::trace(agent = "bot")]
    fn bot() {
        panics_in_place("milk");
    }
    let recorder = Recorder::install();
    assert!(catch_unwind(bot).is_err());
    let trace = &recorder.traces()[0];
    assert_failed(trace.status, trace.error_type.as_deref(), trace.error.as_deref(), ("panic", "no milk left"));
}

#[test]
fn a_panic_that_the_function_catches_fails_nothing() {
    #[tracium::span(kind = "tool")]
    fn catches() {
        assert!(catch_unwind(|| panic!("on purpose")).is_err());
    }
    assert_eq!(span_of(async { catches() }).status, RecordedStatus::Completed);
}

#[derive(Debug)]
struct Outer(Inner);

#[derive(Debug)]
struct Inner;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the search failed")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the index is gone")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl std::error::Error for Inner {}

const CHAIN: &str = "the search failed: the index is gone";

/// The same result by another name.
type Found<T> = std::result::Result<T, Outer>;

#[tracium::span(kind = "retrieval")]
async fn search() -> Found<()> {
    pause().await;
    Err(Outer(Inner))
}

#[tracium::span(kind = "retrieval")]
fn search_at_once() -> Found<()> {
    Err(Outer(Inner))
}

#[tracium::span(kind = "retrieval")]
async fn search_any() -> anyhow::Result<()> {
    search_plainly()?;
    Ok(())
}

#[tracium::span(kind = "retrieval")]
fn search_boxed() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    search_plainly()?;
    Ok(())
}

fn search_plainly() -> Found<()> {
    Err(Outer(Inner))
}

#[test]
fn an_error_fails_the_span_with_the_messages_of_its_sources() {
    for span in [
        span_of(search()),
        span_of(async { search_at_once() }),
        span_of(search_any()),
        span_of(async { search_boxed() }),
    ] {
        assert_eq!((span.status, span.error.as_deref()), (RecordedStatus::Failed, Some(CHAIN)));
    }
    let typed = span_of(search()).error_type.unwrap();
    assert!(typed.ends_with("Outer"), "{typed}");
}

#[test]
fn an_error_of_a_builders_work_fails_where_that_is_asked_for() {
    let failed = span_of(tracium::start_span("tool", "search").try_scope(async { search_plainly() }));
    assert_eq!((failed.status, failed.error.as_deref()), (RecordedStatus::Failed, Some("the search failed")));
    let failed = span_of(async { tracium::start_span("tool", "search").try_run(search_plainly) });
    assert_eq!(failed.status, RecordedStatus::Failed);
    let unasked = span_of(tracium::start_span("tool", "search").scope(async { search_plainly() }));
    assert_eq!(unasked.status, RecordedStatus::Completed);
}

struct Tools;

#[async_trait]
trait Searches {
    async fn search(&self, found: bool) -> Result<u8, String>;
}

#[async_trait]
impl Searches for Tools {
    #[tracium::span(kind = "tool", name = "shape")]
    async fn search(&self, found: bool) -> Result<u8, String> {
        pause().await;
        found.then_some(1).ok_or_else(|| "not found".to_owned())
    }
}

#[tracium::span(kind = "tool")]
impl Tools {
    fn method(&self, found: bool) -> Result<u8, String> {
        let Self = self;
        found.then_some(1).ok_or_else(|| "not found".to_owned())
    }

    async fn method_later(&mut self, found: bool) -> Result<u8, String> {
        pause().await;
        self.method_skipped(found)
    }

    #[tracium::skip]
    fn method_skipped(&self, found: bool) -> Result<u8, String> {
        let Self = self;
        found.then_some(1).ok_or_else(|| "not found".to_owned())
    }
}

#[tracium::span(kind = "tool")]
fn generic<T: Default, E: From<&'static str>, const N: usize>(found: bool) -> Result<[T; N], E> {
    if found { Ok(std::array::from_fn(|_| T::default())) } else { Err(E::from("not found")) }
}

#[tracium::span(kind = "tool")]
async fn generic_later<T, E>(result: Result<T, E>) -> Result<T, E> {
    pause().await;
    result
}

#[tracium::span(kind = "tool")]
fn returned(found: bool) -> impl Future<Output = Result<u8, String>> {
    async move {
        pause().await;
        found.then_some(1).ok_or_else(|| "not found".to_owned())
    }
}

#[tracium::span(kind = "tool")]
fn boxed(found: bool) -> BoxFuture<'static, Result<u8, String>> {
    if !found {
        return Box::pin(async { Err("not found".to_owned()) });
    }
    returned_plainly().boxed()
}

async fn returned_plainly() -> Result<u8, String> {
    pause().await;
    Ok(1)
}

type Shape = fn(bool) -> BoxFuture<'static, bool>;

#[test]
fn every_shape_of_function_tells_how_it_ended() {
    let shapes: [(&str, Shape); 8] = [
        ("method", |found| async move { Tools.method(found).is_ok() }.boxed()),
        ("async method", |found| async move { Tools.method_later(found).await.is_ok() }.boxed()),
        ("async_trait", |found| async move { Tools.search(found).await.is_ok() }.boxed()),
        ("generic", |found| async move { generic::<u8, String, 3>(found).is_ok() }.boxed()),
        ("boxed error", |found| async move { generic::<u8, Box<dyn std::error::Error>, 3>(found).is_ok() }.boxed()),
        ("generic async", |found| async move { generic_later(found.then_some(1).ok_or("x")).await.is_ok() }.boxed()),
        ("returned", |found| async move { returned(found).await.is_ok() }.boxed()),
        ("boxed", |found| async move { boxed(found).await.is_ok() }.boxed()),
    ];
    for (name, shape) in shapes {
        for (found, status) in [(true, RecordedStatus::Completed), (false, RecordedStatus::Failed)] {
            let span = span_of(async { assert_eq!(shape(found).await, found) });
            assert_eq!(span.status, status, "{name}");
        }
    }
}

#[test]
fn what_the_body_says_went_wrong_stays() {
    let span = span_of(tracium::start_span("tool", "search").scope(async {
        tracium::current_span().fail("first").fail("second");
    }));
    assert_failed(span.status, span.error_type.as_deref(), span.error.as_deref(), ("fail", "first"));
}
