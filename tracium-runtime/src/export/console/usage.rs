//! The table of usage per tenant and model.

use super::style::{Line, Paint, Style};
use super::units::{compact, duration, thousands};
use super::width::cut;
use crate::export::{TenantUsage, Usage};

/// The most rows that are printed; the total has all.
const MOST_ROWS: usize = 200;
/// What tenant and model get at least, together, before numbers are shortened or left out.
const NAMES: usize = 22;
const GAP: usize = 2;

/// A column of numbers.
struct Column {
    title: &'static str,
    /// The number, as long as it must be where `short`.
    cell: fn(&TenantUsage, short: bool) -> String,
}

fn count(number: u64, short: bool) -> String {
    if short { compact(number) } else { thousands(number) }
}

/// The columns, in their order.
const COLUMNS: [Column; 6] = [
    Column { title: "calls", cell: |row, short| count(row.calls, short) },
    Column { title: "errors", cell: |row, short| count(row.errors, short) },
    Column { title: "input", cell: |row, short| count(row.input_tokens, short) },
    Column { title: "output", cell: |row, short| count(row.output_tokens, short) },
    Column { title: "cached", cell: |row, short| count(row.cached_input_tokens, short) },
    Column { title: "time", cell: |row, _| duration(row.time) },
];

/// The columns that narrow terminals do without, first to go first.
const DISPENSABLE: [&str; 3] = ["cached", "time", "errors"];

/// A line for each tenant and model, and one for all; empty where nothing called a model. No line exceeds `width`.
pub(super) fn render_usage(usage: &Usage, width: usize, colour: bool) -> String {
    let mut out = String::new();
    let others = Some(&usage.others).filter(|others| others.calls > 0);
    if usage.rows.is_empty() && others.is_none() {
        return out;
    }
    let total = usage.rows.iter().chain(others).fold(TenantUsage::default(), add);
    let hidden = usage.rows.len().saturating_sub(MOST_ROWS);
    let rows = &usage.rows[..usage.rows.len() - hidden];
    let table = Table::new(rows, &total, width);
    let mut print = |paint: Paint, tenant: &str, model: &str, row: Option<&TenantUsage>| {
        let style = Style { width, colour };
        table.line(Line::new(&mut out, style), paint, tenant, model, row);
    };
    print(Paint::Dim, "tenant", "model", None);
    for row in rows {
        print(Paint::Plain, tenant(row), model(row), Some(row));
    }
    if let Some(others) = others {
        print(Paint::Dim, "(others)", "", Some(others));
    }
    if hidden > 0 {
        let rows = if hidden == 1 { "row" } else { "rows" };
        let mut line = Line::new(&mut out, Style { width, colour });
        line.push(Paint::Dim, &format!("… {} more {rows}", thousands(hidden as u64)));
        line.end();
    }
    let mut line = Line::new(&mut out, Style { width, colour });
    line.push(Paint::Dim, &"─".repeat(table.width()));
    line.end();
    table.line(Line::new(&mut out, Style { width, colour }), Paint::Bold, "total", "", Some(&total));
    out
}

fn tenant(row: &TenantUsage) -> &str {
    row.tenant.as_ref().map_or("-", |tenant| tenant.as_str())
}

fn model(row: &TenantUsage) -> &str {
    row.model.as_deref().unwrap_or("-")
}

fn add(mut sum: TenantUsage, row: &TenantUsage) -> TenantUsage {
    sum.calls = sum.calls.saturating_add(row.calls);
    sum.errors = sum.errors.saturating_add(row.errors);
    sum.input_tokens = sum.input_tokens.saturating_add(row.input_tokens);
    sum.output_tokens = sum.output_tokens.saturating_add(row.output_tokens);
    sum.cached_input_tokens = sum.cached_input_tokens.saturating_add(row.cached_input_tokens);
    sum.time = sum.time.saturating_add(row.time);
    sum
}

/// How the table is laid out.
struct Table {
    tenant: usize,
    model: usize,
    columns: Vec<(&'static Column, usize)>,
    short: bool,
}

impl Table {
    fn new(rows: &[TenantUsage], total: &TenantUsage, width: usize) -> Self {
        let mut table =
            Self { tenant: 0, model: 0, columns: COLUMNS.iter().map(|column| (column, 0)).collect(), short: false };
        // A sum is not always the longest of its column: times have units.
        table.measure(rows, total);
        if table.left_of(width) < NAMES {
            table.short = true;
            table.measure(rows, total);
        }
        for title in DISPENSABLE {
            if table.left_of(width) < NAMES {
                table.columns.retain(|(column, _)| column.title != title);
            }
        }
        let widest = |name: fn(&TenantUsage) -> &str, title: &str| {
            let names = rows.iter().map(|row| cut(name(row), width).1);
            names.max().unwrap_or(0).max(title.len())
        };
        (table.tenant, table.model) = share(table.left_of(width), widest(tenant, "(others)"), widest(model, "model"));
        table
    }

    fn measure(&mut self, rows: &[TenantUsage], total: &TenantUsage) {
        for (column, width) in &mut self.columns {
            let cells = rows.iter().chain([total]).map(|row| cut(&(column.cell)(row, self.short), usize::MAX / 4).1);
            *width = cells.max().unwrap_or(0).max(column.title.len());
        }
    }

    /// What the numbers leave of `width` to tenant and model.
    fn left_of(&self, width: usize) -> usize {
        let numbers: usize = self.columns.iter().map(|(_, width)| width + GAP).sum();
        width.saturating_sub(numbers + GAP)
    }

    fn width(&self) -> usize {
        self.tenant + GAP + self.model + self.columns.iter().map(|(_, width)| width + GAP).sum::<usize>()
    }

    /// A row; the titles without one.
    fn line(&self, mut line: Line<'_>, paint: Paint, tenant: &str, model: &str, row: Option<&TenantUsage>) {
        let plain = paint == Paint::Plain;
        line.push(if plain { Paint::Tenant } else { paint }, &cut(tenant, self.tenant).0);
        line.skip_to(self.tenant + GAP);
        line.push(if plain { Paint::Model } else { paint }, &cut(model, self.model).0);
        line.skip_to(self.tenant + GAP + self.model);
        for (column, width) in &self.columns {
            let cell = row.map_or_else(|| column.title.to_owned(), |row| (column.cell)(row, self.short));
            let failed = plain && column.title == "errors" && row.is_some_and(|row| row.errors > 0);
            line.skip(GAP);
            line.push_right(if failed { Paint::Bad } else { paint }, &cell, *width);
        }
        line.end();
    }
}

/// Shares `room` between two names: a short one leaves the rest to the other, two long ones get half each.
fn share(room: usize, first: usize, second: usize) -> (usize, usize) {
    let half = room / 2;
    if first + second <= room {
        (first, second)
    } else if first <= half {
        (first, room - first)
    } else if second <= half {
        (room - second, second)
    } else {
        (room - half, half)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::TenantId;

    fn row(tenant: Option<&str>, model: Option<&str>, calls: u64, errors: u64, tokens: [u64; 3]) -> TenantUsage {
        TenantUsage {
            tenant: tenant.map(|id| TenantId::try_from(id).unwrap()),
            model: model.map(str::to_owned),
            calls,
            errors,
            input_tokens: tokens[0],
            output_tokens: tokens[1],
            cached_input_tokens: tokens[2],
            time: Duration::from_millis(calls * 420),
            ..TenantUsage::default()
        }
    }

    fn table(rows: Vec<TenantUsage>, width: usize) -> String {
        let text = render_usage(&Usage { rows, ..Usage::default() }, width, false);
        for line in text.lines() {
            assert!(cut(line, 1_000).1 <= width, "{line}");
        }
        text
    }

    #[test]
    fn numbers_are_grouped_aligned_and_added_up() {
        let rows = vec![
            row(None, None, 1, 0, [20, 3, 0]),
            row(Some("acme"), Some("gpt-4o"), 1_204, 12, [1_234_567, 98_765, 512_000]),
            row(Some("会社"), Some("claude-sonnet-4"), 7, 0, [8_120, 640, 0]),
        ];
        let expected = "\
tenant    model            calls  errors      input  output   cached        time
-         -                    1       0         20       3        0      420 ms
acme      gpt-4o           1,204      12  1,234,567  98,765  512,000  8 min 26 s
会社      claude-sonnet-4      7       0      8,120     640        0       2.9 s
────────────────────────────────────────────────────────────────────────────────
total                      1,212      12  1,242,707  99,408  512,000  8 min 29 s
";
        assert_eq!(table(rows, 80), expected);
    }

    #[test]
    fn long_names_are_cut_and_big_numbers_shortened() {
        let long = "tenant-with-a-name-that-goes-on-and-on-and-on";
        let big = u64::MAX / 3;
        let rows = vec![
            row(Some(long), Some(long), 3, 0, [812, 64, 0]),
            row(Some("b\u{202e}ank"), Some("gpt-4o"), 5_000, 1, [big, big, big]),
        ];
        let expected = "\
tenant          model           calls  errors  input  output  cached        time
tenant-with-a…  tenant-with-a…      3       0    812      64       0       1.3 s
b·ank           gpt-4o           5.0k       1   6.1E    6.1E    6.1E  35 min 0 s
────────────────────────────────────────────────────────────────────────────────
total                            5.0k       1   6.1E    6.1E    6.1E  35 min 1 s
";
        assert_eq!(table(rows.clone(), 80), expected);
        assert_eq!(
            table(rows, 40),
            "\
tenant    model     calls  input  output
tenant-…  tenant-…      3    812      64
b·ank     gpt-4o     5.0k   6.1E    6.1E
────────────────────────────────────────
total                5.0k   6.1E    6.1E
"
        );
    }

    #[test]
    fn nothing_is_printed_of_nothing_and_not_all_of_very_much() {
        assert_eq!(table(Vec::new(), 80), "");
        let many = (0..1_000).map(|at| row(Some(&format!("t{at:04}")), None, 1, 0, [1, 1, 0])).collect();
        let text = table(many, 80);
        assert_eq!(text.lines().count(), 204);
        assert!(text.contains("… 800 more rows\n"), "{text}");
        assert!(text.lines().last().unwrap().contains("1,000"), "{text}");
    }
}
