//! A trace as text.

use super::cells::{Cell, lay_out};
use super::columns::Columns;
use super::order::{Placed, order};
use super::style::{Line, Paint, Style};
use super::units::{duration, thousands};
use super::view::{Heading, SpanView, Texts, TraceView};
use crate::TokenUsage;

/// The most lines that the spans of a trace take.
const MOST_LINES: usize = 200;
/// The header of a trace, its spans as a tree, and what was recorded on them. No line exceeds `width`.
pub(super) fn render_trace(view: &TraceView<'_>, width: usize, colour: bool) -> String {
    let lines = order(&view.spans.iter().map(|span| span.place).collect::<Vec<_>>());
    let mut room = MOST_LINES;
    let shown = lines.iter().take_while(|line| {
        let needed = 1 + view.spans[line.index].texts.lines();
        let fits = needed <= room;
        room = room.saturating_sub(needed);
        fits
    });
    let shown = shown.count();
    let total = total(view);
    let mut out = String::new();
    let mut tree = Tree {
        view,
        style: Style { width, colour },
        columns: Columns::new(view, total, &lines[..shown], width),
        levels: (width / 8).clamp(2, 10) - 1,
        out: &mut out,
    };
    tree.header(total);
    let mut models: Vec<Option<&str>> = vec![None; view.spans.len()];
    for line in &lines[..shown] {
        let span = &view.spans[line.index];
        let above = line.parent.map_or(view.model.as_deref(), |parent| models[parent]);
        models[line.index] = span.model.or(above);
        tree.span(*line, span, span.model.filter(|model| Some(*model) != above));
    }
    tree.more(&lines[shown..]);
    out
}

/// The tokens of all spans and of the root.
fn total(view: &TraceView<'_>) -> Option<TokenUsage> {
    let all = view.usage.into_iter().chain(view.spans.iter().filter_map(|span| span.usage));
    all.reduce(|sum, usage| {
        let total = TokenUsage::new(sum.input.saturating_add(usage.input), sum.output.saturating_add(usage.output));
        let cached = [sum.cached_input, usage.cached_input].into_iter().flatten().reduce(u64::saturating_add);
        cached.map_or(total, |cached| total.cached_input(cached))
    })
}

struct Tree<'a> {
    view: &'a TraceView<'a>,
    style: Style,
    columns: Columns,
    /// How many levels are indented.
    levels: usize,
    out: &'a mut String,
}

impl Tree<'_> {
    fn header(&mut self, total: Option<TokenUsage>) {
        let view = self.view;
        let below = if view.spans.is_empty() { "   " } else { "│  " };
        let mut line = Line::new(self.out, self.style);
        line.limit(self.columns.names);
        let mut cells = Vec::new();
        let took = match view.heading {
            Heading::Ended { failed, took } => {
                let (paint, mark) = if failed { (Paint::Bad, "✗") } else { (Paint::Good, "✓") };
                line.push(paint, mark);
                Some(took)
            }
            Heading::Remote | Heading::Open | Heading::Late => {
                line.push(Paint::Dim, "↳");
                cells.push(Cell::new(1, Paint::Bold, &view.id, 12));
                let why = match view.heading {
                    Heading::Late => "(late)",
                    Heading::Open => "(open)",
                    _ => "(remote)",
                };
                cells.push(Cell::new(1, Paint::Dim, why, why.len()));
                None
            }
        };
        cells.push(Cell::new(if took.is_some() { 1 } else { 2 }, Paint::Bold, view.agent, 12));
        if let Some(name) = view.name.filter(|name| !name.is_empty()) {
            cells.push(Cell::new(1, Paint::Plain, &format!("› {name}"), 0));
        }
        if let Some(tenant) = &view.tenant {
            cells.push(Cell::new(2, Paint::Tenant, tenant.as_str(), 12));
        }
        if let Some(model) = &view.model {
            cells.push(Cell::new(2, Paint::Model, model, 0));
        }
        if took.is_some() {
            cells.push(Cell::new(2, Paint::Dim, &view.id, 0));
        }
        lay_out(&mut line, cells);
        self.columns.fill(&mut line, self.style.width, Paint::Bold, took.map(duration), total);
        line.end();
        if !view.labels.is_empty() {
            self.below(below, Paint::Dim, "", &view.labels);
        }
        self.texts(below, &view.texts);
    }

    fn span(&mut self, place: Placed, span: &SpanView<'_>, model: Option<&str>) {
        let mut rails = String::new();
        for level in 0..place.depth.min(self.levels) {
            rails.push_str(if place.rails >> level & 1 == 1 { "│  " } else { "   " });
        }
        let too_deep = if place.depth > self.levels { "…  " } else { "" };
        let mut line = Line::new(self.out, self.style);
        line.limit(self.columns.names);
        line.push(Paint::Dim, &rails);
        line.push(Paint::Dim, too_deep);
        line.push(Paint::Dim, if place.last { "└─ " } else { "├─ " });
        let mut cells = Vec::new();
        if span.failed {
            line.push(Paint::Bad, "✗ ");
        }
        cells.push(Cell::new(0, Paint::Kind, span.kind, 4));
        let paint = if span.failed { Paint::Bad } else { Paint::Plain };
        cells.push(Cell::new(1, paint, span.name, 8));
        if let Some(tenant) = &span.tenant
            && self.view.tenant.as_ref() != Some(tenant)
        {
            cells.push(Cell::new(2, Paint::Tenant, &format!("[{tenant}]"), 8));
        }
        if let Some(model) = model {
            cells.push(Cell::new(2, Paint::Model, model, 0));
        }
        cells.push(Cell::new(2, Paint::Dim, &span.note, 0));
        lay_out(&mut line, cells);
        self.columns.fill(&mut line, self.style.width, Paint::Plain, Some(duration(span.took)), span.usage);
        line.end();
        rails.push_str(if too_deep.is_empty() { "" } else { "   " });
        rails.push_str(if place.last { "   " } else { "│  " });
        rails.push_str(if place.has_children { "│  " } else { "   " });
        self.texts(&rails, &span.texts);
    }

    fn texts(&mut self, rails: &str, texts: &Texts<'_>) {
        let mask = self.view.mask;
        if let Some(error) = texts.error {
            let text = mask.apply("error", error.text());
            let text = text.trim_start().lines().next().unwrap_or_default();
            let what = if matches!(&*error.type_name, "panic" | "cancelled") && text != error.type_name {
                format!("{}: ", error.type_name)
            } else {
                String::new()
            };
            self.below(rails, Paint::Bad, &what, text);
        }
        for (field, label, value) in [("input", "in: ", texts.input), ("output", "out: ", texts.output)] {
            if let Some(value) = value {
                self.below(rails, Paint::Dim, label, &mask.apply(field, value.as_str()));
            }
        }
    }

    /// A line below a span or the header, over the whole width.
    fn below(&mut self, rails: &str, paint: Paint, label: &str, text: &str) {
        // A mask may have left nothing.
        if text.is_empty() {
            return;
        }
        let mut line = Line::new(self.out, self.style);
        line.push(Paint::Dim, rails);
        line.push(paint, label);
        line.push(paint, text);
        line.end();
    }

    /// How much is not shown.
    fn more(&mut self, hidden: &[Placed]) {
        if hidden.is_empty() {
            return;
        }
        let failed = hidden.iter().filter(|line| self.view.spans[line.index].failed).count();
        let spans = if hidden.len() == 1 { "span" } else { "spans" };
        let mut line = Line::new(self.out, self.style);
        line.push(Paint::Dim, &format!("… {} more {spans}", thousands(hidden.len() as u64)));
        if failed > 0 {
            line.push(Paint::Bad, &format!(", {} failed", thousands(failed as u64)));
        }
        line.end();
    }
}

#[cfg(test)]
mod tests;
