//! The terminal: how wide it is, whether it knows colours, and lines that never exceed it.

use std::ffi::OsStr;
use std::io::IsTerminal;

use super::width::cut;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// Columns of a line.
    pub(super) width: usize,
    pub(super) colour: bool,
}

impl Style {
    /// That of standard error, as the environment describes it.
    pub(super) fn of_stderr() -> Self {
        let var = std::env::var_os;
        Self {
            width: width(var("COLUMNS").as_deref()),
            colour: colour(std::io::stderr().is_terminal(), var("NO_COLOR").as_deref(), var("TERM").as_deref()),
        }
    }
}

/// `COLUMNS` within what trees can be read in; 80 without.
fn width(columns: Option<&OsStr>) -> usize {
    let columns = columns.and_then(OsStr::to_str).and_then(|text| text.trim().parse::<usize>().ok());
    columns.map_or(80, |columns| columns.clamp(40, 160))
}

/// By <https://no-color.org>, `NO_COLOR` counts when it is set to anything.
fn colour(is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty) && term.is_none_or(|term| term != "dumb")
}

/// What a text is, which says how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Kind,
    Model,
    Tenant,
}

impl Paint {
    /// The parameters of the ANSI sequence that turns it on.
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Kind => "36",
            Self::Model => "35",
            Self::Tenant => "33",
        }
    }
}

/// One line of output. What would exceed its limit is cut, so that the terminal never wraps it.
#[derive(Debug)]
pub(super) struct Line<'a> {
    out: &'a mut String,
    colour: bool,
    limit: usize,
    used: usize,
    /// Spaces that are due, written only when something follows: no line ends in them.
    gap: usize,
}

impl<'a> Line<'a> {
    pub(super) fn new(out: &'a mut String, style: Style) -> Self {
        Self { out, colour: style.colour, limit: style.width, used: 0, gap: 0 }
    }

    /// Columns until the limit.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.used + self.gap)
    }

    /// What follows ends before column `limit`.
    pub(super) fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// What follows starts `columns` later.
    pub(super) fn skip(&mut self, columns: usize) {
        self.gap += columns;
    }

    /// What follows starts at `column`, or later where the line is there already.
    pub(super) fn skip_to(&mut self, column: usize) {
        self.gap = self.gap.max(column.saturating_sub(self.used));
    }

    pub(super) fn push(&mut self, paint: Paint, text: &str) {
        let (text, width) = cut(text, self.room());
        if text.is_empty() {
            return;
        }
        self.out.extend(std::iter::repeat_n(' ', self.gap));
        self.used += self.gap + width;
        self.gap = 0;
        if self.colour && paint != Paint::Plain {
            self.out.push_str("\x1b[");
            self.out.push_str(paint.code());
            self.out.push('m');
            self.out.push_str(&text);
            self.out.push_str("\x1b[0m");
        } else {
            self.out.push_str(&text);
        }
    }

    /// As [`push`](Self::push), at the right end of `columns`.
    pub(super) fn push_right(&mut self, paint: Paint, text: &str, columns: usize) {
        let (_, width) = cut(text, columns);
        self.skip(columns - width);
        self.push(paint, text);
    }

    pub(super) fn end(self) {
        self.out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_is_the_environments_within_reason() {
        let of = |columns: &str| width(Some(OsStr::new(columns)));
        assert_eq!(width(None), 80);
        assert_eq!((of("100"), of(" 100 "), of("wide"), of("-1")), (100, 100, 80, 80));
        assert_eq!((of("0"), of("10"), of("1000")), (40, 40, 160));
    }

    #[test]
    fn colours_only_on_terminals_that_want_them() {
        let set = |text: &'static str| Some(OsStr::new(text));
        assert!(colour(true, None, set("xterm")));
        assert!(colour(true, set(""), None));
        assert!(!colour(false, None, set("xterm")));
        assert!(!colour(true, set("1"), set("xterm")));
        assert!(!colour(true, None, set("dumb")));
    }

    #[test]
    fn a_line_ends_at_its_limit_and_never_in_spaces() {
        let mut out = String::new();
        let mut line = Line::new(&mut out, Style { width: 12, colour: false });
        line.push(Paint::Plain, "name");
        line.skip_to(6);
        line.push_right(Paint::Dim, "7", 2);
        line.skip(1);
        line.push(Paint::Dim, "tokens");
        line.skip(5);
        line.end();
        assert_eq!(out, "name   7 to…\n");
    }

    #[test]
    fn colours_take_no_columns() {
        let mut out = String::new();
        let mut line = Line::new(&mut out, Style { width: 6, colour: true });
        line.push(Paint::Bad, "✗");
        line.skip(1);
        line.push(Paint::Bold, "refund");
        line.end();
        assert_eq!(out, "\x1b[31m✗\x1b[0m \x1b[1mref…\x1b[0m\n");
    }
}
