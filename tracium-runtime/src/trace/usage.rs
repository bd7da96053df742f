//! Token counts, as the provider reports them.

/// The tokens of one model call.
///
/// ```
/// # use tracium_runtime as tracium;
/// let usage = tracium::TokenUsage::new(1_200, 80).cached_input(1_000);
/// tracium::current_span().set_token_usage(usage);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenUsage {
    /// Tokens read, as the provider counts them.
    pub input: u64,
    /// Tokens written, the model's reasoning included.
    pub output: u64,
    /// Tokens read from the provider's cache.
    pub cached_input: Option<u64>,
    /// Tokens written into the provider's cache.
    pub cache_creation_input: Option<u64>,
    /// Of the tokens written, those of the model's reasoning.
    pub reasoning: Option<u64>,
}

impl TokenUsage {
    /// `input` tokens read and `output` tokens written.
    pub const fn new(input: u64, output: u64) -> Self {
        Self { input, output, cached_input: None, cache_creation_input: None, reasoning: None }
    }

    /// Of the tokens read, `tokens` came from the provider's cache.
    #[must_use]
    pub const fn cached_input(mut self, tokens: u64) -> Self {
        self.cached_input = Some(tokens);
        self
    }

    /// `tokens` were written into the provider's cache.
    #[must_use]
    pub const fn cache_creation_input(mut self, tokens: u64) -> Self {
        self.cache_creation_input = Some(tokens);
        self
    }

    /// Of the tokens written, `tokens` were the model's reasoning.
    #[must_use]
    pub const fn reasoning(mut self, tokens: u64) -> Self {
        self.reasoning = Some(tokens);
        self
    }
}
