//! The report: tables as plain text for a terminal and as Markdown for the README, and what was found wrong.

use std::cmp::Ordering;
use std::fmt::Write;

use crate::sides::Sample;

#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: &str, header: &[&str]) -> Self {
        let header = header.iter().map(|&cell| cell.to_owned()).collect();
        Self { title: title.to_owned(), header, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    fn widths(&self) -> Vec<usize> {
        let width = |at: usize| {
            let cells = std::iter::once(&self.header).chain(&self.rows);
            cells.filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        (0..self.header.len()).map(width).collect()
    }

    pub(crate) fn plain(&self) -> String {
        let widths = self.widths();
        let mut text = format!("{}\n", self.title);
        let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
        for row in [&self.header, &rule].into_iter().chain(&self.rows) {
            let mut line = String::from("  ");
            for (at, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                // The first column is text, the others are figures.
                let _ = if at == 0 { write!(line, "{cell:<width$}") } else { write!(line, "  {cell:>width$}") };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("**{}**\n\n", self.title);
        let rule: Vec<String> =
            (0..self.header.len()).map(|at| if at == 0 { "---" } else { "--:" }.to_owned()).collect();
        for row in [&self.header, &rule].into_iter().chain(&self.rows) {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        text
    }
}

/// What the run has found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    tables: Vec<Table>,
    pub(crate) notes: Vec<String>,
    /// Goals that were not reached.
    pub(crate) missed: Vec<String>,
    /// Promises that were broken: the run fails.
    pub(crate) failures: Vec<String>,
}

impl Findings {
    /// Shows the table at once, since the run is long, and keeps it for the Markdown.
    pub(crate) fn add(&mut self, table: Table) {
        println!("{}", table.plain());
        self.tables.push(table);
    }

    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        let what = what.into();
        eprintln!("FAILED: {what}");
        self.failures.push(what);
    }

    /// The goal's cell: what was to be reached, and whether it was.
    pub(crate) fn goal(&mut self, what: &str, value: f64, at_most: f64, shown: &str) -> String {
        let met = value <= at_most;
        if !met {
            self.missed.push(format!("{what}: {} of {shown}", figure(value)));
        }
        format!("{shown}: {}", if met { "met" } else { "missed" })
    }

    /// The same, the other way round.
    pub(crate) fn goal_at_least(&mut self, what: &str, value: f64, at_least: f64, shown: &str) -> String {
        let met = value >= at_least;
        if !met {
            self.missed.push(format!("{what}: {} of {shown}", figure(value)));
        }
        format!("{shown}: {}", if met { "met" } else { "missed" })
    }

    /// A goal that no noise of the machine can miss: a failure where it is.
    pub(crate) fn promise(&mut self, what: &str, value: f64, at_most: f64) {
        // Not `value > at_most`: what was not measured keeps no promise.
        if !matches!(value.partial_cmp(&at_most), Some(Ordering::Less | Ordering::Equal)) {
            self.fail(format!("{what}: {}, and {} at most is promised", figure(value), figure(at_most)));
        }
    }

    /// Spans of ours that were lost where none should be.
    pub(crate) fn check_lost(&mut self, what: &str, ours: Option<&Sample>) {
        if let Some(sample) = ours.filter(|sample| sample.lost > 0) {
            let Sample { lost, emitted, .. } = sample;
            self.fail(format!("{what}: tracium lost {lost} of {emitted} spans where nothing should be lost"));
        }
    }

    /// A peer that loses spans is measured on a path that is cheaper than recording: that is to be read beside it.
    pub(crate) fn note_lost(&mut self, what: &str, name: &str, sample: &Sample) {
        if sample.lost > 0 {
            self.notes.push(format!("{what}: {name} lost {} of {} spans", sample.lost, sample.emitted));
        }
    }

    /// The rest of the report; true where all promises were kept.
    pub(crate) fn conclude(&self) -> bool {
        let list = |title: &str, of: &[String]| {
            if !of.is_empty() {
                println!("{title}");
                of.iter().for_each(|line| println!("  - {line}"));
                println!();
            }
        };
        list("Notes", &self.notes);
        list("Goals missed", &self.missed);
        list("FAILED", &self.failures);
        self.failures.is_empty()
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for table in &self.tables {
            text.push_str(&table.markdown());
            text.push('\n');
        }
        self.notes.iter().for_each(|note| text.push_str(&format!("- {note}\n")));
        text
    }
}

/// As many digits as mean something.
pub(crate) fn figure(value: f64) -> String {
    match value {
        value if value.is_nan() => "-".to_owned(),
        value if value.abs() < 10.0 => format!("{value:.2}"),
        value if value.abs() < 100.0 => format!("{value:.1}"),
        value => thousands(value),
    }
}

/// `1234567.8` as `1,234,568`.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
    let mut text = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The median, and the least behind it.
pub(crate) fn time(sample: Option<&Sample>) -> String {
    sample.map_or_else(|| "-".to_owned(), |sample| format!("{} ({})", figure(sample.median()), figure(sample.min())))
}

pub(crate) fn ratio(of: f64, to: f64) -> String {
    if of.is_nan() || to.is_nan() { "-".to_owned() } else { format!("{:.2}", of / to) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_mean_something() {
        assert_eq!([0.5, 12.34, 123.4, 1_234_567.8].map(figure), ["0.50", "12.3", "123", "1,234,568"]);
        assert_eq!(figure(f64::NAN), "-");
    }

    #[test]
    fn a_goal_that_was_not_measured_is_missed() {
        let mut findings = Findings::default();
        assert_eq!(findings.goal("x", f64::NAN, 1.0, "at most 1"), "at most 1: missed");
        assert_eq!(findings.goal("x", 1.0, 1.0, "at most 1"), "at most 1: met");
        assert_eq!(findings.missed.len(), 1);
    }
}
