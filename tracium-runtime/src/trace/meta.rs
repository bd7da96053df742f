//! What is known of an annotated function while compiling, in statics of its own.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::context::level::Level;

/// Where a function stands: two attributes of the same place are attributes of the same function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    module: &'static str,
    function: &'static str,
    line: u32,
    column: u32,
}

impl Place {
    /// The function `function` of `module`, by the place of its name.
    pub const fn new(module: &'static str, function: &'static str, line: u32, column: u32) -> Self {
        Self { module, function, line, column }
    }
}

/// The constant part of a span.
#[derive(Debug)]
pub struct SpanMeta {
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    pub(crate) function: &'static str,
    pub(crate) model: Option<&'static str>,
    pub(crate) tags: &'static [&'static str],
    /// The bit that marks the levels of spans of kind `llm`, or none.
    pub(crate) level_bits: u64,
    /// Its place among all that were used, from 1; 0 before that. A record names its constant part by it.
    index: AtomicU32,
    /// [`QUIET`](Self::QUIET) once it is known that nothing collects: on threads without a scope the span need not look.
    quiet: AtomicU8,
}

static USED: RwLock<Used> = RwLock::new(Used { metas: Vec::new(), collects: false });

/// The constant parts that were used so far.
struct Used {
    metas: Vec<&'static SpanMeta>,
    /// Something collects: none of them is quiet any more.
    collects: bool,
}

/// From now on, spans outside any trace are noted.
#[cfg(feature = "collect")]
pub(crate) fn end_quiet() {
    let mut used = USED.write().unwrap_or_else(PoisonError::into_inner);
    used.collects = true;
    used.metas.iter().for_each(|meta| meta.quiet.store(SpanMeta::LOUD, Ordering::Relaxed));
}

impl SpanMeta {
    /// Its spans are calls of a model.
    pub(crate) fn is_llm(&self) -> bool {
        self.level_bits != 0
    }

    #[inline(always)]
    pub(crate) fn index(&'static self) -> u32 {
        match self.index.load(Ordering::Relaxed) {
            0 => self.register(),
            index => index,
        }
    }

    /// The mark of threads without a scope.
    pub(crate) const QUIET: u8 = 0;
    /// No thread's mark.
    const LOUD: u8 = 1;

    /// What a thread's mark is compared with.
    #[inline(always)]
    pub(crate) fn quiet(&'static self) -> u8 {
        self.quiet.load(Ordering::Relaxed)
    }

    #[cold]
    fn register(&'static self) -> u32 {
        let mut used = USED.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been first.
        let index = match self.index.load(Ordering::Relaxed) {
            0 => {
                used.metas.push(self);
                u32::try_from(used.metas.len()).unwrap_or(u32::MAX)
            }
            index => index,
        };
        self.index.store(index, Ordering::Relaxed);
        if !used.collects {
            self.quiet.store(Self::QUIET, Ordering::Relaxed);
        }
        index
    }

    /// The constant part at `index`.
    #[cfg(feature = "collect")]
    pub(crate) fn at(index: u32) -> Option<&'static Self> {
        USED.read().unwrap_or_else(PoisonError::into_inner).metas.get(index.checked_sub(1)? as usize).copied()
    }

    /// A span of `kind`, named `name`, of the function `function`.
    pub const fn new(kind: &'static str, name: &'static str, function: &'static str) -> Self {
        Self {
            kind,
            name,
            function,
            model: None,
            tags: &[],
            level_bits: Level::bits_of(kind),
            index: AtomicU32::new(0),
            quiet: AtomicU8::new(Self::LOUD),
        }
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
    /// The annotated function; `None` where code opens the trace.
    pub(crate) place: Option<Place>,
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
            place: None,
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

    /// The place of the annotated function.
    #[must_use]
    pub const fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
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
    pub(crate) place: Place,
}

impl TenantMeta {
    /// A scope around the function at `place`.
    pub const fn new(place: Place) -> Self {
        Self { place }
    }
}

impl Place {
    pub(crate) fn function(&self) -> &'static str {
        self.function
    }
}
