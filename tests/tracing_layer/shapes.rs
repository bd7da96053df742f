//! The spans as the libraries make them, field by field: targets, names, fields and values are theirs.

use serde_json::json;
use tracing::field::Empty;
use tracing::{Level, event, info_span};
use tracium::TokenUsage;
use tracium::testing::RecordedStatus;

use super::{metadata, recorded};

/// rig-core 0.44: `telemetry::SpanBuilder`.
#[test]
fn rig_chat() {
    let spans = recorded(|| {
        let span = info_span!(
            target: "rig::completions",
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = "openai",
            gen_ai.request.model = "gpt-4o",
            gen_ai.system_instructions = Some(r#"[{"type":"text","content":"be brief"}]"#),
            gen_ai.request.stream = Empty,
            gen_ai.response.id = Empty,
            gen_ai.response.model = Empty,
            rig.provider_request_id = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            gen_ai.usage.cache_creation.input_tokens = Empty,
            gen_ai.usage.tool_use_prompt_tokens = Empty,
            gen_ai.usage.reasoning_tokens = Empty,
            gen_ai.input.messages = Empty,
            gen_ai.output.messages = Empty
        );
        span.record("gen_ai.request.stream", false);
        span.record(
            "gen_ai.input.messages",
            r#"[{"role":"user","parts":[{"type":"text","content":"tea?"}]}]"#.to_owned(),
        );
        span.record("gen_ai.response.id", "chatcmpl-1");
        span.record("gen_ai.response.model", "gpt-4o-2024-08-06");
        span.record("gen_ai.usage.input_tokens", 812_u64);
        span.record("gen_ai.usage.output_tokens", 64_u64);
        span.record("gen_ai.usage.cache_read.input_tokens", 512_u64);
        span.record("gen_ai.usage.reasoning_tokens", 9_u64);
        span.record("rig.provider_request_id", "req_1");
        let answer = r#"[{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"search","arguments":{"q":"tea"}}],"finish_reason":"tool_call"}]"#;
        span.record("gen_ai.output.messages", answer.to_owned());
    });
    let span = &spans[0];
    assert_eq!((span.kind.as_str(), span.name.as_str()), ("llm", "chat gpt-4o"));
    assert_eq!(span.model.as_deref(), Some("gpt-4o"));
    assert_eq!(span.usage, Some(TokenUsage::new(812, 64).cached_input(512).reasoning(9)));
    let input = json!({
        "system": [{"type": "text", "content": "be brief"}],
        "messages": [{"role": "user", "parts": [{"type": "text", "content": "tea?"}]}],
    });
    assert_eq!(span.input, Some(input));
    assert_eq!(span.output.as_ref().unwrap()[0]["parts"][0]["arguments"], json!({"q": "tea"}));
    let call = &span.call;
    assert_eq!((call.operation.as_str(), call.provider.as_deref()), ("chat", Some("openai")));
    assert_eq!(call.asked_model.as_deref(), Some("gpt-4o"));
    assert_eq!(call.answered_model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!(call.response_id.as_deref(), Some("chatcmpl-1"));
    assert_eq!(call.request_id.as_deref(), Some("req_1"));
    assert!(span.metadata.is_empty(), "{:?}", span.metadata);
    assert_eq!(span.status, RecordedStatus::Completed);
    assert_eq!(span.depth, 1);
}

/// rig-agent 0.44: `agent::telemetry`; a run, its turns, its tools.
#[test]
fn rig_agent_tools_and_the_usage_of_a_run() {
    let spans = recorded(|| {
        let run = info_span!(
            parent: None,
            "invoke_agent",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.agent.name = "helper",
            gen_ai.system_instructions = Option::<&str>::None,
            gen_ai.prompt = Empty,
            gen_ai.completion = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            gen_ai.usage.cache_creation.input_tokens = Empty,
            gen_ai.usage.tool_use_prompt_tokens = Empty,
            gen_ai.usage.reasoning_tokens = Empty,
        );
        run.record("gen_ai.prompt", "find tea");
        run.in_scope(|| {
            let chat = info_span!(
                target: "rig::agent_chat",
                parent: tracing::Span::current(),
                "chat",
                rig.completion_parent = true,
                gen_ai.operation.name = "chat",
                gen_ai.provider.name = Empty,
                gen_ai.request.model = Empty,
                gen_ai.usage.input_tokens = Empty,
                gen_ai.usage.output_tokens = Empty,
                gen_ai.agent.name = "helper",
            );
            chat.in_scope(|| {
                // The completion's instrumentation finds the span that the agent made for it.
                let current = tracing::Span::current();
                current.record("gen_ai.provider.name", "anthropic");
                current.record("gen_ai.request.model", "claude-sonnet-4-5");
            });
            chat.record("gen_ai.usage.input_tokens", 10_u64);
            chat.record("gen_ai.usage.output_tokens", 2_u64);
            drop(chat);
            let tool = info_span!(
                "execute_tool",
                gen_ai.operation.name = "execute_tool",
                gen_ai.tool.type = "function",
                gen_ai.tool.name = Empty,
                gen_ai.tool.call.id = Empty,
                gen_ai.tool.call.arguments = Empty,
                gen_ai.tool.call.result = Empty,
                gen_ai.tool.call.outcome = Empty,
                gen_ai.tool.error.type = Empty
            );
            tool.in_scope(|| {
                let tool = tracing::Span::current();
                tool.record("gen_ai.tool.name", "search");
                tool.record("gen_ai.tool.call.id", tracing::field::display("call_1"));
                tool.record("gen_ai.tool.call.arguments", r#"{"q":"tea"}"#);
                tool.record("gen_ai.tool.call.outcome", "error");
                tool.record("gen_ai.tool.error.type", "timeout");
                tool.record("gen_ai.tool.call.result", "Error: it took too long");
            });
        });
        run.record("gen_ai.completion", "no tea");
        run.record("gen_ai.usage.input_tokens", 10_u64);
        run.record("gen_ai.usage.output_tokens", 2_u64);
    });
    let [chat, tool, run] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((run.kind.as_str(), run.name.as_str()), ("agent", "helper"));
    assert_eq!(run.usage, None, "a sum, which would be counted twice");
    assert!(!format!("{:?}", run.metadata).contains("usage"), "{:?}", run.metadata);
    assert_eq!((run.input.clone(), run.output.clone()), (Some(json!("find tea")), Some(json!("no tea"))));
    assert_eq!(chat.parent_id, run.id);
    assert_eq!((chat.kind.as_str(), chat.name.as_str()), ("llm", "chat claude-sonnet-4-5"));
    assert_eq!(chat.usage, Some(TokenUsage::new(10, 2)));
    assert_eq!(metadata(chat, "gen_ai.agent.name"), "helper");
    assert_eq!(tool.parent_id, run.id);
    assert_eq!((tool.kind.as_str(), tool.name.as_str()), ("tool", "search"));
    assert_eq!(tool.input, Some(json!({"q": "tea"})));
    assert_eq!(tool.output, Some(json!("Error: it took too long")));
    assert_eq!(metadata(tool, "gen_ai.tool.call.id"), "call_1");
    assert_eq!((tool.status, tool.error.as_deref()), (RecordedStatus::Failed, Some("timeout")));
}

/// rig-core 0.44: a request that is no completion.
#[test]
fn rig_modalities() {
    let spans = recorded(|| {
        for operation in ["embeddings", "rerank", "image_generation"] {
            info_span!(
                target: "rig::modalities",
                "modality",
                gen_ai.operation.name = operation,
                gen_ai.provider.name = "cohere",
                gen_ai.request.model = "m",
                gen_ai.usage.input_tokens = 8_u64,
            );
        }
    });
    let kinds: Vec<_> = spans.iter().map(|span| (span.kind.as_str(), span.name.as_str())).collect();
    assert_eq!(kinds, [("embedding", "embeddings m"), ("rerank", "rerank m"), ("llm", "image_generation m")]);
    assert!(spans.iter().all(|span| span.usage == Some(TokenUsage::new(8, 0))));
}

/// genai 0.7: `otel::span`.
#[test]
fn genai_chat() {
    let spans = recorded(|| {
        let span = info_span!(
            "genai.chat",
            "otel.name" = "chat claude-opus-4",
            "otel.kind" = "client",
            "otel.status_code" = Empty,
            "error.type" = Empty,
            "gen_ai.operation.name" = "chat",
            "gen_ai.provider.name" = "anthropic",
            "gen_ai.request.model" = "claude-opus-4",
            "gen_ai.request.stream" = true,
            "gen_ai.request.temperature" = Empty,
            "gen_ai.request.stop_sequences" = Empty,
            "server.address" = Empty,
            "server.port" = Empty,
            "gen_ai.response.model" = Empty,
            "gen_ai.response.finish_reasons" = Empty,
            "gen_ai.usage.input_tokens" = Empty,
            "gen_ai.usage.output_tokens" = Empty,
            "gen_ai.usage.cache_read.input_tokens" = Empty,
            "gen_ai.usage.cache_creation.input_tokens" = Empty,
            "gen_ai.usage.reasoning.output_tokens" = Empty,
            "gen_ai.response.time_to_first_chunk" = Empty,
            "gen_ai.tool.definitions" = Empty,
        );
        span.record("gen_ai.request.temperature", 0.7);
        span.record("gen_ai.request.stop_sequences", r#"["END"]"#);
        span.record("server.address", "api.anthropic.com");
        span.record("server.port", 443_i64);
        span.record("gen_ai.tool.definitions", r#"[{"type":"function","name":"search"}]"#);
        span.record("gen_ai.response.time_to_first_chunk", 0.25);
        span.record("gen_ai.response.finish_reasons", r#"["end_turn"]"#);
        span.record("gen_ai.usage.input_tokens", 1_500_i64);
        span.record("gen_ai.usage.output_tokens", 20_i64);
        span.record("gen_ai.usage.cache_read.input_tokens", 1_000_i64);
        span.record("gen_ai.usage.cache_creation.input_tokens", 300_i64);
        span.record("gen_ai.usage.reasoning.output_tokens", 7_i64);
    });
    let span = &spans[0];
    assert_eq!((span.kind.as_str(), span.name.as_str()), ("llm", "chat claude-opus-4"));
    let usage = TokenUsage::new(1_500, 20).cached_input(1_000).cache_creation_input(300).reasoning(7);
    assert_eq!(span.usage, Some(usage));
    assert_eq!(span.tools, Some(json!([{"type": "function", "name": "search"}])));
    assert_eq!(span.call.finish_reasons, ["end_turn"]);
    assert_eq!(span.call.time_to_first_token, Some(std::time::Duration::from_millis(250)));
    assert_eq!(metadata(span, "gen_ai.request.temperature"), 0.7);
    assert_eq!(metadata(span, "gen_ai.request.stop_sequences"), json!(["END"]));
    assert_eq!(metadata(span, "server.port"), 443);
    assert_eq!(metadata(span, "otel.kind"), json!(null), "none of the conventions");
}

/// genai 0.7: an error, and the builders for agents.
#[test]
fn genai_errors_and_agents() {
    let spans = recorded(|| {
        let span = info_span!(
            "genai.embeddings",
            "otel.name" = "embeddings e",
            "otel.status_code" = Empty,
            "error.type" = Empty,
            "gen_ai.operation.name" = "embeddings",
            "gen_ai.request.model" = "e",
        );
        span.record("otel.status_code", "error");
        span.record("error.type", "429");
        drop(span);
        let agent = info_span!(
            "genai.agent",
            "otel.name" = "create_agent Greeter",
            "gen_ai.operation.name" = "create_agent",
            "gen_ai.agent.name" = Empty,
            "gen_ai.agent.id" = Empty,
        );
        agent.record("gen_ai.agent.name", "Greeter");
        agent.record("gen_ai.agent.id", "agent_1");
        drop(agent);
        info_span!(
            "genai.invoke_workflow",
            "otel.name" = "w",
            "gen_ai.operation.name" = "invoke_workflow",
            "gen_ai.workflow.name" = "daily"
        );
        info_span!(
            "genai.plan",
            "otel.name" = "plan Greeter",
            "gen_ai.operation.name" = "plan",
            "gen_ai.agent.name" = "Greeter"
        );
        info_span!(
            "genai.evaluation.result",
            "otel.name" = "gen_ai.evaluation.result",
            "gen_ai.evaluation.name" = "Relevance",
            "gen_ai.evaluation.score.value" = 4.0
        );
    });
    let kinds: Vec<_> = spans.iter().map(|span| (span.kind.as_str(), span.name.as_str())).collect();
    assert_eq!(
        kinds,
        [
            ("embedding", "embeddings e"),
            ("agent", "Greeter"),
            ("workflow", "daily"),
            ("plan", "plan Greeter"),
            ("evaluation", "Relevance")
        ]
    );
    assert_eq!((spans[0].status, spans[0].error.as_deref()), (RecordedStatus::Failed, Some("429")));
    assert_eq!(metadata(&spans[1], "gen_ai.agent.id"), "agent_1");
    assert_eq!(metadata(&spans[4], "gen_ai.evaluation.score.value"), 4.0);
}

/// langchain-rust 7: `observability`, `agent::executor`, `chain`.
#[test]
fn langchain_rust() {
    let spans = recorded(|| {
        let run = info_span!(target: "langchain_rust::agent::executor", "agent.run", max_iterations = Some(5), steps = Empty, total_tokens = Empty, error = Empty);
        run.in_scope(|| {
            let chain = info_span!(target: "langchain_rust::chain::llm_chain", "chain.call", chain = "llm_chain", error = Empty);
            chain.in_scope(|| {
                let llm = info_span!(
                    target: "langchain_rust::observability",
                    "llm.generate",
                    provider = "openai",
                    model = "gpt-4o",
                    stream = false,
                    prompt_tokens = Empty,
                    completion_tokens = Empty,
                    total_tokens = Empty,
                    tool_calls = Empty,
                    error = Empty,
                );
                llm.record("prompt_tokens", 9_u32);
                llm.record("completion_tokens", 2_u32);
                llm.record("total_tokens", 11_u32);
                llm.record("tool_calls", 1_usize);
            });
            let tool = info_span!(target: "langchain_rust::agent::executor", "tool.call", tool = %"Search", error = Empty);
            tool.record("error", tracing::field::display("no such index"));
            tool.in_scope(|| tracing::warn!(target: "langchain_rust::observability", error = %"no such index", "{} failed", "tool.call"));
        });
        run.record("total_tokens", 11_u32);
        drop(run);
        info_span!(target: "langchain_rust::observability", "embed.query", provider = "openai", model = "e", count = 1, error = Empty);
        // Not one of its spans.
        info_span!(target: "langchain_rusty", "llm.generate", prompt_tokens = 1);
    });
    let [llm, tool, chain, run, embed] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((llm.kind.as_str(), llm.name.as_str()), ("llm", "chat gpt-4o"));
    assert_eq!((llm.usage, llm.parent_id), (Some(TokenUsage::new(9, 2)), chain.id));
    assert_eq!(llm.call.provider.as_deref(), Some("openai"));
    assert_eq!((chain.kind.as_str(), chain.name.as_str(), chain.usage), ("workflow", "llm_chain", None));
    assert_eq!((tool.kind.as_str(), tool.name.as_str()), ("tool", "Search"));
    assert_eq!((tool.status, tool.error.as_deref()), (RecordedStatus::Failed, Some("no such index")));
    assert_eq!((run.kind.as_str(), run.name.as_str(), run.usage), ("agent", "agent.run", None));
    assert_eq!(run.status, RecordedStatus::Completed, "its tool failed, and it went on");
    assert_eq!((embed.kind.as_str(), embed.name.as_str()), ("embedding", "embeddings e"));
}

/// swiftide 0.32: agents, tools in tasks of their own, and what its feature `langfuse` says of a completion.
#[test]
fn swiftide() {
    let spans = recorded(|| {
        info_span!(target: "swiftide_agents::agent", "agent.query").in_scope(|| {
            event!(target: "swiftide_agents::agent", Level::DEBUG, langfuse.input = "find tea");
            let step = info_span!(target: "swiftide_agents::agent", "step", otel.name = Empty);
            step.in_scope(|| {
                let complete = info_span!(target: "swiftide_integrations::openai::chat_completion", "complete", langfuse.r#type = "GENERATION");
                complete.in_scope(|| {
                    event!(target: "swiftide_integrations::openai::chat_completion", Level::DEBUG,
                        langfuse.model = "gpt-4o",
                        langfuse.input = "{\n  \"messages\": [{\"role\": \"user\", \"content\": \"find tea\"}]\n}",
                        langfuse.output = "{\"message\": \"none\"}",
                        langfuse.usage = "{\"prompt_tokens\": 9, \"completion_tokens\": 2, \"total_tokens\": 11}",
                    );
                });
                let tool = info_span!(target: "swiftide_agents::agent", "tool", "otel.name" = format!("tool.{}", "search"));
                tool.in_scope(|| event!(target: "swiftide_agents::agent", Level::DEBUG, langfuse.output = %"[]", langfuse.input = Some("{\"q\":1}"), tool_name = "search"));
            });
        });
        info_span!(target: "swiftide_integrations::anthropic::chat_completion", "complete").in_scope(|| {
            tracing::error!(target: "swiftide_integrations::anthropic::chat_completion", error = %"overloaded");
        });
    });
    let [tool, complete, agent, other] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((complete.kind.as_str(), complete.name.as_str()), ("llm", "chat gpt-4o"));
    assert_eq!((complete.usage, complete.parent_id), (Some(TokenUsage::new(9, 2)), agent.id));
    assert_eq!(complete.input.as_ref().unwrap()["messages"][0]["content"], "find tea");
    assert_eq!(complete.output, Some(json!({"message": "none"})));
    assert_eq!(complete.call.provider.as_deref(), Some("openai"));
    assert_eq!((tool.kind.as_str(), tool.name.as_str(), tool.parent_id), ("tool", "search", agent.id));
    assert_eq!((tool.input.clone(), tool.output.clone()), (Some(json!({"q": 1})), Some(json!([]))));
    assert_eq!((agent.kind.as_str(), agent.name.as_str()), ("agent", "agent.query"));
    assert_eq!(agent.input, Some(json!("find tea")));
    assert_eq!((other.kind.as_str(), other.name.as_str()), ("llm", "complete"));
    assert_eq!(other.error.as_deref(), Some("overloaded"));
    assert_eq!(other.call.provider.as_deref(), Some("anthropic"));
}

#[test]
fn the_conventions_old_names_count_as_the_new_ones() {
    let spans = recorded(|| {
        info_span!(
            "openai.chat",
            gen_ai.system = "az.ai.openai",
            gen_ai.request.model = "gpt-4o",
            gen_ai.usage.prompt_tokens = "12",
            gen_ai.usage.completion_tokens = ?3,
            gen_ai.response.finish_reasons = ?["stop", "length"],
            "gen_ai.prompt.0.role" = "user",
            "gen_ai.prompt.0.content" = "tea?",
            "gen_ai.completion.0.role" = "assistant",
            "gen_ai.completion.0.content" = "Earl Grey",
            "gen_ai.completion.0.finish_reason" = "stop",
        );
    });
    let span = &spans[0];
    assert_eq!((span.kind.as_str(), span.name.as_str()), ("llm", "chat gpt-4o"));
    assert_eq!(span.usage, Some(TokenUsage::new(12, 3)));
    assert_eq!(span.input, Some(json!([{"role": "user", "content": "tea?"}])));
    assert_eq!(span.output, Some(json!([{"role": "assistant", "content": "Earl Grey", "finish_reason": "stop"}])));
    assert_eq!(span.call.provider.as_deref(), Some("azure.ai.openai"));
    assert_eq!(span.call.finish_reasons, ["stop", "length"]);
}

#[test]
fn other_spans_are_left_alone_and_other_fields_left_out_unless_they_are_asked_for() {
    let work = || {
        tracing::info_span!(target: "app", "handler", user = 7, secret = "s3").in_scope(|| {
            info_span!("chat", gen_ai.request.model = "m", gen_ai.new_thing = "said", app.shard = 3);
        });
    };
    let spans = recorded(work);
    assert_eq!(spans.len(), 1, "{spans:#?}");
    assert_eq!(metadata(&spans[0], "app.shard"), json!(null));
    assert_eq!(metadata(&spans[0], "gen_ai.new_thing"), json!(null));

    use tracing_subscriber::prelude::*;
    let recorder = tracium::testing::Recorder::install();
    let asked = tracing_subscriber::registry().with(tracium::layer_with(|metadata| match metadata.target() {
        "app" => true,
        "broken" => panic!("the user's filter"),
        _ => false,
    }));
    tracing::subscriber::with_default(asked, || {
        tracium::start_trace("agent").run(|| {
            work();
            tracing::info_span!(target: "broken", "handler");
        });
    });
    let spans = recorder.spans();
    let [chat, handler] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((handler.kind.as_str(), handler.name.as_str()), ("span", "handler"));
    assert_eq!((metadata(handler, "user"), metadata(handler, "secret")), (json!(7), json!("[redacted]")));
    assert_eq!(chat.parent_id, handler.id);
}
