//! What the fields of a span come to: its kind, its name, its model, its tokens, and the rest.

use std::time::Duration;

use serde_json::Value;

use super::fields::Fields;
use super::kind::Kind;
use super::libraries;
use super::values::{count, is_word, restored, texts};
use super::wanted::Source;
use crate::__private::CallFacts;
use crate::TokenUsage;

/// What a field is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It says something of the call, and nothing of what was said in it.
    Fact,
    /// It is kept only where content is captured.
    Content,
    /// Nobody's but the application's.
    Other,
}

impl Class {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "otel.name"
            | "otel.status_code"
            | "otel.status_message"
            | "otel.status_description"
            | "error"
            | "err"
            | "error.type"
            | "error.message"
            | "exception.type"
            | "exception.message"
            | "server.address"
            | "server.port"
            | "langfuse.model"
            | "langfuse.type"
            | "langfuse.usage"
            | "rig.provider_request_id" => Self::Fact,
            _ => match name.strip_prefix("gen_ai.") {
                Some(name) => Self::of_convention(name),
                None if name.starts_with("langfuse.") => Self::Content,
                None => Self::Other,
            },
        }
    }

    fn of_convention(name: &str) -> Self {
        const FACTS: [&str; 35] = [
            "agent.id",
            "agent.name",
            "agent.version",
            "conversation.id",
            "data_source.id",
            "embeddings.dimension.count",
            "evaluation.name",
            "evaluation.score.label",
            "evaluation.score.value",
            "operation.name",
            "output.type",
            "provider.name",
            "request.choice.count",
            "request.encoding_formats",
            "request.frequency_penalty",
            "request.max_tokens",
            "request.model",
            "request.presence_penalty",
            "request.seed",
            "request.stream",
            "request.temperature",
            "request.top_k",
            "request.top_p",
            "response.finish_reason",
            "response.finish_reasons",
            "response.id",
            "response.model",
            "response.time_to_first_chunk",
            "system",
            "tool.call.id",
            "tool.call.outcome",
            "tool.error.type",
            "tool.name",
            "tool.type",
            "workflow.name",
        ];
        if FACTS.contains(&name) || name.starts_with("usage.") {
            Self::Fact
        } else {
            // What the conventions will add may be anything that was said.
            Self::Content
        }
    }
}

/// What a span is.
pub(super) fn kind(source: &Source, fields: &Fields) -> Kind {
    let has = |names: &[&str]| names.iter().any(|name| fields.get(name).is_some());
    fields
        .text(&["gen_ai.operation.name"])
        .and_then(Kind::of_operation)
        .or_else(|| fields.text(&["langfuse.type"]).and_then(libraries::langfuse))
        .or_else(|| source.library.map(|library| library.kind))
        .unwrap_or_else(|| {
            if has(&["gen_ai.tool.name", "gen_ai.tool.call.id"]) {
                Kind::Tool
            } else if has(&["gen_ai.evaluation.name"]) {
                Kind::Evaluation
            } else if has(&["gen_ai.workflow.name"]) {
                Kind::Workflow
            } else if has(&["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"])
                || (has(&["gen_ai.request.model"]) && !has(&["gen_ai.agent.name"]))
            {
                Kind::Llm
            } else if has(&["gen_ai.agent.name"]) {
                Kind::Agent
            } else {
                Kind::Other
            }
        })
}

/// What a span is called: what runs in it, else what its library says, else the name that the code has for it.
pub(super) fn name(kind: Kind, fields: &Fields, of_code: &'static str) -> String {
    let own = match kind {
        Kind::Tool => fields.text(&["gen_ai.tool.name"]).map(str::to_owned),
        Kind::Agent => fields.text(&["gen_ai.agent.name"]).map(str::to_owned),
        Kind::Workflow => fields.text(&["gen_ai.workflow.name"]).map(str::to_owned),
        Kind::Evaluation => fields.text(&["gen_ai.evaluation.name"]).map(str::to_owned),
        Kind::Llm | Kind::Embedding | Kind::Rerank => asked_model(fields).map(|model| {
            let usual = match kind {
                Kind::Embedding => "embeddings",
                Kind::Rerank => "rerank",
                _ => "chat",
            };
            format!("{} {model}", fields.text(&["gen_ai.operation.name"]).unwrap_or(usual))
        }),
        Kind::Plan | Kind::Retrieval | Kind::Other => None,
    };
    own.unwrap_or_else(|| {
        let shown = fields.text(&["otel.name"]).unwrap_or(of_code);
        let shown = if kind == Kind::Tool { shown.strip_prefix("tool.").unwrap_or(shown) } else { shown };
        shown.to_owned()
    })
}

pub(super) fn asked_model(fields: &Fields) -> Option<&str> {
    fields.text(&["gen_ai.request.model", "langfuse.model", "gen_ai.response.model"])
}

/// Who answers, by the conventions' name of today, or as the library says, which may be anything.
pub(super) fn provider<'a>(source: &Source, fields: &'a Fields) -> Option<Result<&'static str, &'a str>> {
    const KNOWN: [&str; 20] = [
        "openai",
        "anthropic",
        "gcp.gemini",
        "gcp.vertex_ai",
        "gcp.gen_ai",
        "aws.bedrock",
        "azure.ai.openai",
        "azure.ai.inference",
        "ibm.watsonx.ai",
        "cohere",
        "deepseek",
        "groq",
        "mistral_ai",
        "moonshot_ai",
        "ollama",
        "openrouter",
        "perplexity",
        "together_ai",
        "x_ai",
        "huggingface",
    ];
    let Some(told) = fields.text(&["gen_ai.provider.name", "gen_ai.system"]) else {
        return source.library.and_then(|library| library.provider).map(Ok);
    };
    let now = match told {
        "gemini" => "gcp.gemini",
        "vertex_ai" => "gcp.vertex_ai",
        "az.ai.openai" | "azure_openai" | "azure" => "azure.ai.openai",
        "az.ai.inference" => "azure.ai.inference",
        "mistral" => "mistral_ai",
        "moonshot" => "moonshot_ai",
        "together" => "together_ai",
        "xai" => "x_ai",
        told => told,
    };
    Some(KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(now)).ok_or(told))
}

/// The tokens of the call, and whether those that a cache had are counted beside the others. The conventions count them
/// in; a library that hands on what Anthropic says does not.
pub(super) fn usage(fields: &Fields) -> Option<(TokenUsage, bool)> {
    let number = |names: &[&str]| names.iter().find_map(|name| count(fields.get(name)?));
    let langfuse = fields.get("langfuse.usage").and_then(Value::as_str).map(restored);
    let (in_langfuse, out_langfuse) = langfuse.as_ref().map_or((None, None), libraries::langfuse_usage);
    let read = number(&["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"]).or(in_langfuse);
    let written = number(&["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"]).or(out_langfuse);
    if read.is_none() && written.is_none() {
        return None;
    }
    let mut usage = TokenUsage::new(read.unwrap_or(0), written.unwrap_or(0));
    let cached = number(&[
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.cached_input_tokens",
    ]);
    if let Some(cached) = cached {
        usage = usage.cached_input(cached);
    }
    let created = number(&["gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens"]);
    if let Some(created) = created {
        usage = usage.cache_creation_input(created);
    }
    if let Some(reasoning) = number(&["gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"]) {
        usage = usage.reasoning(reasoning);
    }
    let apart = cached.unwrap_or(0).saturating_add(created.unwrap_or(0)) > usage.input;
    Some((usage, apart))
}

/// Says of a model's call what was not seen on its way.
pub(super) fn tell_call(fields: &Fields, call: &mut CallFacts) {
    const OPERATIONS: [&str; 9] = [
        "chat",
        "text_completion",
        "generate_content",
        "embeddings",
        "rerank",
        "transcription",
        "image_generation",
        "audio_generation",
        "moderation",
    ];
    let text = |names: &[&str]| fields.text(names).map(Into::into);
    let fill = |known: &mut Option<Box<str>>, names: &[&str]| {
        if known.is_none() {
            *known = text(names);
        }
    };
    if let Some(operation) = fields.text(&["gen_ai.operation.name"])
        && call.operation.is_empty()
    {
        call.operation = OPERATIONS.into_iter().find(|known| *known == operation).unwrap_or_default();
    }
    fill(&mut call.asked, &["gen_ai.request.model"]);
    fill(&mut call.answered, &["gen_ai.response.model"]);
    fill(&mut call.response_id, &["gen_ai.response.id"]);
    fill(&mut call.request_id, &["rig.provider_request_id"]);
    if call.finish_reasons.is_empty() {
        let names = ["gen_ai.response.finish_reasons", "gen_ai.response.finish_reason"];
        let reasons = names.iter().find_map(|name| fields.get(name)).map(texts).unwrap_or_default();
        call.finish_reasons = words(reasons).map(Into::into).collect();
    }
    call.stream |= fields.get("gen_ai.request.stream") == Some(&Value::Bool(true));
    if call.first_token.is_none() {
        let seconds = fields.get("gen_ai.response.time_to_first_chunk").and_then(Value::as_f64);
        call.first_token = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    }
}

/// The reasons that are words.
fn words(reasons: Vec<String>) -> impl Iterator<Item = String> {
    const MOST: usize = 128;
    reasons.into_iter().filter(|reason| is_word(reason)).take(MOST)
}

/// Why the span failed: what kind of error it was, and what it said.
pub(super) fn failure(fields: &Fields) -> Option<(Option<String>, String)> {
    let kind = fields.text(&["error.type", "exception.type", "gen_ai.tool.error.type"]);
    let text = fields.text(&["error", "err", "exception.message", "error.message"]).filter(|text| *text != "None");
    let text = text.filter(|text| !matches!(*text, "true" | "false"));
    let told = fields.text(&["otel.status_message", "otel.status_description"]);
    let failed = fields.get("error").is_some_and(|error| error == &Value::Bool(true))
        || fields.text(&["otel.status_code"]).is_some_and(|code| code.eq_ignore_ascii_case("error"));
    if text.is_none() && kind.is_none() && !failed {
        return None;
    }
    let text = text.or(told).or(kind).unwrap_or("the span says that it failed");
    // A word, by the conventions; a sentence in its place is a text like any other.
    Some((kind.filter(|kind| is_word(kind)).map(str::to_owned), text.to_owned()))
}

/// What else is known of the span, by the conventions' names.
pub(super) fn metadata(source: &Source, kind: Kind, fields: &Fields) -> Vec<(&'static str, Value)> {
    let mut metadata = Vec::new();
    for (name, value) in fields.iter() {
        let keep = match Class::of(name) {
            Class::Fact => is_metadata(kind, name),
            Class::Content => {
                matches!(
                    name,
                    "gen_ai.tool.description"
                        | "gen_ai.agent.description"
                        | "gen_ai.evaluation.explanation"
                        | "gen_ai.request.stop_sequences"
                )
            }
            Class::Other => source.asked,
        };
        if !keep {
            continue;
        }
        metadata.push(match name {
            "gen_ai.response.finish_reason" | "gen_ai.response.finish_reasons" => (name, words(texts(value)).collect()),
            _ => (name, value.as_str().map_or_else(|| value.clone(), restored)),
        });
    }
    metadata
}

/// Whether a fact has no place of its own on a span.
fn is_metadata(kind: Kind, name: &str) -> bool {
    match name {
        "server.address" | "server.port" => true,
        "gen_ai.operation.name"
        | "gen_ai.provider.name"
        | "gen_ai.system"
        | "gen_ai.request.model"
        | "gen_ai.tool.error.type" => false,
        "rig.provider_request_id"
        | "gen_ai.request.stream"
        | "gen_ai.response.time_to_first_chunk"
        | "gen_ai.response.id"
        | "gen_ai.response.model"
        | "gen_ai.response.finish_reason"
        | "gen_ai.response.finish_reasons" => !kind.is_inference(),
        "gen_ai.tool.name" => kind != Kind::Tool,
        "gen_ai.agent.name" => kind != Kind::Agent,
        "gen_ai.workflow.name" => kind != Kind::Workflow,
        "gen_ai.evaluation.name" => kind != Kind::Evaluation,
        _ => name.starts_with("gen_ai.") && !name.starts_with("gen_ai.usage."),
    }
}
