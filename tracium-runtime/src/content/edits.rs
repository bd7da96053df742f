//! Replacing parts of a text, without a copy while nothing was replaced.

use std::borrow::Cow;

use super::escape::floor_boundary;

/// A text after redaction, and how much of the source it stands for.
#[derive(Debug)]
pub(super) struct Edited<'a> {
    /// The text; borrowed when nothing was replaced.
    pub(super) text: Cow<'a, str>,
    /// Bytes of the source that were looked at; the rest lies beyond the limit.
    pub(super) consumed: usize,
}

/// Replacements in a text, in order, up to a limit of output. The limit counts output, not source: five megabytes of
/// image that shrink to a dozen bytes leave the room to what follows them.
pub(super) struct Edits<'a> {
    source: &'a str,
    out: String,
    copied: usize,
    limit: usize,
}

impl<'a> Edits<'a> {
    /// No replacement yet; at most about `limit` bytes are wanted.
    pub(super) fn new(source: &'a str, limit: usize) -> Self {
        Self { source, out: String::new(), copied: 0, limit }
    }

    /// The text that is being edited.
    pub(super) fn source(&self) -> &'a str {
        self.source
    }

    /// Everything before this source position is settled.
    pub(super) fn settled(&self) -> usize {
        self.copied
    }

    /// The source position at which the output is full, were nothing else replaced.
    pub(super) fn horizon(&self) -> usize {
        let room = self.limit.saturating_sub(self.out.len());
        self.copied.saturating_add(room).min(self.source.len())
    }

    /// Replaces `start..end`, both at char boundaries, not before what is settled.
    pub(super) fn replace(&mut self, start: usize, end: usize, with: &str) {
        self.out.push_str(&self.source[self.copied..start]);
        self.out.push_str(with);
        self.copied = end;
    }

    /// The text up to `end` at most, or up to the horizon.
    pub(super) fn finish(mut self, end: usize) -> Edited<'a> {
        let end = floor_boundary(self.source, self.horizon().min(end)).max(self.copied);
        if self.copied == 0 {
            return Edited { text: Cow::Borrowed(&self.source[..end]), consumed: end };
        }
        self.out.push_str(&self.source[self.copied..end]);
        Edited { text: Cow::Owned(self.out), consumed: end }
    }
}
