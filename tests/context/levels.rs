//! Sync spans inside a scope, which share it: each is a scope of its own all the same.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tracium::testing::Recorder;
use tracium::{Context, TenantId, current_span, current_tenant, set_tenant};

#[tracium::span(kind = "tool")]
fn leaf() {}

#[tracium::span(kind = "plan")]
fn branch() {
    leaf();
    leaf();
}

#[tracium::span(kind = "plan")]
fn panics() {
    leaf();
    panic!("on purpose");
}

#[tracium::span(kind = "plan")]
fn sets(tenant: &str) -> String {
    set_tenant(tenant).unwrap();
    leaf();
    current_tenant().unwrap().to_string()
}

/// The name of a span's parent, or the agent's for the outermost.
fn parents(recorder: &Recorder) -> Vec<(String, String, u32)> {
    let (traces, spans) = (recorder.traces(), recorder.spans());
    let name = |id| {
        let span = spans.iter().find(|span| span.id == id).map(|span| span.name.clone());
        span.or_else(|| traces.iter().find(|trace| trace.root_id == id).map(|trace| trace.agent.clone())).unwrap()
    };
    spans.iter().map(|span| (span.name.clone(), name(span.parent_id), span.depth)).collect()
}

fn rows(expected: &[(&str, &str, u32)]) -> Vec<(String, String, u32)> {
    expected.iter().map(|(name, parent, depth)| ((*name).to_owned(), (*parent).to_owned(), *depth)).collect()
}

#[test]
fn spans_one_after_the_other_have_the_same_parent() {
    let recorder = Recorder::install();
    tracium::start_trace("bot").run(|| {
        branch();
        leaf();
        branch();
    });
    let branch = [("leaf", "branch", 2), ("leaf", "branch", 2), ("branch", "bot", 1)];
    assert_eq!(parents(&recorder), rows(&[&branch[..], &[("leaf", "bot", 1)], &branch[..]].concat()));
}

#[test]
fn a_span_that_panicked_leaves_its_parent_as_it_was() {
    let recorder = Recorder::install();
    tracium::start_trace("bot").run(|| {
        let root = current_span().id();
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!(current_span().id(), root);
        leaf();
    });
    assert_eq!(parents(&recorder), rows(&[("leaf", "panics", 2), ("panics", "bot", 1), ("leaf", "bot", 1)]));
}

#[test]
fn what_one_span_sets_the_next_does_not_see() {
    let recorder = Recorder::install();
    tracium::start_trace("bot").run(|| {
        for tenant in ["acme", "globex"] {
            assert_eq!(sets(tenant), tenant);
            assert_eq!(current_tenant(), None);
        }
        leaf();
    });
    let tenants: Vec<_> = recorder.spans().iter().map(|span| span.tenant.as_ref().map(ToString::to_string)).collect();
    let (acme, globex) = (Some("acme".to_owned()), Some("globex".to_owned()));
    assert_eq!(tenants, [acme, None, globex, None, None], "a span keeps the tenant that it opened under");
}

#[test]
fn a_span_of_another_tenant_leaves_the_trace_around_it_as_it_was() {
    let recorder = Recorder::install();
    tracium::start_trace("bot").tenant("acme").run(|| {
        let trace = current_span().trace_id();
        Context::current().with_tenant(TenantId::try_from("globex").unwrap()).run(|| {
            branch();
            assert!(!current_span().is_recording(), "the trace around belongs to another");
        });
        assert_eq!(current_span().trace_id(), trace);
        branch();
    });
    for span in recorder.spans() {
        let trace = recorder.traces().into_iter().find(|trace| trace.id == span.trace_id).unwrap();
        assert_eq!(trace.tenant, span.tenant);
    }
    assert_eq!(recorder.spans().len(), 6);
    assert_eq!(recorder.traces().len(), 2);
}

#[test]
fn a_thousand_spans_inside_each_other_end_in_turn() {
    #[tracium::span(kind = "plan")]
    fn down(depth: u32) {
        if depth > 1 {
            down(depth - 1);
        }
    }
    let recorder = Recorder::install();
    tracium::start_trace("bot").run(|| {
        down(1_000);
        leaf();
    });
    let spans = recorder.spans();
    assert_eq!(spans.len(), 1_001);
    assert!(spans[..1_000].iter().rev().zip(1..).all(|(span, depth)| span.depth == depth));
    assert_eq!(spans[1_000].depth, 1);
}
