//! What exchanges with a model's API said of a span: several, where a call was tried again, or where a library's span
//! stands for more than one.

use super::details::{CallFacts, Error, SpanDetails};
use super::{OpenSpan, TokenUsage};

/// The tokens that were told, and whether those that a cache had are counted beside the others.
type Told = (TokenUsage, bool);

/// The exchanges that are said of a span.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchanges {
    /// Those that have not ended. One that begins while another one runs is the same call, seen by another adapter.
    running: u32,
    /// The tokens of all calls.
    told: Option<Told>,
    /// The tokens of the calls before those that run.
    before: Option<Told>,
    /// A call beneath those that run told the same tokens.
    told_below: bool,
    /// The span, which is to end with the last of them, and why it failed.
    ending: Option<(OpenSpan, Option<Box<Error>>)>,
}

impl Exchanges {
    pub(crate) fn begin(&mut self) {
        if self.running == 0 {
            (self.before, self.told_below) = (self.told, false);
        }
        self.running += 1;
    }

    /// One has ended; the span, where that is to end as well.
    pub(crate) fn end(&mut self) -> Option<(OpenSpan, Option<Box<Error>>)> {
        self.running = self.running.saturating_sub(1);
        if self.running == 0 { self.ending.take() } else { None }
    }

    pub(crate) fn are_running(&self) -> bool {
        self.running > 0
    }

    /// Leaves the end of the span to the last of them; gives it back where none runs.
    pub(crate) fn leave(
        &mut self,
        open: OpenSpan,
        failure: Option<Box<Error>>,
    ) -> Option<(OpenSpan, Option<Box<Error>>)> {
        let ending = Some((open, failure));
        if self.are_running() { std::mem::replace(&mut self.ending, ending) } else { ending }
    }

    /// The tokens that they told and no call beneath them did.
    pub(crate) fn usage(&self) -> Option<TokenUsage> {
        self.told.map(|(usage, _)| usage)
    }

    /// The tokens of all calls, with those of the one that runs.
    fn count(&mut self, told: Told) -> Told {
        let all = self.before.map_or(told, |before| sum(before, told));
        if !self.told_below {
            self.told = Some(all);
        }
        all
    }
}

impl CallFacts {
    /// A call beneath told its tokens. Where it began while an exchange `ran` here, it is that exchange's call; else what
    /// exchanges told of this span are others' tokens.
    pub(crate) fn usage_is_below(&mut self, ran: bool) {
        self.usage_below = true;
        if ran {
            self.exchanges.told_below = true;
            self.exchanges.told = self.exchanges.before;
        }
    }
}

impl SpanDetails {
    /// Adds the tokens that an exchange tells.
    pub(crate) fn count(&mut self, usage: TokenUsage, cached_apart: bool) {
        let facts = self.facts_mut();
        let (usage, cached_apart) = facts.exchanges.count((usage, cached_apart));
        facts.cached_apart = Some(cached_apart);
        self.usage = Some(usage);
    }
}

/// The tokens of two calls. Where only one counts apart what a cache had, it is counted in.
fn sum((a, a_apart): Told, (b, b_apart): Told) -> Told {
    let one_way = a_apart == b_apart;
    let read = |usage: TokenUsage, apart: bool| {
        let cached = usage.cached_input.unwrap_or(0).saturating_add(usage.cache_creation_input.unwrap_or(0));
        if apart && !one_way { usage.input.saturating_add(cached) } else { usage.input }
    };
    let both = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (one, other) => one.or(other),
    };
    let usage = TokenUsage {
        input: read(a, a_apart).saturating_add(read(b, b_apart)),
        output: a.output.saturating_add(b.output),
        cached_input: both(a.cached_input, b.cached_input),
        cache_creation_input: both(a.cache_creation_input, b.cache_creation_input),
        reasoning: both(a.reasoning, b.reasoning),
    };
    (usage, a_apart && one_way)
}
