//! What the fields of a span come to: its kind, its name, its model, its tokens, and the rest.

use serde_json::Value;

use super::fields::Fields;
use super::kind::Kind;
use super::libraries;
use super::values::{count, restored, texts};
use super::wanted::Source;
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
        const FACTS: [&str; 36] = [
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
            "request.stop_sequences",
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

/// Who answers, by the conventions' names of today.
pub(super) fn provider(source: &Source, fields: &Fields) -> Option<String> {
    let told = fields.text(&["gen_ai.provider.name", "gen_ai.system"]);
    let provider = told.or_else(|| source.library.and_then(|library| library.provider))?;
    Some(match provider {
        "gemini" => "gcp.gemini".to_owned(),
        "vertex_ai" => "gcp.vertex_ai".to_owned(),
        "az.ai.openai" | "azure_openai" => "azure.ai.openai".to_owned(),
        "az.ai.inference" => "azure.ai.inference".to_owned(),
        "mistral" => "mistral_ai".to_owned(),
        "xai" => "x_ai".to_owned(),
        other => other.to_ascii_lowercase(),
    })
}

/// The tokens of the call.
///
/// The conventions count what came from a cache among the tokens read. Anthropic does not, and what we keep are the
/// provider's own counts: there they are taken apart again.
pub(super) fn usage(fields: &Fields) -> Option<TokenUsage> {
    let number = |names: &[&str]| names.iter().find_map(|name| count(fields.get(name)?));
    let langfuse = fields.get("langfuse.usage").and_then(Value::as_str).map(restored);
    let (in_langfuse, out_langfuse) = langfuse.as_ref().map_or((None, None), libraries::langfuse_usage);
    let read = number(&["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"]).or(in_langfuse);
    let written = number(&["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"]).or(out_langfuse);
    if read.is_none() && written.is_none() {
        return None;
    }
    let cached = number(&[
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.cached_input_tokens",
    ]);
    let created = number(&["gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens"]);
    let mut read = read.unwrap_or(0);
    let apart = created.is_some_and(|created| created > 0)
        || asked_model(fields).is_some_and(|model| model.contains("claude"))
        || fields.text(&["gen_ai.provider.name", "gen_ai.system"]) == Some("anthropic");
    if apart && let Some(rest) = read.checked_sub(cached.unwrap_or(0) + created.unwrap_or(0)) {
        read = rest;
    }
    let mut usage = TokenUsage::new(read, written.unwrap_or(0));
    if let Some(cached) = cached {
        usage = usage.cached_input(cached);
    }
    if let Some(created) = created {
        usage = usage.cache_creation_input(created);
    }
    Some(usage)
}

/// Tokens that the model wrote for itself, among those written.
pub(super) fn reasoning(fields: &Fields) -> Option<u64> {
    let names = ["gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"];
    names.iter().find_map(|name| count(fields.get(name)?))
}

/// Why the model stopped.
pub(super) fn finish_reasons(fields: &Fields) -> Vec<String> {
    let names = ["gen_ai.response.finish_reasons", "gen_ai.response.finish_reason"];
    names.iter().find_map(|name| fields.get(name)).map(texts).unwrap_or_default()
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
    Some((kind.map(str::to_owned), text.to_owned()))
}

/// What else is known of the span, by the conventions' names.
pub(super) fn metadata(source: &Source, kind: Kind, fields: &Fields) -> Vec<(&'static str, Value)> {
    let mut metadata = Vec::new();
    for (name, value) in fields.iter() {
        let keep = match Class::of(name) {
            Class::Fact => is_metadata(kind, name),
            Class::Content => {
                matches!(name, "gen_ai.tool.description" | "gen_ai.agent.description" | "gen_ai.evaluation.explanation")
            }
            Class::Other => source.asked,
        };
        if keep {
            metadata.push((name, value.as_str().map_or_else(|| value.clone(), restored)));
        }
    }
    metadata
}

/// Whether a fact has no place of its own on a span.
fn is_metadata(kind: Kind, name: &str) -> bool {
    match name {
        "server.address" | "server.port" | "rig.provider_request_id" => true,
        "gen_ai.request.model"
        | "gen_ai.tool.error.type"
        | "gen_ai.response.finish_reasons"
        | "gen_ai.response.finish_reason" => false,
        "gen_ai.operation.name" | "gen_ai.provider.name" | "gen_ai.system" => false,
        "gen_ai.tool.name" => kind != Kind::Tool,
        "gen_ai.agent.name" => kind != Kind::Agent,
        "gen_ai.workflow.name" => kind != Kind::Workflow,
        "gen_ai.evaluation.name" => kind != Kind::Evaluation,
        _ => name.starts_with("gen_ai.") && !name.starts_with("gen_ai.usage."),
    }
}
