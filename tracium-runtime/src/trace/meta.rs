//! What is known of an annotated function while compiling, in statics of its own.

/// The constant part of a span.
#[derive(Debug)]
pub struct SpanMeta {
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    pub(crate) function: &'static str,
    pub(crate) model: Option<&'static str>,
    pub(crate) tags: &'static [&'static str],
}

impl SpanMeta {
    /// A span of `kind`, named `name`, of the function `function`.
    pub const fn new(kind: &'static str, name: &'static str, function: &'static str) -> Self {
        Self { kind, name, function, model: None, tags: &[] }
    }

    /// The model that is asked.
    #[must_use]
    pub const fn model(mut self, model: &'static str) -> Self {
        self.model = Some(model);
        self
    }

    /// Tags.
    #[must_use]
    pub const fn tags(mut self, tags: &'static [&'static str]) -> Self {
        self.tags = tags;
        self
    }
}

/// The constant part of a trace.
#[derive(Debug)]
pub struct TraceMeta {
    pub(crate) agent: &'static str,
    pub(crate) version: Option<&'static str>,
    pub(crate) workspace: Option<&'static str>,
    pub(crate) new_trace: bool,
    /// The root span; also the span that a trace inside a trace opens.
    pub(crate) span: SpanMeta,
}

impl TraceMeta {
    /// A trace of `agent`, opened by the function `function`.
    pub const fn new(agent: &'static str, function: &'static str) -> Self {
        Self {
            agent,
            version: None,
            workspace: None,
            new_trace: false,
            span: SpanMeta::new("agent", agent, function),
        }
    }

    /// The name of the root span; the agent's name without.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.span.name = name;
        self
    }

    /// The model that the agent uses, and with it every span that names none.
    #[must_use]
    pub const fn model(mut self, model: &'static str) -> Self {
        self.span.model = Some(model);
        self
    }

    /// The agent's version.
    #[must_use]
    pub const fn version(mut self, version: &'static str) -> Self {
        self.version = Some(version);
        self
    }

    /// The workspace that the trace belongs to.
    #[must_use]
    pub const fn workspace(mut self, workspace: &'static str) -> Self {
        self.workspace = Some(workspace);
        self
    }

    /// Tags.
    #[must_use]
    pub const fn tags(mut self, tags: &'static [&'static str]) -> Self {
        self.span.tags = tags;
        self
    }

    /// A trace of its own, also inside another one.
    #[must_use]
    pub const fn new_trace(mut self) -> Self {
        self.new_trace = true;
        self
    }
}

/// The constant part of a tenant scope.
#[derive(Debug)]
pub struct TenantMeta {
    pub(crate) function: &'static str,
}

impl TenantMeta {
    /// A scope around the function `function`.
    pub const fn new(function: &'static str) -> Self {
        Self { function }
    }
}
