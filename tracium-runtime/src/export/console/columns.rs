//! The right side of a tree's lines: durations and tokens, aligned.

use super::order::Placed;
use super::style::{Line, Paint};
use super::units::{cached, duration, tokens};
use super::view::{Heading, TraceView};
use super::width::cut;
use crate::TokenUsage;

/// What the names get at least before columns at the right are left out.
const NAMES: usize = 36;
const NAMES_NARROW: usize = 16;

/// How wide the parts of each line are; 0 for those that are left out.
pub(super) struct Columns {
    /// Where names end.
    pub(super) names: usize,
    duration: usize,
    tokens: usize,
    cached: usize,
}

impl Columns {
    pub(super) fn new(view: &TraceView<'_>, total: Option<TokenUsage>, shown: &[Placed], width: usize) -> Self {
        let spans = || shown.iter().map(|line| &view.spans[line.index]);
        let widest = |texts: &mut dyn Iterator<Item = String>| texts.map(|text| cut(&text, width).1).max().unwrap_or(0);
        let took = match view.heading {
            Heading::Ended { took, .. } => Some(took),
            Heading::Remote | Heading::Open | Heading::Late => None,
        };
        let usages = || spans().filter_map(|span| span.usage).chain(total);
        let mut columns = Self {
            names: width,
            duration: widest(&mut spans().map(|span| span.took).chain(took).map(duration)),
            tokens: widest(&mut usages().map(tokens)),
            cached: widest(&mut usages().map(cached)),
        };
        if columns.rest(width) < NAMES {
            columns.cached = 0;
        }
        if columns.rest(width) < NAMES_NARROW {
            columns.tokens = 0;
        }
        columns.names = columns.rest(width);
        columns
    }

    /// What the columns at the right leave of `width`.
    fn rest(&self, width: usize) -> usize {
        let with_gap = |columns: usize, gap: usize| if columns == 0 { 0 } else { columns + gap };
        let right = with_gap(self.duration, 2) + with_gap(self.tokens, 2) + with_gap(self.cached, 1);
        width.saturating_sub(right)
    }

    /// The columns at the right of a line.
    pub(super) fn fill(
        &self,
        line: &mut Line<'_>,
        width: usize,
        paint: Paint,
        took: Option<String>,
        usage: Option<TokenUsage>,
    ) {
        line.limit(width);
        line.skip_to(self.names);
        if self.duration > 0 {
            line.skip(2);
            line.push_right(paint, &took.unwrap_or_default(), self.duration);
        }
        let Some(usage) = usage else { return };
        if self.tokens > 0 {
            line.skip(2);
            line.push_right(paint, &tokens(usage), self.tokens);
        }
        if self.cached > 0 {
            line.skip(1);
            line.push(Paint::Dim, &cached(usage));
        }
    }
}
