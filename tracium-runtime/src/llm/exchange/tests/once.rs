//! A call that is seen more than once is told once, and so are its tokens.

use serde_json::json;

use super::fixtures;
use crate::testing::{RecordedStatus, Recorder};
use crate::trace::current_span;
use crate::{TokenUsage, private, start_span, start_trace};

/// A call of which all is seen.
fn call() {
    let fixture = fixtures::openai_chat();
    let mut call = fixture.seen.begin().unwrap();
    call.answered(200, Some("text/event-stream"), |_| None);
    call.chunk(&fixture.answers[1].1);
}

/// The same, of a stream that never tells its tokens.
fn call_without_tokens() {
    let mut call = fixtures::openai_chat().seen.begin().unwrap();
    call.answered(200, Some("application/json"), |_| None);
    call.chunk(br#"{"choices":[{"message":{"content":"Earl Grey"},"finish_reason":"stop"}]}"#);
}

const SEEN: TokenUsage = TokenUsage::new(1_200, 80).cached_input(1_024).reasoning(64);
const SAID: TokenUsage = TokenUsage::new(7, 7);

#[test]
fn tokens_of_a_call_beneath_a_span_of_kind_llm_are_the_calls_own() {
    let recorder = Recorder::install();
    start_trace("bot").run(|| {
        start_span("llm", "before").run(|| {
            current_span().set_token_usage(SAID);
            call();
        });
        start_span("llm", "after").run(|| {
            call();
            current_span().set_token_usage(SAID);
        });
        start_span("llm", "between").run(|| {
            start_span("tool", "client").run(call);
            current_span().set_token_usage(SAID);
        });
        start_span("llm", "outer").run(|| {
            current_span().set_token_usage(SAID);
            start_span("llm", "inner").run(call);
        });
        start_span("agent", "no call itself").run(|| {
            current_span().set_token_usage(SAID);
            call();
        });
        start_span("llm", "none seen").run(|| {
            call_without_tokens();
            current_span().set_token_usage(SAID);
        });
    });
    for span in recorder.spans() {
        let usage = match span.name.as_str() {
            "before" | "after" | "between" | "inner" | "client" => None,
            // Only the nearest one is the call.
            "outer" | "no call itself" | "none seen" => Some(SAID),
            _ if span.output == Some(json!("Earl Grey")) => None,
            _ => Some(SEEN),
        };
        assert_eq!(span.usage, usage, "{}", span.name);
    }
    assert_eq!(recorder.spans().iter().filter(|span| span.name == "chat gpt-4o").count(), 6);
}

#[test]
fn the_call_above_is_found_through_async_spans_and_threads() {
    let recorder = Recorder::install();
    crate::block_on(start_trace("bot").scope(async {
        let inner = async {
            let context = crate::Context::current();
            std::thread::spawn(move || context.run(call)).join().unwrap();
        };
        let between = start_span("tool", "between").scope(inner);
        start_span("llm", "above")
            .scope(async {
                between.await;
                current_span().set_token_usage(SAID);
            })
            .await;
        start_span("llm", "beside").scope(async { current_span().set_token_usage(SAID).clone() }).await;
    }));
    let usage = |name: &str| recorder.spans().iter().find(|span| span.name == name).unwrap().usage;
    assert_eq!((usage("above"), usage("beside"), usage("chat gpt-4o")), (None, Some(SAID), Some(SEEN)));
}

#[test]
fn a_call_of_another_tenant_is_no_part_of_the_one_above() {
    let recorder = Recorder::install();
    start_trace("bot").tenant("acme").run(|| {
        start_span("llm", "acme's").run(|| {
            current_span().set_token_usage(SAID);
            let globex = crate::TenantId::try_from("globex").unwrap();
            crate::Context::current().with_tenant(globex).run(call);
        });
    });
    let [theirs, ours] = &recorder.spans()[..] else { panic!("two spans") };
    assert_eq!((theirs.tenant.as_ref().unwrap().as_str(), theirs.usage), ("globex", Some(SEEN)));
    assert_eq!((ours.name.as_str(), ours.usage), ("acme's", Some(SAID)));
    assert_ne!(theirs.trace_id, ours.trace_id);
}

#[test]
fn a_call_of_another_tenant_is_no_part_of_a_span_in_a_trace_of_none() {
    let (acme, globex) = ["acme", "globex"].map(|id| crate::TenantId::try_from(id).unwrap()).into();
    for claims in [false, true] {
        let recorder = Recorder::install();
        let call_of_globex = || crate::Context::current().with_tenant(globex.clone()).run(call);
        start_trace("bot").run(|| {
            crate::Context::current().with_tenant(acme.clone()).run(|| {
                start_span("llm", "acme's").run(|| {
                    if claims {
                        private::claim_exchanges(&current_span());
                    }
                    current_span().set_token_usage(SAID);
                    call_of_globex();
                    start_span("tool", "between").run(call_of_globex);
                    let mut nested = fixtures::openai_chat().seen.begin().unwrap();
                    nested.context().run(call_of_globex);
                    nested.answered(500, Some("application/json"), |_| None);
                });
            });
        });
        let spans = recorder.spans();
        let of = |tenant: &str| spans.iter().filter(|span| span.tenant.as_ref().unwrap() == tenant).collect::<Vec<_>>();
        let theirs = of("globex");
        assert_eq!(theirs.len(), 3, "{spans:#?}");
        assert!(theirs.iter().all(|span| span.usage == Some(SEEN) && span.output.is_some()), "{theirs:#?}");
        let ours = of("acme").into_iter().find(|span| span.name == "acme's").unwrap();
        assert_eq!((ours.usage, &ours.output), (Some(SAID), &None));
    }
}

#[test]
fn vectors_and_moderation_beneath_a_span_of_kind_llm_are_no_part_of_it() {
    let recorder = Recorder::install();
    start_trace("bot").run(|| {
        start_span("llm", "ask").run(|| {
            current_span().set_token_usage(SAID);
            for (path, body) in
                [("/v1/embeddings", &br#"{"model":"m","input":"tea"}"#[..]), ("/v1/moderations", br#"{"input":"tea"}"#)]
            {
                let request = crate::llm::Request::new("POST", "api.openai.com", path).body(body);
                let mut call = crate::llm::Exchange::begin(&request).unwrap();
                call.answered(200, Some("application/json"), |_| None);
                call.chunk(br#"{"results":[],"usage":{"prompt_tokens":3,"total_tokens":3}}"#);
            }
        });
    });
    let usage: Vec<_> = recorder.spans().iter().map(|span| span.usage).collect();
    assert_eq!(usage, [Some(TokenUsage::new(3, 0)), Some(TokenUsage::new(3, 0)), Some(SAID)]);
}

#[test]
fn tokens_of_calls_one_after_the_other_beneath_a_span_that_claims_them_add_up() {
    let recorder = Recorder::install();
    start_trace("bot").run(|| {
        start_span("llm", "three").run(|| {
            private::claim_exchanges(&current_span());
            call();
            call_without_tokens();
            // Seen by two adapters.
            let fixture = fixtures::openai_chat();
            let mut outer = fixture.seen.begin().unwrap();
            outer.context().run(call);
            outer.answered(200, Some("application/json"), |_| None);
            outer.chunk(&fixture.answers[0].1);
            outer.end();
            // A call of its own, whose tokens are none of those that were seen.
            start_span("tool", "between").run(call);
            current_span().set_token_usage(SAID);
        });
    });
    let spans = recorder.spans();
    let three = spans.iter().find(|span| span.name == "three").unwrap();
    assert_eq!(three.usage, Some(TokenUsage::new(2_400, 160).cached_input(2_048).reasoning(128)));
    assert_eq!(spans.iter().filter(|span| span.usage == Some(SEEN)).count(), 1);
}

#[test]
fn a_call_that_is_seen_on_two_ways_with_a_span_between_is_counted_once() {
    for claims in [false, true] {
        let recorder = Recorder::install();
        start_trace("bot").run(|| {
            start_span("llm", "ask").run(|| {
                if claims {
                    private::claim_exchanges(&current_span());
                }
                let fixture = fixtures::openai_chat();
                let mut outer = fixture.seen.begin().unwrap();
                outer.context().run(|| start_span("tool", "between").run(call));
                outer.answered(200, Some("application/json"), |_| None);
                outer.chunk(&fixture.answers[0].1);
            });
        });
        let usages: Vec<_> = recorder.spans().iter().filter_map(|span| span.usage).collect();
        assert_eq!(usages, [SEEN], "{:#?}", recorder.spans());
    }
}

#[test]
fn an_exchange_beneath_an_exchange_is_the_same_call() {
    let recorder = Recorder::install();
    let fixture = fixtures::openai_chat();
    start_trace("bot").run(|| {
        let mut outer = fixture.seen.begin().unwrap();
        outer.context().run(call);
        assert!(recorder.spans().is_empty(), "the outer one goes on");
        outer.answered(200, Some("application/json"), |_| None);
        outer.chunk(&fixture.answers[0].1);
    });
    let [span] = &recorder.spans()[..] else { panic!("one call") };
    assert_eq!((span.usage, &span.output), (Some(SEEN), &Some(json!("Earl Grey, with marzipan."))));
}

#[test]
fn a_span_that_claims_exchanges_is_filled_by_them_and_the_last_try_decides() {
    for (statuses, failed) in
        [(&[200][..], false), (&[429, 200], false), (&[200, 500], true), (&[429, 500, 200], false)]
    {
        let recorder = Recorder::install();
        let fixture = fixtures::openai_chat();
        start_trace("bot").run(|| {
            start_span("llm", "chat by rig").run(|| {
                private::claim_exchanges(&current_span());
                for status in statuses {
                    let mut call = fixture.seen.begin().unwrap();
                    call.answered(*status, Some("application/json"), |_| None);
                    match status {
                        200 => call.chunk(&fixture.answers[0].1),
                        _ => call.chunk(br#"{"error":{"code":"busy","message":"later"}}"#),
                    }
                    call.end();
                }
            });
        });
        let [span] = &recorder.spans()[..] else { panic!("one call: {:?}", recorder.spans()) };
        assert_eq!(span.name, "chat by rig");
        assert_eq!(span.status == RecordedStatus::Failed, failed, "{statuses:?}");
        assert_eq!(span.error_type.as_deref(), failed.then_some("busy"));
        assert_eq!(span.call.http_status, statuses.last().copied());
        assert_eq!(span.usage, Some(SEEN), "of the try that was answered");
        assert_eq!(span.call.asked_model.as_deref(), Some("gpt-4o"));
    }
}

#[test]
fn a_response_is_read_where_it_is_handed_over() {
    for fixture in fixtures::all() {
        let recorder = Recorder::install();
        let answer: serde_json::Value = serde_json::from_slice(&fixture.answers[0].1).unwrap();
        start_trace("bot")
            .run(|| start_span("llm", "ask").run(|| drop(current_span().record_response(&answer).clone())));
        let seen = super::Seen { content_type: fixture.answers[0].0, ..fixture.seen };
        let seen = seen.in_pieces([fixture.answers[0].1.as_slice()]);
        let [span] = &recorder.spans()[..] else { panic!("one span") };
        assert_eq!((&span.output, &span.tool_calls, span.usage), (&seen.output, &seen.tool_calls, seen.usage));
        assert_eq!(span.call.finish_reasons, seen.call.finish_reasons);
        assert_eq!(span.call.response_id, seen.call.response_id);
        assert_eq!(span.call.answered_model, seen.call.answered_model);
    }
}

#[test]
fn tokens_behind_more_vectors_than_are_captured_are_read() {
    let recorder = Recorder::install();
    let vectors: Vec<_> = (0..100).map(|at| json!({"index": at, "embedding": vec![0.012_345_678_9; 1_536]})).collect();
    let response = [("data", json!(vectors)), ("usage", json!({"prompt_tokens": 8, "total_tokens": 8}))];
    let response = std::collections::BTreeMap::from(response);
    start_trace("bot").run(|| {
        start_span("embedding", "embed").run(|| drop(current_span().record_response(&response).clone()));
    });
    assert_eq!((recorder.spans()[0].usage, &recorder.spans()[0].output), (Some(TokenUsage::new(8, 0)), &None));
}

#[test]
fn a_value_that_only_looks_like_a_response_is_the_output() {
    let recorder = Recorder::install();
    let value = json!({"message": {"subject": "tea"}, "id": 7});
    start_trace("bot").run(|| start_span("llm", "ask").run(|| drop(current_span().record_response(&value).clone())));
    assert_eq!(recorder.spans()[0].output, Some(value));
}

#[test]
fn a_value_of_no_known_shape_is_the_output() {
    let recorder = Recorder::install();
    start_trace("bot").run(|| {
        start_span("llm", "ask")
            .run(|| drop(current_span().record_response(&json!({"poem": "tea", "password": "x"})).clone()));
    });
    assert_eq!(recorder.spans()[0].output, Some(json!({"poem": "tea", "password": "[redacted]"})));
}

#[test]
fn a_response_that_panics_or_fails_while_it_is_read_breaks_nothing() {
    struct Bad(bool);
    impl serde_core::Serialize for Bad {
        fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde_core::ser::{Error, SerializeMap};
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("id", "x")?;
            assert!(!self.0, "on purpose");
            Err(S::Error::custom("no"))
        }
    }
    let recorder = Recorder::install();
    start_trace("bot").run(|| {
        start_span("llm", "fails").run(|| drop(current_span().record_response(&Bad(false)).clone()));
        start_span("llm", "panics").run(|| drop(current_span().record_response(&Bad(true)).clone()));
    });
    assert!(recorder.spans().iter().all(|span| span.status == RecordedStatus::Completed));
}
