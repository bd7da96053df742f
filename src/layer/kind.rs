//! What a span is, by the operation that the conventions name.

/// A span's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Llm,
    Embedding,
    Rerank,
    Tool,
    Agent,
    Workflow,
    Plan,
    Retrieval,
    Evaluation,
    Other,
}

impl Kind {
    /// By the name of the operation.
    pub(super) fn of_operation(operation: &str) -> Option<Self> {
        Some(match operation {
            "chat" | "text_completion" | "completion" | "generate_content" | "generate" | "chat_streaming"
            | "transcription" | "image_generation" | "audio_generation" | "moderation" => Self::Llm,
            "embeddings" | "embedding" | "embed" => Self::Embedding,
            "rerank" => Self::Rerank,
            "execute_tool" => Self::Tool,
            "invoke_agent" | "create_agent" => Self::Agent,
            "invoke_workflow" | "workflow" | "chain" => Self::Workflow,
            "plan" => Self::Plan,
            "retrieval" | "retrieve" => Self::Retrieval,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::Embedding => "embedding",
            Self::Rerank => "rerank",
            Self::Tool => "tool",
            Self::Agent => "agent",
            Self::Workflow => "workflow",
            Self::Plan => "plan",
            Self::Retrieval => "retrieval",
            Self::Evaluation => "evaluation",
            Self::Other => "span",
        }
    }

    /// Calls a model: its tokens are its own, and nobody's sum.
    pub(super) fn is_inference(self) -> bool {
        matches!(self, Self::Llm | Self::Embedding | Self::Rerank)
    }
}
