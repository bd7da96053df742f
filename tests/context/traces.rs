//! Which trace a span is in, and whose.

use std::pin::Pin;

use async_trait::async_trait;
use tracium::testing::{RecordedSpan, RecordedStatus, RecordedTrace, Recorder};
use tracium::{Context, ContextExt, TenantError, current_span, set_tenant};

use crate::support::{here, pause, poll, run, tenant, under};

#[tracium::span(kind = "tool")]
fn tool() -> Option<String> {
    here()
}

#[tracium::span(kind = "tool")]
async fn tool_later() -> Option<String> {
    pause().await;
    here()
}

#[tracium::trace(agent = "bot")]
async fn bot<F: Future>(work: F) -> F::Output {
    work.await
}

fn find<'a>(spans: &'a [RecordedSpan], name: &str) -> &'a RecordedSpan {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}: {spans:#?}"))
}

fn metadata(trace: &RecordedTrace, key: &str) -> String {
    let value = trace.metadata.iter().find(|(name, _)| name == key);
    value.unwrap_or_else(|| panic!("no {key}: {trace:#?}")).1.as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_tenant(actual: Option<&tracium::TenantId>, expected: impl Into<Option<&'static str>>) {
    assert_eq!(actual.map(tracium::TenantId::as_str), expected.into());
}

#[tracium::span(kind = "tool", name = "keeps")]
fn keeps() {
    set_tenant("acme").unwrap();
    tool();
    set_tenant(None).unwrap();
}

#[tracium::span(kind = "tool", name = "keeps_later")]
async fn keeps_later() {
    pause().await;
    set_tenant("acme").unwrap();
    tool_later().await;
}

#[test]
fn a_span_keeps_the_tenant_it_opened_under() {
    let recorder = Recorder::install();
    run(bot(async {
        keeps();
        keeps_later().await;
        set_tenant("globex").unwrap();
        tracium::start_span("tool", "opened under globex").run(|| set_tenant(None).unwrap());
    }));
    let spans = recorder.spans();
    assert_tenant(find(&spans, "keeps").tenant.as_ref(), None);
    assert_tenant(find(&spans, "keeps_later").tenant.as_ref(), None);
    assert_tenant(find(&spans, "tool").tenant.as_ref(), "acme");
    assert_tenant(find(&spans, "tool_later").tenant.as_ref(), "acme");
    assert_tenant(find(&spans, "opened under globex").tenant.as_ref(), "globex");
}

#[test]
fn a_span_of_another_tenant_opens_a_linked_trace_of_its_own() {
    let recorder = Recorder::install();
    let trace = tracium::start_trace("bot").tenant("acme").version("7");
    let (ours, root) = trace.run(|| {
        tool();
        let globex = Context::current().with_tenant(tenant("globex"));
        globex.run(|| {
            tracium::start_span("tool", "theirs").run(|| {
                tool();
            });
        });
        Context::current().with_tenant(None).run(|| tracium::start_span("tool", "nobodys").run(|| ()));
        tracium::start_span("tool", "ours again").run(|| ());
        (current_span().trace_id().unwrap(), current_span().id().unwrap())
    });
    let (traces, spans) = (recorder.traces(), recorder.spans());
    assert_eq!(traces.len(), 3);
    for (name, id) in [("theirs", Some("globex")), ("nobodys", None)] {
        let span = find(&spans, name);
        let trace = traces.iter().find(|trace| trace.id == span.trace_id).unwrap();
        assert_tenant(span.tenant.as_ref(), id);
        assert_tenant(trace.tenant.as_ref(), id);
        assert_eq!((span.depth, span.parent_id), (1, trace.root_id));
        assert_eq!((trace.agent.as_str(), trace.version.as_deref()), ("bot", Some("7")));
        assert_eq!(trace.status, RecordedStatus::Completed);
        assert_eq!(metadata(trace, "linked.trace_id"), ours.to_uuid());
        assert_eq!(metadata(trace, "linked.span_id"), root.to_uuid(ours));
    }
    // What is in it follows it, and what is not stays where it was.
    let within = spans.iter().find(|span| span.parent_id == find(&spans, "theirs").id).unwrap();
    assert_eq!(within.trace_id, find(&spans, "theirs").trace_id);
    assert_eq!(find(&spans, "ours again").trace_id, ours);
    for span in &spans {
        let trace = traces.iter().find(|trace| trace.id == span.trace_id).unwrap();
        assert_eq!(trace.tenant, span.tenant);
    }
}

#[test]
fn a_trace_of_another_tenant_within_a_trace_is_one_of_its_own() {
    let recorder = Recorder::install();
    tracium::start_trace("outer").tenant("acme").run(|| {
        tracium::start_trace("same").tenant("acme").run(|| ());
        tracium::start_trace("other").tenant("globex").run(tool);
    });
    let traces = recorder.traces();
    assert_eq!(traces.iter().map(|trace| trace.agent.as_str()).collect::<Vec<_>>(), ["outer", "other"]);
    assert_tenant(traces[1].tenant.as_ref(), "globex");
    assert_eq!(metadata(&traces[1], "linked.trace_id"), traces[0].id.to_uuid());
    assert_eq!(find(&recorder.spans(), "tool").trace_id, traces[1].id);
}

#[test]
fn in_a_trace_of_no_tenant_spans_stay_and_carry_their_own() {
    let recorder = Recorder::install();
    run(bot(async {
        tool();
        for id in ["acme", "globex"] {
            Context::current().with_tenant(tenant(id)).scope(tool_later()).await;
        }
    }));
    let (traces, spans) = (recorder.traces(), recorder.spans());
    assert_eq!(traces.len(), 1);
    assert_tenant(traces[0].tenant.as_ref(), None);
    assert_tenant(spans[0].tenant.as_ref(), None);
    assert_tenant(spans[1].tenant.as_ref(), "acme");
    assert_tenant(spans[2].tenant.as_ref(), "globex");
    assert!(spans.iter().all(|span| span.trace_id == traces[0].id));
}

#[tracium::trace(agent = "bot")]
fn names_itself(id: &str) -> Result<(), TenantError> {
    tool();
    set_tenant(id)?;
    tool();
    Ok(())
}

#[test]
fn set_tenant_names_its_own_trace() {
    let recorder = Recorder::install();
    names_itself("acme").unwrap();
    run(bot(async { set_tenant("acme") })).unwrap();
    tracium::start_trace("bot").run(|| set_tenant("acme")).unwrap();
    for trace in recorder.traces() {
        assert_tenant(trace.tenant.as_ref(), "acme");
    }
    recorder.clear();

    // The scope of another function, or of spawned work, is not the trace's.
    run(bot(async {
        tracium::start_span("tool", "names only itself").run(|| set_tenant("acme").unwrap());
        async { set_tenant("acme").unwrap() }.in_current_context().await;
    }));
    assert_tenant(recorder.traces()[0].tenant.as_ref(), None);
    recorder.clear();

    // Clearing takes no name away, and a name that it has stays.
    run(bot(async {
        set_tenant("acme").unwrap();
        set_tenant(None).unwrap();
        set_tenant("globex").unwrap();
        tool();
    }));
    let (traces, spans) = (recorder.traces(), recorder.spans());
    assert_tenant(traces[0].tenant.as_ref(), "acme");
    assert_tenant(spans[0].tenant.as_ref(), "globex");
    assert_ne!(spans[0].trace_id, traces[0].id);
}

#[test]
fn a_trace_with_anothers_spans_in_it_is_not_named_any_more() {
    let recorder = Recorder::install();
    run(bot(async {
        Context::current().with_tenant(tenant("acme")).run(tool);
        set_tenant("globex").unwrap();
        tool();
    }));
    let (traces, spans) = (recorder.traces(), recorder.spans());
    for span in &spans {
        let trace = traces.iter().find(|trace| trace.id == span.trace_id).unwrap();
        assert!(trace.tenant.is_none() || trace.tenant == span.tenant, "{trace:#?}\n{span:#?}");
    }
}

struct Service;

#[async_trait]
trait Looks {
    async fn look(&self) -> Option<String>;
}

#[async_trait]
impl Looks for Service {
    #[tracium::span(kind = "tool", name = "shape")]
    async fn look(&self) -> Option<String> {
        pause().await;
        here()
    }
}

impl Service {
    #[tracium::span(kind = "tool", name = "shape")]
    async fn method(&self) -> Option<String> {
        pause().await;
        here()
    }
}

#[tracium::span(kind = "tool", name = "shape")]
fn returned() -> impl Future<Output = Option<String>> {
    async {
        pause().await;
        here()
    }
}

#[tracium::span(kind = "tool", name = "shape")]
fn returned_by_another() -> impl Future<Output = Option<String>> {
    let made = std::future::ready(());
    futures::FutureExt::then(made, |()| returned_plainly())
}

async fn returned_plainly() -> Option<String> {
    pause().await;
    here()
}

#[tracium::span(kind = "tool", name = "shape")]
fn boxed() -> Pin<Box<dyn Future<Output = Option<String>>>> {
    Box::pin(async {
        pause().await;
        here()
    })
}

#[tracium::span(kind = "tool", name = "shape")]
async fn function() -> Option<String> {
    pause().await;
    here()
}

type Shape = Pin<Box<dyn Future<Output = Option<String>>>>;

#[test]
fn every_async_shape_takes_its_parent_and_tenant_at_the_first_poll() {
    let shapes: [fn() -> Shape; 7] = [
        || Box::pin(function()),
        || Box::pin(Service.method()),
        || Box::pin(async { Service.look().await }),
        || Box::pin(returned()),
        || Box::pin(returned_by_another()),
        || boxed(),
        || Box::pin(tracium::start_span("tool", "shape").scope(returned_plainly())),
    ];
    for (number, shape) in shapes.into_iter().enumerate() {
        let recorder = Recorder::install();
        // Made in globex's trace, polled first in acme's, and then in globex's again.
        let globex = tracium::start_trace("made here").tenant("globex").open();
        let acme = tracium::start_trace("polled here").tenant("acme").open();
        let mut future = globex.context().run(shape);
        assert!(acme.context().run(|| poll(future.as_mut())).is_pending());
        let seen = globex.context().run(|| poll(future.as_mut()));
        assert_eq!(seen, std::task::Poll::Ready(Some("acme".to_owned())), "shape {number}");
        let span = find(&recorder.spans(), "shape").clone();
        assert_tenant(span.tenant.as_ref(), "acme");
        assert_eq!((Some(span.trace_id), Some(span.parent_id)), (acme.trace_id(), acme.id()), "shape {number}");
    }
}

#[tracium::trace(agent = "inner", new_trace)]
fn always_anew() {}

#[tracium::trace(agent = "inner")]
fn inner() {
    assert_ne!(current_span().id(), None);
    tool();
}

#[test]
fn a_trace_in_a_trace_is_a_span_of_it_unless_it_asks_for_its_own() {
    let recorder = Recorder::install();
    tracium::start_trace("outer").run(|| {
        inner();
        always_anew();
        tracium::start_trace("inner").new_trace().run(|| ());
    });
    let (traces, spans) = (recorder.traces(), recorder.spans());
    assert_eq!(traces.iter().map(|trace| trace.agent.as_str()).collect::<Vec<_>>(), ["outer", "inner", "inner"]);
    let agent = find(&spans, "inner");
    assert_eq!((agent.kind.as_str(), agent.parent_id), ("agent", traces[0].root_id));
    assert_eq!(find(&spans, "tool").parent_id, agent.id);
}

#[test]
fn a_span_outside_any_trace_runs_its_function_untouched() {
    let recorder = Recorder::install();
    assert_eq!(tool(), None);
    assert_eq!(under("acme").run(tool).as_deref(), Some("acme"));
    assert_eq!(run(tool_later()), None);
    assert_eq!(run(under("acme").scope(tool_later())).as_deref(), Some("acme"));
    assert!(recorder.traces().is_empty());
    assert!(recorder.spans().is_empty());
    assert!(!current_span().is_recording());
}

#[test]
fn recorders_of_tests_side_by_side_see_nothing_of_each_other() {
    let ours = Recorder::install();
    std::thread::spawn(|| {
        let theirs = Recorder::install();
        names_itself("globex").unwrap();
        assert_eq!(theirs.traces().len(), 1);
    })
    .join()
    .unwrap();
    assert!(ours.traces().is_empty());
}
