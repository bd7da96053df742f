//! Where bridged spans hang and whose they are, however they are entered and left.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Barrier};
use std::task::{Context as Waker, Poll};

use tracing::instrument::WithSubscriber;
use tracing::{Dispatch, Instrument, info_span};
use tracing_subscriber::prelude::*;
use tracium::testing::{RecordedSpan, RecordedStatus, Recorder};
use tracium::{Context, TenantId};

use super::{recorded, subscriber};

fn chat(model: &str) -> tracing::Span {
    info_span!(
        "chat",
        gen_ai.operation.name = "chat",
        gen_ai.request.model = model,
        gen_ai.prompt = tracing::field::Empty
    )
}

fn named<'a>(spans: &'a [RecordedSpan], name: &str) -> &'a RecordedSpan {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no span {name} in {spans:#?}"));
    assert!(found.next().is_none(), "two spans {name}");
    span
}

#[tracium::tool]
fn outer(work: impl FnOnce()) {
    work();
}

#[tracium::tool]
fn nearer(work: impl FnOnce()) {
    work();
}

#[tracium::tool]
fn inner() {}

#[tracium::span(kind = "tool")]
async fn inner_async() {
    tokio::task::yield_now().await;
}

fn tenant(id: &str) -> TenantId {
    TenantId::try_from(id).unwrap()
}

/// Polls `future` once: it must not be ready.
fn poll_once(future: std::pin::Pin<&mut impl Future>) {
    assert!(matches!(future.poll(&mut Waker::from_waker(std::task::Waker::noop())), Poll::Pending));
}

async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

#[test]
fn a_span_opens_under_what_is_current_and_is_current_while_it_is_entered() {
    let spans = recorded(|| {
        outer(|| {
            let agent = info_span!("agent", gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = "a");
            agent.in_scope(|| {
                inner();
                chat("m").in_scope(|| assert!(tracium::current_span().id().is_some()));
                nearer(|| tracium::start_span("tool", "nearest").run(|| ()));
            });
            // Left, not closed.
            tracium::start_span("tool", "after").run(|| ());
        });
    });
    let outer = named(&spans, "outer");
    let agent = named(&spans, "a");
    assert_eq!((outer.depth, agent.parent_id), (1, outer.id));
    assert_eq!((named(&spans, "inner").parent_id, named(&spans, "inner").depth), (agent.id, 3));
    assert_eq!(named(&spans, "chat m").parent_id, agent.id);
    assert_eq!(named(&spans, "nearer").parent_id, agent.id);
    assert_eq!(named(&spans, "nearest").parent_id, named(&spans, "nearer").id);
    assert_eq!(named(&spans, "after").parent_id, outer.id);
    assert!(spans.iter().all(|span| span.tenant.as_ref().unwrap() == "acme"));
}

#[test]
fn an_instrumented_futures_children_are_its_spans_over_awaits_and_in_spawned_tasks() {
    let recorder = Recorder::install();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let dispatch = Dispatch::new(subscriber());
    let work = async {
        let agent = info_span!("agent", gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = "a");
        async {
            inner_async().await;
            tokio::task::yield_now().await;
            tracium::spawn(tracium::start_span("tool", "spawned").scope(tokio::task::yield_now())).await.unwrap();
            tracium::start_span("tool", "scoped").scope(tokio::task::yield_now()).await;
        }
        .instrument(agent)
        .await;
        tracium::start_span("tool", "after").run(|| ());
    };
    runtime.block_on(tracium::start_trace("bot").tenant("acme").scope(work).with_subscriber(dispatch));
    let spans = recorder.spans();
    let agent = named(&spans, "a");
    assert_eq!(named(&spans, "inner_async").parent_id, agent.id);
    assert_eq!(named(&spans, "spawned").parent_id, agent.id);
    assert_eq!(named(&spans, "scoped").parent_id, agent.id);
    assert_eq!(named(&spans, "after").parent_id, agent.parent_id);
}

#[test]
fn outside_any_trace_nothing_is_recorded_and_nobody_is_told() {
    let recorder = Recorder::install();
    let acme = Context::root().with_tenant(tenant("acme"));
    tracing::subscriber::with_default(subscriber(), || {
        chat("m").in_scope(inner);
        acme.run(|| chat("m").in_scope(|| ()));
    });
    assert!(recorder.spans().is_empty() && recorder.traces().is_empty());
}

#[test]
fn spans_left_in_another_order_than_they_were_entered() {
    let spans = recorded(|| {
        let (a, b) = (chat("a"), chat("b"));
        let (in_a, in_b) = (a.enter(), b.enter());
        tracium::start_span("tool", "in both").run(|| ());
        drop(in_a);
        tracium::start_span("tool", "in b").run(|| ());
        drop(in_b);
        tracium::start_span("tool", "in none").run(|| ());
    });
    let (a, b) = (named(&spans, "chat a"), named(&spans, "chat b"));
    assert_eq!(b.parent_id, a.parent_id, "it was made before the other one was entered");
    assert_eq!(named(&spans, "in both").parent_id, b.id);
    assert_eq!(named(&spans, "in b").parent_id, b.id);
    assert_eq!(named(&spans, "in none").parent_id, a.parent_id);
}

/// What is entered in one scope and left in another counts in neither from then on.
#[test]
fn spans_left_in_another_scope_than_they_were_entered_in() {
    let spans = recorded(|| {
        let a = chat("a");
        let entered = a.clone().entered();
        // An async span that has to wait has a scope of its own.
        let mut inside = pin!(tracium::start_span("tool", "scope").scope(async move {
            yield_once().await;
            drop(entered);
        }));
        poll_once(inside.as_mut());
        tracium::block_on(inside);
        tracium::start_span("tool", "after").run(|| ());
        a.in_scope(|| tracium::start_span("tool", "again").run(|| ()));
    });
    let a = named(&spans, "chat a");
    assert_eq!(named(&spans, "scope").parent_id, a.id);
    assert_eq!(named(&spans, "after").parent_id, a.parent_id);
    assert_eq!(named(&spans, "again").parent_id, a.id);
}

#[test]
fn a_guard_that_is_forgotten_is_forgotten_with_the_function_that_it_was_forgotten_in() {
    let spans = recorded(|| {
        outer(|| {
            let a = chat("a");
            std::mem::forget(a.clone().entered());
            inner();
        });
        outer(|| tracium::start_span("tool", "in the next").run(|| ()));
        tracium::start_span("tool", "after").run(|| ());
        tracium::start_span("tool", "in a scope").run(|| {
            std::mem::forget(chat("b").entered());
        });
        tracium::start_span("tool", "last").run(|| ());
    });
    let outers: Vec<_> = spans.iter().filter(|span| span.name == "outer").collect();
    let root = outers[0].parent_id;
    assert_eq!(named(&spans, "in the next").parent_id, outers[1].id);
    assert_eq!(named(&spans, "after").parent_id, root);
    assert_eq!(named(&spans, "last").parent_id, root);
    assert!(outers.iter().all(|span| span.status == RecordedStatus::Completed));
}

#[test]
fn a_function_that_fails_while_a_span_is_entered_in_it_is_what_failed() {
    #[tracium::span(kind = "tool", output)]
    fn fails(forget: bool) -> Result<u8, std::io::Error> {
        let span = chat("m").entered();
        if forget {
            std::mem::forget(span);
        }
        Err(std::io::Error::other("no"))
    }
    for forget in [false, true] {
        let spans = recorded(|| assert!(fails(forget).is_err()));
        assert_eq!(named(&spans, "fails").error.as_deref(), Some("no"));
    }
}

#[test]
fn a_span_is_closed_on_whatever_thread_by_its_last_handle() {
    let recorder = Recorder::install();
    let dispatch = Dispatch::new(subscriber());
    tracing::dispatcher::with_default(&dispatch, || {
        tracium::start_trace("bot").tenant("acme").run(|| {
            let span = chat("m");
            let other = span.clone();
            drop(span);
            assert!(recorder.spans().is_empty(), "it has another handle");
            std::thread::spawn(move || {
                other.record("gen_ai.prompt", "from afar");
                drop(other);
            })
            .join()
            .unwrap();
        });
    });
    let span = &recorder.spans()[0];
    assert_eq!((span.tenant.clone(), span.input.clone()), (Some(tenant("acme")), Some(serde_json::json!("from afar"))));
    assert_eq!(span.trace_id, recorder.traces()[0].id);
}

#[test]
fn what_came_before_is_no_parent_and_a_named_parent_is() {
    let recorder = Recorder::install();
    // Another layer that wants all spans: without one, those that are nobody's are not even made.
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    let all = tracing_subscriber::registry().with(lines).with(tracium::layer());
    let work = || {
        let (a, b) = (chat("a"), chat("b"));
        b.follows_from(&a);
        let ours = info_span!(parent: &a, "chat", gen_ai.request.model = "c");
        let plain = info_span!(parent: &a, "http");
        let below = info_span!(parent: &plain, "chat", gen_ai.request.model = "d");
        drop((ours, below));
    };
    tracing::subscriber::with_default(all, || tracium::start_trace("agent").run(work));
    let spans = recorder.spans();
    let a = named(&spans, "chat a");
    assert_eq!(named(&spans, "chat b").parent_id, a.parent_id);
    assert_eq!(named(&spans, "chat c").parent_id, a.id);
    assert_eq!(named(&spans, "chat d").parent_id, a.id, "the nearest of ours");
}

#[test]
fn a_named_parent_is_followed_outside_any_scope_and_never_into_another_tenants() {
    let recorder = Recorder::install();
    tracing::subscriber::with_default(subscriber(), || {
        let a = tracium::start_trace("bot").tenant("acme").run(|| chat("a"));
        info_span!(parent: &a, "chat", gen_ai.request.model = "outside");
        tracium::start_trace("bot")
            .tenant("globex")
            .run(|| info_span!(parent: &a, "chat", gen_ai.request.model = "other"));
    });
    let spans = recorder.spans();
    let a = named(&spans, "chat a");
    assert_eq!(
        (named(&spans, "chat outside").parent_id, named(&spans, "chat outside").tenant.clone()),
        (a.id, a.tenant.clone())
    );
    let other = named(&spans, "chat other");
    assert_eq!(other.tenant, Some(tenant("globex")));
    assert_eq!((other.trace_id, other.parent_id), (recorder.traces()[1].id, recorder.traces()[1].root_id));
}

/// A guard over an await: the next task on this thread runs while `tracing` still has the first one's span.
#[test]
fn a_guard_held_over_an_await_is_no_other_tasks_context() {
    let recorder = Recorder::install();
    tracing::subscriber::with_default(subscriber(), || {
        let mut first = pin!(tracium::start_trace("first").tenant("acme").scope(async {
            let span = chat("acme");
            let _entered = span.enter();
            yield_once().await;
            inner();
        }));
        poll_once(first.as_mut());
        // Another tenant's.
        tracium::start_trace("second").tenant("globex").run(|| {
            tracium::start_span("tool", "globex").run(|| ());
            chat("globex").in_scope(|| tracium::start_span("tool", "globex beneath").run(|| ()));
            tracing::Span::current().record("gen_ai.prompt", "the secret of globex");
            tracing::error!("the error of globex");
            tracing::error!(parent: tracing::Span::current(), "the error of globex");
            tracing::info!(gen_ai.completion = "the secret of globex");
            info_span!(parent: tracing::Span::current(), "chat", gen_ai.request.model = "globex named");
        });
        // Nobody's: outside any scope.
        chat("nobody").in_scope(inner);
        info_span!(parent: tracing::Span::current(), "chat", gen_ai.request.model = "nobody named");
        tracing::Span::current().record("gen_ai.prompt", "the secret of nobody");
        tracing::error!("the error of nobody");
        tracing::error!(parent: tracing::Span::current(), "the error of nobody");
        // Of the same tenant, and another trace.
        tracium::start_trace("third").tenant("acme").run(|| {
            inner();
            tracing::error!("the error of the third");
        });
        tracium::block_on(first);
    });
    let traces = recorder.traces();
    let [first, second, third] = &traces[..] else { panic!("{traces:#?}") };
    let spans = recorder.spans();
    let acme = named(&spans, "chat acme");
    assert_eq!(
        (acme.status, acme.input.clone(), acme.output.clone()),
        (RecordedStatus::Completed, None, None),
        "{acme:#?}"
    );
    for (name, parent) in [
        ("globex", second.root_id),
        ("chat globex", second.root_id),
        ("globex beneath", named(&spans, "chat globex").id),
        ("chat globex named", second.root_id),
    ] {
        let span = named(&spans, name);
        assert_eq!((span.trace_id, span.parent_id), (second.id, parent), "{name}");
        assert_eq!(span.tenant, Some(tenant("globex")));
    }
    let inners: Vec<_> = spans.iter().filter(|span| span.name == "inner").map(|span| span.parent_id).collect();
    assert_eq!(inners, [third.root_id, acme.id], "in its own task it is still entered");
    assert_eq!((acme.trace_id, acme.parent_id), (first.id, first.root_id));
    assert!(!spans.iter().any(|span| span.name.starts_with("chat nobody")));
}

/// Two tenants' work side by side in one trace of none: the same trace and the same span above, but not the same tenant.
#[test]
fn a_guard_held_over_an_await_is_no_other_tenants_context_in_a_trace_of_none() {
    let recorder = Recorder::install();
    tracing::subscriber::with_default(subscriber(), || {
        tracium::start_trace("shared").run(|| {
            let of = |id: &str| Context::current().with_tenant(tenant(id));
            let mut first = pin!(of("acme").scope(async {
                let span = chat("acme");
                let _entered = span.enter();
                yield_once().await;
            }));
            poll_once(first.as_mut());
            of("globex").run(|| {
                inner();
                tracing::Span::current().record("gen_ai.prompt", "the secret of globex");
                tracing::error!("the error of globex");
            });
            tracium::block_on(first);
        });
    });
    let spans = recorder.spans();
    let root = recorder.traces()[0].root_id;
    let inner = named(&spans, "inner");
    assert_eq!((inner.parent_id, inner.tenant.clone()), (root, Some(tenant("globex"))));
    let acme = named(&spans, "chat acme");
    assert_eq!(
        (acme.tenant.clone(), acme.input.clone(), acme.status),
        (Some(tenant("acme")), None, RecordedStatus::Completed)
    );
}

/// Under another tenant than its trace's, a span opens a trace of its own; what is beneath it is in that one.
#[test]
fn another_tenants_work_and_all_beneath_it_is_in_one_trace_of_its_own() {
    let recorder = Recorder::install();
    tracing::subscriber::with_default(subscriber(), || {
        tracium::start_trace("bot").tenant("acme").run(|| {
            Context::current().with_tenant(tenant("globex")).run(|| {
                info_span!("agent", gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = "a").in_scope(|| {
                    inner();
                    tracium::current_span().add_metadata("noted", &true);
                    chat("m").in_scope(|| tracium::block_on(inner_async()));
                });
                tracium::start_span("tool", "after").run(|| ());
            });
        });
    });
    let spans = recorder.spans();
    let agent = named(&spans, "a");
    assert_ne!(agent.trace_id, recorder.traces()[0].id);
    assert_eq!(super::metadata(agent, "noted"), true);
    for (name, parent) in [("inner", "a"), ("chat m", "a"), ("inner_async", "chat m")] {
        let span = named(&spans, name);
        assert_eq!((span.trace_id, span.parent_id), (agent.trace_id, named(&spans, parent).id), "{name}");
    }
    assert!(spans.iter().all(|span| span.tenant == Some(tenant("globex"))));
    assert_ne!(named(&spans, "after").trace_id, agent.trace_id);
}

#[test]
fn a_tenant_that_is_set_beneath_is_not_the_spans() {
    let spans = recorded(|| {
        Context::current().with_tenant(None).run(|| {
            let a = chat("a");
            a.in_scope(|| {
                tracium::set_tenant("globex").unwrap();
                inner();
                tracing::error!("the error of globex");
            });
        });
    });
    let (a, inner) = (named(&spans, "chat a"), named(&spans, "inner"));
    assert_eq!((a.tenant.clone(), inner.tenant.clone()), (None, Some(tenant("globex"))));
    assert_ne!(inner.parent_id, a.id);
    assert_eq!(a.status, RecordedStatus::Completed);
}

/// 1,000 tasks of 50 tenants on four threads, each with spans of ours and of `tracing`'s inside each other.
#[test]
fn a_thousand_tasks_of_fifty_tenants_keep_their_spans() {
    let recorder = Recorder::install();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let dispatch = Dispatch::new(subscriber());
    let sink = Context::current();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..1_000_usize)
            .map(|number| {
                let every = dispatch.clone();
                let task = tracium::start_trace("bot").tenant(format!("tenant-{}", number % 50)).scope(async move {
                    let agent = info_span!(
                        "agent",
                        gen_ai.operation.name = "invoke_agent",
                        gen_ai.agent.name = format!("agent {number}")
                    );
                    async move {
                        tokio::task::yield_now().await;
                        let call = info_span!(
                            "chat",
                            gen_ai.request.model = format!("{number}"),
                            gen_ai.prompt = tracing::field::Empty
                        );
                        async {
                            inner_async().await;
                            tracing::Span::current().record("gen_ai.prompt", format!("of {}", number % 50));
                            tokio::task::yield_now().await;
                            inner();
                        }
                        .instrument(call.clone())
                        .await;
                        // Closed by whoever comes last.
                        // The registry closes a span's parent by whatever subscriber the thread has.
                        let last = async move {
                            tokio::task::yield_now().await;
                            drop(call);
                        };
                        tracium::spawn(last.with_subscriber(every)).await.unwrap();
                    }
                    .instrument(agent)
                    .await;
                });
                tokio::spawn(sink.scope(task).with_subscriber(dispatch.clone()))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let (traces, spans) = (recorder.traces(), recorder.spans());
    let count = |kind: &str| spans.iter().filter(|span| span.kind == kind).count();
    assert_eq!((traces.len(), count("agent"), count("llm"), count("tool")), (1_000, 1_000, 1_000, 2_000));
    let of_trace: std::collections::HashMap<_, _> = traces.iter().map(|trace| (trace.id, trace)).collect();
    let by_id: std::collections::HashMap<_, _> = spans.iter().map(|span| (span.id, span)).collect();
    for span in &spans {
        let trace = of_trace[&span.trace_id];
        assert_eq!(span.tenant, trace.tenant);
        let number = trace.tenant.as_ref().unwrap().as_str().strip_prefix("tenant-").unwrap();
        let parent = by_id.get(&span.parent_id);
        assert!(parent.is_none_or(|parent| parent.trace_id == span.trace_id));
        match span.kind.as_str() {
            "agent" => assert_eq!(span.parent_id, trace.root_id),
            "llm" => {
                assert_eq!(parent.unwrap().kind, "agent");
                assert_eq!(span.input, Some(serde_json::json!(format!("of {number}"))));
            }
            _ => assert_eq!(parent.unwrap().kind, "llm"),
        }
    }
}

/// The same span on two threads at once, entered and left over each other.
#[test]
fn a_span_entered_on_several_threads_at_once_is_each_ones_own_matter() {
    let recorder = Recorder::install();
    let dispatch = Dispatch::new(subscriber());
    tracing::dispatcher::with_default(&dispatch, || {
        tracium::start_trace("bot").tenant("acme").run(|| {
            let span = chat("m");
            let barrier = Arc::new(Barrier::new(3));
            let ours = Context::current();
            let theirs = Context::root().with_tenant(tenant("globex"));
            let threads: Vec<_> = [ours.clone(), ours, theirs]
                .into_iter()
                .map(|context| {
                    let (span, barrier, dispatch) = (span.clone(), Arc::clone(&barrier), dispatch.clone());
                    std::thread::spawn(move || {
                        tracing::dispatcher::with_default(&dispatch, || {
                            context.run(|| {
                                span.in_scope(|| {
                                    barrier.wait();
                                    inner();
                                    barrier.wait();
                                });
                            });
                        });
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    });
    let spans = recorder.spans();
    let call = named(&spans, "chat m");
    let inners: Vec<_> = spans.iter().filter(|span| span.name == "inner").collect();
    assert_eq!(inners.len(), 2, "the third is outside any trace");
    assert!(inners.iter().all(|inner| inner.parent_id == call.id));
}
