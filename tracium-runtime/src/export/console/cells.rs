//! The left side of a line, whose parts shrink where there is no room for all.

use super::style::{Line, Paint};
use super::width::cut;

/// A part of a line's left side, which shrinks where it must.
pub(super) struct Cell {
    gap: usize,
    paint: Paint,
    text: String,
    width: usize,
    /// Columns that it keeps; with 0 it may vanish.
    keep: usize,
}

impl Cell {
    pub(super) fn new(gap: usize, paint: Paint, text: &str, keep: usize) -> Self {
        // More than a line holds is of no use to anybody.
        let (text, width) = cut(text, 160);
        Self { gap, paint, text, width, keep }
    }
}

/// Puts `cells` into what room `line` has: first what is long is cut to a comfortable width; where that is not enough,
/// what may vanish does, the last one first; in the end all are cut to what they must keep.
pub(super) fn lay_out(line: &mut Line<'_>, mut cells: Vec<Cell>) {
    const COMFORTABLE: usize = 24;
    cells.retain(|cell| cell.width > 0);
    let room = line.room();
    let mut widths = shrunk(&cells, room, COMFORTABLE);
    while excess(&cells, &widths, room) > 0
        && let Some(optional) = cells.iter().rposition(|cell| cell.keep == 0)
    {
        cells.remove(optional);
        widths = shrunk(&cells, room, COMFORTABLE);
    }
    if excess(&cells, &widths, room) > 0 {
        widths = shrunk(&cells, room, 0);
    }
    for (cell, width) in cells.iter().zip(widths) {
        line.skip(cell.gap);
        line.push(cell.paint, &cut(&cell.text, width).0);
    }
}

/// The widths of `cells` in `room`, the widest cut first, none below `least` or what it keeps.
fn shrunk(cells: &[Cell], room: usize, least: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = cells.iter().map(|cell| cell.width).collect();
    loop {
        let excess = excess(cells, &widths, room);
        let floor = |at: usize| cells[at].keep.max(least);
        let widest = (0..cells.len()).filter(|&at| widths[at] > floor(at)).max_by_key(|&at| widths[at]);
        let Some(at) = widest.filter(|_| excess > 0) else { return widths };
        widths[at] -= excess.min(widths[at] - floor(at));
    }
}

fn excess(cells: &[Cell], widths: &[usize], room: usize) -> usize {
    let gaps: usize = cells.iter().map(|cell| cell.gap).sum();
    (gaps + widths.iter().sum::<usize>()).saturating_sub(room)
}

#[cfg(test)]
mod tests {
    use super::super::style::Style;
    use super::*;

    fn line(width: usize, cells: Vec<Cell>) -> String {
        let mut out = String::new();
        let mut line = Line::new(&mut out, Style { width, colour: false });
        lay_out(&mut line, cells);
        out
    }

    #[test]
    fn long_names_are_cut_first_then_the_model_goes_then_all_shrink() {
        let cells = || {
            vec![
                Cell::new(0, Paint::Kind, "llm", 4),
                Cell::new(1, Paint::Plain, "complete-the-answer-to-the-question", 8),
                Cell::new(2, Paint::Tenant, "[globex-corporation]", 8),
                Cell::new(2, Paint::Model, "gpt-4o", 0),
            ]
        };
        for (width, expected) in [
            (80, "llm complete-the-answer-to-the-question  [globex-corporation]  gpt-4o"),
            (60, "llm complete-the-answer-to-th…  [globex-corporation]  gpt-4o"),
            (52, "llm complete-the-answer-to-th…  [globex-corporation]"),
            (40, "llm complete-the-…  [globex-corporation]"),
            (24, "llm complet…  [globex-c…"),
            (12, "llm complet…"),
        ] {
            assert_eq!(line(width, cells()), expected, "{width}");
        }
    }
}
