//! A context as the payload of a job: what it is under goes on where it is read.

use serde::{Deserialize, Serialize};
use tracium::testing::Recorder;
use tracium::{Context, current_span, current_trace};

use crate::support::{assert_here, tenant, under};

/// A job as an application would queue it.
#[derive(Serialize, Deserialize)]
struct Job {
    question: String,
    context: Context,
}

fn queued(context: Context) -> Context {
    let job = Job { question: "tea?".into(), context };
    let text = serde_json::to_string(&job).unwrap();
    let job: Job = serde_json::from_str(&text).unwrap();
    assert_eq!(job.question, "tea?");
    job.context
}

#[test]
fn a_context_goes_through_serde_and_back() {
    let recorder = Recorder::install();
    let (context, parent) = tracium::start_trace("bot").tenant("acme").run(|| {
        tracium::start_span("tool", "enqueue").run(|| (Context::current(), (current_trace().id(), current_span().id())))
    });
    let context = queued(context);
    let tenant = context.tenant().unwrap().clone();
    assert_eq!(tenant, "acme");
    let worker = std::thread::spawn(context.wrap(move || {
        assert_here("acme");
        assert_eq!((current_trace().id(), current_span().id()), parent);
        tracium::start_span("tool", "work").run(|| ());
    }));
    worker.join().unwrap();
    let spans = recorder.spans();
    assert_eq!(spans[1].name, "work");
    assert_eq!((Some(spans[1].trace_id), Some(spans[1].parent_id)), parent);
    assert_eq!(spans[1].tenant, Some(tenant));
    assert_eq!(recorder.traces().len(), 1, "it was opened once");
}

#[test]
fn a_context_without_a_trace_is_its_tenant() {
    assert_eq!(serde_json::to_value(under("acme")).unwrap(), serde_json::json!({"tenant": "acme"}));
    assert_eq!(serde_json::to_value(Context::root()).unwrap(), serde_json::json!({}));
    queued(under("Zürich-会社")).run(|| assert_here("Zürich-会社"));
    under("globex").run(|| queued(Context::root()).run(|| assert_here(None)));
}

#[test]
fn a_trace_id_of_the_applications_own_survives() {
    let _recorder = Recorder::install();
    let context = tracium::start_trace("bot").trace_id("order_17").run(Context::current);
    let value = serde_json::to_value(&context).unwrap();
    assert_eq!((value["external_id"].as_str(), value["agent"].as_str()), (Some("order_17"), Some("bot")));
    assert_eq!(serde_json::to_value(queued(context)).unwrap(), value);
}

#[test]
fn a_tenant_that_is_not_its_traces_stays_out_of_the_trace() {
    let recorder = Recorder::install();
    let work = || tracium::start_span("tool", "work").run(|| ());
    let (theirs, nobodys) = tracium::start_trace("bot").tenant("acme").run(|| {
        let ours = Context::current();
        (ours.clone().with_tenant(tenant("globex")), ours.with_tenant(None))
    });
    queued(theirs).run(work);
    queued(nobodys).run(work);
    let ours = recorder.traces()[0].id;
    for span in recorder.spans() {
        assert_ne!(span.trace_id, ours, "a span of {:?} is in acme's trace", span.tenant);
    }
}

#[test]
fn what_is_no_context_is_an_error_and_what_is_new_is_passed_over() {
    for wrong in [r#"{"tenant": ""}"#, r#"{"tenant": "a\nb"}"#, r#"{"trace_id": "x", "span_id": "y"}"#, "[]", "7"] {
        assert!(serde_json::from_str::<Context>(wrong).is_err(), "{wrong}");
    }
    let context: Context = serde_json::from_str(r#"{"tenant": "acme", "baggage": {"plan": ["gold"]}}"#).unwrap();
    assert_eq!(context.tenant(), Some(&tenant("acme")));
}
