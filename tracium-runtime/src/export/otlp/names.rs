//! Every name that is sent, in one place: the GenAI conventions are still in development, and names change.

/// The version of OpenTelemetry's semantic conventions that the names are of.
pub(super) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.41.0";

/// The scope that the spans are of.
pub(super) const SCOPE: &str = "tracium";

/// OpenTelemetry's conventions for generative AI.
pub(super) mod gen_ai {
    pub(in super::super) const AGENT_NAME: &str = "gen_ai.agent.name";
    pub(in super::super) const AGENT_VERSION: &str = "gen_ai.agent.version";
    pub(in super::super) const CONVERSATION_ID: &str = "gen_ai.conversation.id";
    pub(in super::super) const OPERATION: &str = "gen_ai.operation.name";
    pub(in super::super) const PROVIDER: &str = "gen_ai.provider.name";
    pub(in super::super) const REQUEST_MODEL: &str = "gen_ai.request.model";
    pub(in super::super) const RESPONSE_MODEL: &str = "gen_ai.response.model";
    pub(in super::super) const RESPONSE_ID: &str = "gen_ai.response.id";
    pub(in super::super) const REQUEST_STREAM: &str = "gen_ai.request.stream";
    pub(in super::super) const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
    pub(in super::super) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
    pub(in super::super) const INPUT_MESSAGES: &str = "gen_ai.input.messages";
    pub(in super::super) const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
    pub(in super::super) const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
    pub(in super::super) const TOOL_DEFINITIONS: &str = "gen_ai.tool.definitions";
    pub(in super::super) const TOOL_NAME: &str = "gen_ai.tool.name";
    pub(in super::super) const TOOL_CALL_ID: &str = "gen_ai.tool.call.id";
    pub(in super::super) const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
    pub(in super::super) const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
    pub(in super::super) const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
    pub(in super::super) const CACHE_CREATION_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
    pub(in super::super) const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
}

/// OpenInference, which Tracium and Phoenix read a span's kind and values by.
pub(super) mod openinference {
    pub(in super::super) const KIND: &str = "openinference.span.kind";
    pub(in super::super) const INPUT: &str = "input.value";
    pub(in super::super) const INPUT_TYPE: &str = "input.mime_type";
    pub(in super::super) const OUTPUT: &str = "output.value";
    pub(in super::super) const OUTPUT_TYPE: &str = "output.mime_type";
}

/// What Tracium's collector reads values by.
pub(super) mod traceloop {
    pub(in super::super) const INPUT: &str = "traceloop.entity.input";
    pub(in super::super) const OUTPUT: &str = "traceloop.entity.output";
}

/// OpenTelemetry's general conventions.
pub(super) mod general {
    pub(in super::super) const SESSION_ID: &str = "session.id";
    pub(in super::super) const USER_ID: &str = "user.id";
    pub(in super::super) const FUNCTION: &str = "code.function.name";
    pub(in super::super) const ERROR_TYPE: &str = "error.type";
    pub(in super::super) const EXCEPTION: &str = "exception";
    pub(in super::super) const EXCEPTION_TYPE: &str = "exception.type";
    pub(in super::super) const EXCEPTION_MESSAGE: &str = "exception.message";
    pub(in super::super) const HTTP_STATUS: &str = "http.response.status_code";
}

/// Our own: the collector's metering dimension, and what no convention has.
pub(super) mod ours {
    pub(in super::super) const METERED_TENANT: &str = "tracium.user.id";
    pub(in super::super) const TENANT: &str = "tenant.id";
    pub(in super::super) const KIND: &str = "span.type";
    pub(in super::super) const TAGS: &str = "tags";
    pub(in super::super) const SUMMARY: &str = "summary";
    pub(in super::super) const REQUEST_ID: &str = "request.id";
    pub(in super::super) const STOPPED: &str = "stream.stopped";
}

/// Whether we set the attribute of this name ourselves: metadata must not pass for it. The provider and the id of a tool's
/// call may come as metadata, since whoever knows them does so better than we, who tell them by other things.
pub(super) fn is_ours(key: &str) -> bool {
    const OURS: [&str; 40] = [
        gen_ai::AGENT_NAME,
        gen_ai::AGENT_VERSION,
        gen_ai::CONVERSATION_ID,
        gen_ai::OPERATION,
        gen_ai::REQUEST_MODEL,
        gen_ai::RESPONSE_MODEL,
        gen_ai::RESPONSE_ID,
        gen_ai::FINISH_REASONS,
        gen_ai::INPUT_MESSAGES,
        gen_ai::OUTPUT_MESSAGES,
        gen_ai::SYSTEM_INSTRUCTIONS,
        gen_ai::TOOL_DEFINITIONS,
        gen_ai::TOOL_NAME,
        gen_ai::INPUT_TOKENS,
        gen_ai::OUTPUT_TOKENS,
        gen_ai::CACHE_READ_TOKENS,
        gen_ai::CACHE_CREATION_TOKENS,
        gen_ai::REASONING_TOKENS,
        gen_ai::REQUEST_STREAM,
        openinference::KIND,
        openinference::INPUT,
        openinference::INPUT_TYPE,
        openinference::OUTPUT,
        openinference::OUTPUT_TYPE,
        traceloop::INPUT,
        traceloop::OUTPUT,
        general::SESSION_ID,
        general::USER_ID,
        general::FUNCTION,
        general::ERROR_TYPE,
        general::EXCEPTION_TYPE,
        general::EXCEPTION_MESSAGE,
        general::HTTP_STATUS,
        ours::METERED_TENANT,
        ours::TENANT,
        ours::KIND,
        ours::TAGS,
        ours::SUMMARY,
        ours::REQUEST_ID,
        ours::STOPPED,
    ];
    OURS.contains(&key)
}

/// What a span is to the backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Agent,
    Llm,
    Tool,
    Retrieval,
    Embedding,
    /// Plans, actions, workflows, and what users call their own.
    Other,
}

impl Kind {
    #[inline]
    pub(super) fn of(kind: &str) -> Self {
        match kind {
            "agent" => Self::Agent,
            "llm" => Self::Llm,
            "tool" => Self::Tool,
            "retrieval" => Self::Retrieval,
            "embedding" => Self::Embedding,
            _ => Self::Other,
        }
    }

    /// OpenInference's name of the kind.
    pub(super) fn openinference(self) -> &'static str {
        match self {
            Self::Agent => "AGENT",
            Self::Llm => "LLM",
            Self::Tool => "TOOL",
            Self::Retrieval => "RETRIEVER",
            Self::Embedding => "EMBEDDING",
            Self::Other => "CHAIN",
        }
    }

    /// The GenAI conventions' name of the operation.
    pub(super) fn operation(self) -> Option<&'static str> {
        match self {
            Self::Agent => Some("invoke_agent"),
            Self::Llm => Some("chat"),
            Self::Tool => Some("execute_tool"),
            Self::Retrieval => Some("retrieval"),
            Self::Embedding => Some("embeddings"),
            Self::Other => None,
        }
    }

    /// Calls another service.
    pub(super) fn is_client(self) -> bool {
        matches!(self, Self::Llm | Self::Embedding)
    }
}
