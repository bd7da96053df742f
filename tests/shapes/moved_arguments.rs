//! Options and captures of arguments that are gone when the future is first polled.

// The lints named here are about the plain functions.
#![allow(clippy::manual_async_fn, clippy::unused_async)]

use crate::wait;
use futures::future::BoxFuture;
use std::future::Future;
use tracium::testing::Recorder;

async fn elsewhere(text: String) -> Result<String, String> {
    Ok(text)
}

#[tracium::span(capture(text), metadata(length = text.len()), name = text)]
fn into_a_future_made_elsewhere(text: String) -> impl Future<Output = Result<String, String>> {
    elsewhere(text)
}

#[tracium::span(capture(text), metadata(length = text.len()), name = text)]
fn into_a_boxed_one(text: String) -> BoxFuture<'static, Result<String, String>> {
    let reply = elsewhere(text);
    Box::pin(reply)
}

#[tracium::span(input = text, metadata(length = text.len()), name = text)]
fn before_the_block(text: String) -> impl Future<Output = Result<String, String>> {
    let reply = elsewhere(text);
    async move { reply.await }
}

#[tracium::trace(agent = "support-bot", capture(text), metadata(length = text.len()), tenant = text, new_trace)]
fn of_a_trace(text: String) -> BoxFuture<'static, Result<String, String>> {
    let reply = elsewhere(text);
    Box::pin(async move { reply.await })
}

pub struct Request {
    tenant: Option<String>,
    text: String,
}

#[tracium::tenant_scope(from = request.tenant.as_deref(), missing = "anonymous")]
#[tracium::trace(agent = "support-bot", capture(?more), new_trace)]
async fn field_by_field(request: Request, more: Vec<u8>) -> (Option<String>, String, Vec<u8>) {
    let Request { tenant, text } = request;
    std::future::ready(()).await;
    (tenant, text, more)
}

#[tracium::tenant_scope(from = request.tenant.as_ref(), missing = reject)]
fn in_place(request: Request) -> Result<String, tracium::TenantError> {
    drop(request.tenant);
    Ok(request.text)
}

#[test]
fn what_is_gone_later_is_recorded_all_the_same() {
    let recorder = Recorder::install();
    wait(tracium::start_trace("bot").scope(async {
        let text = || "acme".to_owned();
        assert_eq!(into_a_future_made_elsewhere(text()).await, Ok(text()));
        assert_eq!(into_a_boxed_one(text()).await, Ok(text()));
        assert_eq!(before_the_block(text()).await, Ok(text()));
        assert_eq!(of_a_trace(text()).await, Ok(text()));
    }));
    let spans = recorder.spans();
    assert_eq!(spans.len(), 3);
    for span in &spans {
        assert_eq!(span.name, "acme");
        assert_eq!(span.metadata, [("length".to_owned(), 4.into())]);
    }
    let expected = serde_json::json!({ "text": "acme" });
    assert_eq!(spans[0].input, Some(expected.clone()));
    assert_eq!(spans[1].input, Some(expected.clone()));
    assert_eq!(spans[2].input, Some("acme".into()));
    let trace = &recorder.traces()[1];
    assert_eq!(trace.tenant.as_ref().unwrap(), "acme");
    assert_eq!(trace.input, Some(expected));
}

#[test]
fn what_the_body_takes_apart_is_read_before() {
    let recorder = Recorder::install();
    let request = |tenant: Option<&str>| Request { tenant: tenant.map(str::to_owned), text: "?".to_owned() };
    assert_eq!(wait(field_by_field(request(Some("acme")), vec![1])).2, [1]);
    wait(field_by_field(request(None), Vec::new()));
    let tenants: Vec<_> = recorder.traces().into_iter().map(|trace| trace.tenant.unwrap().to_string()).collect();
    assert_eq!(tenants, ["acme", "anonymous"]);
    assert_eq!(in_place(request(Some("acme"))).unwrap(), "?");
    assert!(in_place(request(None)).is_err());
}
