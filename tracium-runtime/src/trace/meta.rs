//! What is known of an annotated function while compiling, in statics of its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

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

/// The constant parts that were used so far, by their places. Without a lock: a process that is forked off could find it
/// held by a thread that does not exist there.
///
/// Room for 64 of them, then for 128 more, and so on.
static USED: [OnceLock<Box<[OnceLock<&'static SpanMeta>]>>; 26] = [const { OnceLock::new() }; 26];
/// How many places were given away.
static PLACES: AtomicU32 = AtomicU32::new(0);
/// Something collects: no constant part is quiet any more.
static COLLECTS: AtomicBool = AtomicBool::new(false);

/// Where the place `at`, from 0, is in [`USED`]: in which run, and where there.
fn run_of(at: u32) -> (usize, usize) {
    let from_64 = u64::from(at) + 64;
    let run = from_64.ilog2() - 6;
    (run as usize, (from_64 - (64 << run)) as usize)
}

/// From now on, spans outside any trace are noted.
#[cfg(feature = "collect")]
pub(crate) fn end_quiet() {
    COLLECTS.store(true, Ordering::SeqCst);
    // One that registers now and is not found here finds that something collects.
    let used = USED.iter().filter_map(OnceLock::get).flatten().filter_map(OnceLock::get);
    used.for_each(|meta| meta.quiet.store(SpanMeta::LOUD, Ordering::SeqCst));
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
        let at = PLACES.fetch_add(1, Ordering::Relaxed);
        let (run, at_in_run) = run_of(at);
        if let Some(run) =
            USED.get(run).map(|room| room.get_or_init(|| (0..64 << run).map(|_| OnceLock::new()).collect()))
            && let Some(place) = run.get(at_in_run)
        {
            let _ = place.set(self);
        }
        if !COLLECTS.load(Ordering::SeqCst) {
            self.quiet.store(Self::QUIET, Ordering::SeqCst);
            // It may have begun in between, and passed over this one.
            if COLLECTS.load(Ordering::SeqCst) {
                self.quiet.store(Self::LOUD, Ordering::SeqCst);
            }
        }
        // Another thread may have been first; the place that it gave is as good.
        match self.index.compare_exchange(0, at + 1, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => at + 1,
            Err(first) => first,
        }
    }

    /// The constant part at `index`.
    #[cfg(feature = "collect")]
    pub(crate) fn at(index: u32) -> Option<&'static Self> {
        let (run, at) = run_of(index.checked_sub(1)?);
        USED.get(run)?.get()?.get(at)?.get().copied()
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

#[cfg(all(test, feature = "collect"))]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_room_of_its_own() {
        assert_eq!(
            (run_of(0), run_of(63), run_of(64), run_of(191), run_of(192)),
            ((0, 0), (0, 63), (1, 0), (1, 127), (2, 0))
        );
        assert!(run_of(u32::MAX - 1).0 <= USED.len());
        let metas: &'static [SpanMeta] = Box::leak((0..500).map(|_| SpanMeta::new("tool", "n", "f")).collect());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| metas.iter().for_each(|meta| assert!(meta.index() > 0)));
            }
        });
        for meta in metas {
            assert!(std::ptr::eq(SpanMeta::at(meta.index()).unwrap(), meta));
        }
        assert!(SpanMeta::at(0).is_none() && SpanMeta::at(u32::MAX).is_none());
    }
}
