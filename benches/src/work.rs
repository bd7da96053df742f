//! What is measured: the same work for every peer, each in a process of its own.

use std::str::FromStr;

/// A kind of work. A "trace" is a root and `spans - 1` spans inside it, so that `spans` are emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sync spans in a sync root.
    Sync,
    /// The same, of functions that return a `Result`, which is looked at.
    Fallible,
    /// Async spans that are ready at their first poll, in an async root.
    Async,
    /// Async spans that yield once.
    Yielding,
    /// Sync spans in a trace of a tenant.
    Tenant,
    /// Sync spans that record a value of `extra` bytes.
    Capture,
    /// Calls of `current_tenant()` in a scope of a tenant: no spans but the root.
    CurrentTenant,
    /// Sync spans at depth `extra`.
    Depth,
    /// Sync spans in traces of `extra` tenants, by turns.
    Tenants,
    /// Sync spans while `extra` other traces are open.
    Live,
}

impl Kind {
    const ALL: [(Self, &'static str); 10] = [
        (Self::Sync, "sync"),
        (Self::Fallible, "fallible"),
        (Self::Async, "async"),
        (Self::Yielding, "yielding"),
        (Self::Tenant, "tenant"),
        (Self::Capture, "capture"),
        (Self::CurrentTenant, "current_tenant"),
        (Self::Depth, "depth"),
        (Self::Tenants, "tenants"),
        (Self::Live, "live"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|(_, known)| *known == name);
        known.map(|(kind, _)| *kind).ok_or_else(|| format!("no work is called {name:?}"))
    }
}

/// One round of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) kind: Kind,
    pub(crate) threads: usize,
    /// On each thread.
    pub(crate) traces: usize,
    /// In each trace, its root included.
    pub(crate) spans: usize,
    pub(crate) extra: usize,
    /// Counts allocations; the time is not to be used then.
    pub(crate) counts: bool,
}

impl Work {
    pub(crate) fn new(kind: Kind, traces: usize, spans: usize) -> Self {
        Self { kind, threads: 1, traces, spans, extra: 0, counts: false }
    }

    pub(crate) fn extra(self, extra: usize) -> Self {
        Self { extra, ..self }
    }

    pub(crate) fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    pub(crate) fn counting(self) -> Self {
        Self { counts: true, ..self }
    }

    pub(crate) fn leaves(&self) -> u64 {
        self.spans as u64 - 1
    }

    /// Spans of all threads: what the time is divided by.
    pub(crate) fn all_spans(&self) -> u64 {
        (self.threads * self.traces * self.spans) as u64
    }

    pub(crate) fn to_line(self) -> String {
        let Self { kind, threads, traces, spans, extra, counts } = self;
        format!("{} {threads} {traces} {spans} {extra} {}", kind.name(), u8::from(counts))
    }

    pub(crate) fn from_line(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let kind = words.next().unwrap_or_default().parse()?;
        let mut number = || -> Result<usize, String> {
            words.next().and_then(|word| word.parse().ok()).ok_or_else(|| format!("{line:?} lacks a number"))
        };
        Ok(Self {
            kind,
            threads: number()?,
            traces: number()?,
            spans: number()?,
            extra: number()?,
            counts: number()? == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_crosses_the_pipe_unchanged() {
        for (kind, _) in Kind::ALL {
            let work = Work::new(kind, 3, 4).extra(5).threads(2).counting();
            let line = work.to_line();
            assert_eq!(Work::from_line(&line).map(Work::to_line), Ok(line));
        }
        assert!(Work::from_line("sync 1 2").is_err() && Work::from_line("").is_err());
    }
}
