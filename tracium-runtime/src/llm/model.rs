//! What a model's name and its provider's way of counting tell.

use crate::trace::TokenUsage;

/// The provider of a model, as the GenAI conventions name it, by what the model's name begins with; `None` where that
/// says nothing.
pub(crate) fn provider(model: &str) -> Option<&'static str> {
    const PROVIDERS: [(&str, &str); 16] = [
        ("gpt-", "openai"),
        ("chatgpt-", "openai"),
        ("o1", "openai"),
        ("o3", "openai"),
        ("o4", "openai"),
        ("text-embedding-3", "openai"),
        ("claude", "anthropic"),
        ("gemini", "gcp.gemini"),
        ("mistral", "mistral_ai"),
        ("codestral", "mistral_ai"),
        ("command", "cohere"),
        ("deepseek", "deepseek"),
        ("grok", "x_ai"),
        ("sonar", "perplexity"),
        ("anthropic.", "aws.bedrock"),
        ("amazon.", "aws.bedrock"),
    ];
    PROVIDERS.iter().find(|(prefix, _)| model.starts_with(prefix)).map(|(_, provider)| *provider)
}

/// The tokens read, with those that a cache had. OpenAI and Google count them in already; Anthropic reports what was
/// read from the cache and what was written into it beside the rest.
///
/// `apart` says which it is, where the answer was read; else the numbers and the model's name tell.
pub(crate) fn inclusive_input(usage: TokenUsage, model: Option<&str>, apart: Option<bool>) -> u64 {
    let cached = usage.cached_input.unwrap_or(0);
    let apart = apart.unwrap_or_else(|| {
        usage.cache_creation_input.is_some()
            || cached > usage.input
            || model.is_some_and(|model| model.contains("claude"))
    });
    if apart {
        usage.input.saturating_add(cached).saturating_add(usage.cache_creation_input.unwrap_or(0))
    } else {
        usage.input
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_include_cached_ones_whoever_counts() {
        let openai = TokenUsage::new(1_200, 80).cached_input(1_000);
        assert_eq!(inclusive_input(openai, Some("gpt-4o"), None), 1_200);
        let anthropic = TokenUsage::new(200, 80).cached_input(1_000).cache_creation_input(300);
        assert_eq!(inclusive_input(anthropic, None, None), 1_500, "nobody else tells what was written");
        let read_only = TokenUsage::new(200, 80).cached_input(100);
        let gateway = inclusive_input(read_only, Some("anthropic/claude-sonnet-4-5"), Some(false));
        assert_eq!(gateway, 200, "it counts as OpenAI does");
        assert_eq!(inclusive_input(read_only, Some("claude-sonnet-4-5"), None), 300);
        assert_eq!(
            inclusive_input(TokenUsage::new(10, 1).cached_input(1_000), None, None),
            1_010,
            "more than there were"
        );
    }

    #[test]
    fn providers_are_told_by_their_models_names() {
        assert_eq!(provider("gpt-4o-mini"), Some("openai"));
        assert_eq!(provider("claude-opus-4"), Some("anthropic"));
        assert_eq!(provider("my-own-model"), None);
    }
}
