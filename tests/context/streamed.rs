//! Annotated functions that return a stream: their span lives until the stream ends or is dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use tracium::testing::{RecordedSpan, RecordedStatus, Recorder};

use crate::support::{here, pause, run, under};

#[tracium::llm]
fn tokens(count: u8) -> impl Stream<Item = u8> {
    tracium::current_span().set_model("gpt-4o");
    stream::iter(0..count).then(|number| async move {
        pause().await;
        inside(number)
    })
}

#[tracium::span(name = "inside")]
fn inside(number: u8) -> u8 {
    number
}

#[tracium::llm]
async fn tokens_later(count: u8) -> Result<BoxStream<'static, u8>, String> {
    pause().await;
    if count == 0 {
        return Err("no tokens".to_owned());
    }
    Ok(tokens_of_nobody(count).boxed())
}

fn tokens_of_nobody(count: u8) -> impl Stream<Item = u8> {
    stream::iter(0..count)
}

#[tracium::llm]
fn parsed(texts: &[&'static str]) -> BoxStream<'static, Result<u8, std::num::ParseIntError>> {
    stream::iter(texts.to_vec()).map(str::parse).boxed()
}

fn named<'a>(spans: &'a [RecordedSpan], name: &str) -> &'a RecordedSpan {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no span `{name}` in {spans:#?}"));
    assert!(found.next().is_none(), "several spans `{name}` in {spans:#?}");
    span
}

/// The metadata of a span or trace under `key`, as a number.
fn number(metadata: &[(String, serde_json::Value)], key: &str) -> Option<f64> {
    metadata.iter().find(|(name, _)| name == key)?.1.as_f64()
}

/// The one span of `work`, which runs in a trace.
fn span_of<F: Future>(work: F) -> RecordedSpan {
    let recorder = Recorder::install();
    run(tracium::start_trace("bot").scope(work));
    let mut spans = recorder.spans();
    assert_eq!(spans.len(), 1, "{spans:#?}");
    spans.remove(0)
}

#[test]
fn a_span_lives_until_its_stream_ends() {
    let recorder = Recorder::install();
    run(tracium::start_trace("bot").scope(async {
        let mut tokens = pin!(tokens(3));
        for _ in 0..3 {
            assert!(tokens.next().await.is_some());
            assert!(recorder.spans().iter().all(|span| span.name != "tokens"), "it is not over");
        }
        assert_eq!(tokens.next().await, None);
        assert_eq!(named(&recorder.spans(), "tokens").status, RecordedStatus::Completed);
    }));
    let spans = recorder.spans();
    let span = named(&spans, "tokens");
    assert_eq!(span.model.as_deref(), Some("gpt-4o"));
    let within: Vec<_> = spans.iter().filter(|span| span.name == "inside").collect();
    assert_eq!(within.len(), 3);
    assert!(within.iter().all(|inside| inside.parent_id == span.id), "{spans:#?}");
}

#[test]
fn a_stream_records_its_items_and_the_time_to_the_first() {
    let span = span_of(async { tokens_later(4).await.unwrap().collect::<Vec<_>>().await });
    assert_eq!(number(&span.metadata, "stream.items"), Some(4.0));
    let first = number(&span.metadata, "stream.time_to_first_item").unwrap();
    assert!((0.0..=span.duration.as_secs_f64()).contains(&first), "{first} s of {:?}", span.duration);

    let span = span_of(async { parsed(&[]).collect::<Vec<_>>().await });
    assert_eq!(number(&span.metadata, "stream.items"), Some(0.0));
    assert_eq!(number(&span.metadata, "stream.time_to_first_item"), None);
}

#[test]
fn a_stream_dropped_before_its_end_has_failed_as_cancelled() {
    let span = span_of(async {
        let mut tokens = tokens_later(4).await.unwrap();
        assert!(tokens.next().await.is_some());
    });
    assert_eq!((span.status, span.error_type.as_deref()), (RecordedStatus::Failed, Some("cancelled")));
    assert_eq!(number(&span.metadata, "stream.items"), Some(1.0));
}

#[test]
fn a_call_that_returns_no_stream_has_failed_with_its_error() {
    let span = span_of(async { assert!(tokens_later(0).await.is_err()) });
    assert_eq!((span.status, span.error.as_deref()), (RecordedStatus::Failed, Some("no tokens")));
    assert!(span.metadata.is_empty());
}

#[test]
fn a_stream_whose_last_item_is_an_error_has_failed_with_it() {
    let span = span_of(async { parsed(&["1", "x"]).collect::<Vec<_>>().await });
    assert_eq!((span.status, span.error.as_deref()), (RecordedStatus::Failed, Some("invalid digit found in string")));
    let span = span_of(async { parsed(&["x", "1"]).collect::<Vec<_>>().await });
    assert_eq!((span.status, span.error), (RecordedStatus::Completed, None));
}

#[test]
fn a_panic_in_a_stream_fails_its_span_and_goes_on() {
    #[tracium::span]
    fn breaks() -> impl Stream<Item = u8> {
        stream::once(async { panic!("at the first item") })
    }
    let recorder = Recorder::install();
    let work = tracium::start_trace("bot").scope(async { breaks().collect::<Vec<_>>().await });
    assert!(catch_unwind(AssertUnwindSafe(|| run(work))).is_err());
    let spans = recorder.spans();
    assert_eq!(named(&spans, "breaks").error.as_deref(), Some("at the first item"));
    assert_eq!(here(), None);
}

#[test]
fn a_trace_may_be_one_stream() {
    #[tracium::trace(agent = "bot")]
    #[tracium::tenant_scope(from = tenant)]
    async fn answer(tenant: &str) -> Result<impl Stream<Item = Option<String>> + use<>, String> {
        pause().await;
        Ok(stream::iter(0..2).then(|_| async {
            pause().await;
            inside(1);
            here()
        }))
    }
    let recorder = Recorder::install();
    let seen = run(async {
        let answer = answer("acme").await.unwrap();
        assert_eq!(recorder.traces()[0].status, RecordedStatus::InProgress);
        under("globex").scope(answer.collect::<Vec<_>>()).await
    });
    assert_eq!(seen, [Some("acme".to_owned()), Some("acme".to_owned())]);
    let traces = recorder.traces();
    assert_eq!(traces.len(), 1, "{traces:#?}");
    assert_eq!(traces[0].status, RecordedStatus::Completed);
    assert_eq!(traces[0].tenant.as_ref().unwrap(), "acme");
    assert_eq!(number(&traces[0].metadata, "stream.items"), Some(2.0));
    assert!(recorder.spans().iter().all(|span| span.parent_id == traces[0].root_id));
}

#[test]
fn a_rejected_stream_leaves_no_trace() {
    #[tracium::trace(agent = "bot")]
    #[tracium::tenant_scope(from = tenant, missing = reject)]
    fn answer(tenant: Option<&str>) -> Result<BoxStream<'static, u8>, tracium::TenantError> {
        Ok(tokens_of_nobody(1).boxed())
    }
    let recorder = Recorder::install();
    assert!(answer(None).is_err());
    assert!(recorder.traces().is_empty());
}

#[test]
fn outside_any_trace_a_stream_is_left_alone() {
    let recorder = Recorder::install();
    let tokens = tokens(2);
    let seen = run(under("acme").scope(async { tokens.map(|_| here()).collect::<Vec<_>>().await }));
    assert_eq!(seen, [Some("acme".to_owned()), Some("acme".to_owned())]);
    assert!(recorder.spans().is_empty());
}
