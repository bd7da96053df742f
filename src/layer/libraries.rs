//! Libraries whose spans have names of their own, instead of the conventions' or beside them.

use serde_json::Value;
use tracing_core::Metadata;

use super::kind::Kind;

/// What a span is to a library.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Library {
    pub(super) kind: Kind,
    /// Where only the module tells.
    pub(super) provider: Option<&'static str>,
    /// The conventions' names of its fields.
    pub(super) fields: &'static [(&'static str, &'static str)],
}

/// Of langchain-rust, from its module `observability`.
const LANGCHAIN: &[(&str, &str)] = &[
    ("provider", "gen_ai.provider.name"),
    ("model", "gen_ai.request.model"),
    ("stream", "gen_ai.request.stream"),
    ("prompt_tokens", "gen_ai.usage.input_tokens"),
    ("completion_tokens", "gen_ai.usage.output_tokens"),
    ("tool", "gen_ai.tool.name"),
    ("chain", "gen_ai.workflow.name"),
];

/// The library that a span is of, where it is one of those that tell what a model or an agent does.
pub(super) fn span(metadata: &Metadata<'_>) -> Option<Library> {
    let (target, name) = (metadata.target(), metadata.name());
    if is_of(target, "langchain_rust") {
        let kind = match name {
            "llm.generate" => Kind::Llm,
            "embed.documents" | "embed.query" => Kind::Embedding,
            "chain.call" => Kind::Workflow,
            "agent.run" => Kind::Agent,
            "agent.plan" => Kind::Plan,
            "tool.call" => Kind::Tool,
            _ => return None,
        };
        return Some(Library { kind, provider: None, fields: LANGCHAIN });
    }
    let of = |kind| Some(Library { kind, provider: None, fields: &[] });
    if is_of(target, "swiftide_agents") {
        return match name {
            "agent.query" | "agent.query_once" | "agent.run" | "agent.run_once" => of(Kind::Agent),
            "tool" => of(Kind::Tool),
            _ => None,
        };
    }
    if is_of(target, "swiftide_query") && name.starts_with("query_pipeline.") {
        return of(Kind::Workflow);
    }
    if is_of(target, "swiftide_indexing") && name == "indexing_pipeline.run" {
        return of(Kind::Workflow);
    }
    if is_of(target, "swiftide_integrations") {
        let kind = match name {
            "complete" | "prompt" | "structured_prompt_dyn" | "stream" | "responses_stream" => Kind::Llm,
            "embed" => Kind::Embedding,
            "retrieve" => Kind::Retrieval,
            _ => return None,
        };
        let provider = match target.split("::").nth(1) {
            Some("openai") => Some("openai"),
            Some("anthropic") => Some("anthropic"),
            Some("aws_bedrock") => Some("aws.bedrock"),
            Some("ollama") => Some("ollama"),
            Some("groq") => Some("groq"),
            Some("gemini") => Some("gcp.gemini"),
            _ => None,
        };
        return Some(Library { kind, provider, fields: &[] });
    }
    None
}

/// The conventions' name of the library's own field, by the module that records it.
pub(super) fn conventional(fields: &[(&str, &'static str)], name: &'static str) -> &'static str {
    fields.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours)
}

/// What Langfuse's fields say, under the conventions' names; the kind where they tell it.
pub(super) fn langfuse(kind: &str) -> Option<Kind> {
    match kind {
        "GENERATION" => Some(Kind::Llm),
        "EMBEDDING" => Some(Kind::Embedding),
        "AGENT" => Some(Kind::Agent),
        "TOOL" => Some(Kind::Tool),
        "CHAIN" => Some(Kind::Workflow),
        "RETRIEVER" => Some(Kind::Retrieval),
        _ => None,
    }
}

/// The tokens in Langfuse's object of them: in and out.
pub(super) fn langfuse_usage(usage: &Value) -> (Option<u64>, Option<u64>) {
    let count = |names: [&str; 3]| names.iter().find_map(|name| usage.get(*name)?.as_u64());
    (count(["prompt_tokens", "input", "promptTokens"]), count(["completion_tokens", "output", "completionTokens"]))
}

fn is_of(target: &str, library: &str) -> bool {
    target.strip_prefix(library).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}
