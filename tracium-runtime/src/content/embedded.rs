//! JSON inside strings: tool arguments, bodies of requests, lines of logs.
//!
//! The text is scanned, not parsed into a tree: what is not redacted keeps its order, numbers and formatting.

use std::borrow::Cow;

use super::edits::{Edited, Edits};
use super::encoded::whole_base64;
use super::escape::{raw_prefix, unescape, write_escaped};
use super::grammar::{Grammar, Role};
use super::secrets::{self, REDACTED};
use super::sensitive::{KeyRole, is_sensitive};
use super::token::{Kind, Token, Tokens};

/// JSON in a string in JSON in a string: so many times.
const DEEPEST: usize = 4;

/// Redacts a string of the user's: whole blobs, JSON, and secrets by form. About `limit` bytes of it are wanted.
pub(super) fn clean(text: &str, limit: usize) -> Edited<'_> {
    clean_at(text, limit, 0)
}

/// As [`clean`], inside `nesting` other strings.
fn clean_at(text: &str, limit: usize, nesting: usize) -> Edited<'_> {
    if let Some(bytes) = whole_base64(text) {
        return Edited { text: Cow::Owned(format!("[base64, {bytes} bytes]")), consumed: text.len() };
    }
    let looks_like_json = text.trim_ascii_start().starts_with(['{', '[']);
    if looks_like_json
        && nesting < DEEPEST
        && let Some(edited) = (Scan::new(text, limit, nesting)).run()
    {
        return edited;
    }
    secrets::redact(text, limit, false)
}

/// What a scan knows of an open bracket.
#[derive(Clone, Copy)]
struct Level {
    /// The last key told to redact its value.
    sensitive: bool,
    /// What the last key was to its neighbours.
    role: KeyRole,
    /// The object names something sensitive: `{"name": "Authorization", "value": ..}`.
    armed: bool,
}

/// A scan through one text.
struct Scan<'a> {
    edits: Edits<'a>,
    grammar: Grammar,
    /// One more than the open brackets: the first is the text itself.
    levels: Vec<Level>,
    /// Where the value that is being left out began, and how deep.
    skipping: Option<(usize, usize)>,
    nesting: usize,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str, limit: usize, nesting: usize) -> Self {
        Self {
            edits: Edits::new(text, limit),
            grammar: Grammar::new(),
            levels: vec![Level { sensitive: false, role: KeyRole::Other, armed: false }],
            skipping: None,
            nesting,
        }
    }

    /// The redacted text; `None` when it is not JSON. It is read no further than the limit, and what was read is
    /// redacted even if the end, which nobody will see, does not parse.
    fn run(mut self) -> Option<Edited<'a>> {
        let text = self.edits.source();
        for token in Tokens::new(text) {
            if self.skipping.is_none() && token.start >= self.edits.horizon() {
                return Some(self.edits.finish(token.start));
            }
            if self.grammar.is_complete() {
                self.grammar.restart();
            }
            match self.grammar.step(token.kind)? {
                Role::Key => self.key(token),
                Role::Leaf => {
                    self.begin(token.start);
                    if let Some(end) = self.leaf(token) {
                        return Some(self.edits.finish(end));
                    }
                    self.end(token.end);
                }
                Role::Open => {
                    self.begin(token.start);
                    self.levels.push(Level { sensitive: false, role: KeyRole::Other, armed: false });
                }
                Role::Close => {
                    self.levels.pop();
                    self.end(token.end);
                }
                Role::Between => {}
            }
        }
        self.grammar.is_complete().then(|| self.edits.finish(text.len()))
    }

    /// A value begins: is it one to leave out?
    fn begin(&mut self, start: usize) {
        if let Some(level) = self.levels.last_mut() {
            let redact = level.sensitive || (level.armed && level.role == KeyRole::Value);
            level.sensitive = false;
            if redact && self.skipping.is_none() {
                self.skipping = Some((start, self.levels.len()));
            }
        }
    }

    /// A value ended: was it the one that is left out?
    fn end(&mut self, end: usize) {
        if let Some((start, depth)) = self.skipping
            && depth == self.levels.len()
        {
            self.edits.replace(start, end, "\"[redacted]\"");
            self.skipping = None;
        }
    }

    fn key(&mut self, token: Token) {
        if self.skipping.is_some() {
            return;
        }
        let key = self.content(token);
        let key = if token.kind == Kind::Text(true) {
            unescape(key).map_or(Cow::Borrowed(key), Cow::Owned)
        } else {
            key.into()
        };
        if let Some(level) = self.levels.last_mut() {
            level.sensitive = is_sensitive(&key);
            level.role = KeyRole::of(&key);
        }
        self.settle(token, secrets::redact(&key, usize::MAX, false).text);
    }

    /// Redacts inside a string; returns where the text ends when the string took the rest of the limit.
    fn leaf(&mut self, token: Token) -> Option<usize> {
        let Kind::Text(escaped) = token.kind else {
            return None;
        };
        if self.skipping.is_some() {
            return None;
        }
        let raw = self.content(token);
        if let Some(level) = self.levels.last_mut()
            && level.role == KeyRole::Name
        {
            level.armed |= is_sensitive(raw);
        }
        let limit = self.edits.horizon().saturating_sub(token.start);
        if !escaped {
            let edited = clean_at(raw, limit, self.nesting + 1);
            let whole = edited.consumed == raw.len();
            let end = token.start + 1 + edited.consumed;
            self.replace_content(token.start + 1, end, edited.text);
            return (!whole).then_some(end);
        }
        // Unescaping copies, so that a string beyond the limit is first cut to it, and a little more for a secret there.
        let end = raw_prefix(raw, limit.saturating_add(1024));
        let text = unescape(&raw[..end])?;
        let edited = clean_at(&text, usize::MAX, self.nesting + 1);
        let whole = end == raw.len();
        if let Cow::Owned(clean) = edited.text {
            self.replace_content(token.start + 1, token.start + 1 + end, Cow::Owned(clean));
        }
        (!whole).then_some(token.start + 1 + end)
    }

    /// Replaces a string's content where redaction changed it.
    fn settle(&mut self, token: Token, clean: Cow<'_, str>) {
        if let Cow::Owned(_) = clean {
            self.replace_content(token.start + 1, token.end - 1, clean);
        }
    }

    fn replace_content(&mut self, start: usize, end: usize, clean: Cow<'_, str>) {
        if let Cow::Owned(clean) = clean {
            let mut escaped = String::with_capacity(clean.len());
            write_escaped(&mut escaped, &clean);
            self.edits.replace(start, end, &escaped);
        }
    }

    /// A string's content, still escaped.
    fn content(&self, token: Token) -> &'a str {
        &self.edits.source()[token.start + 1..token.end - 1]
    }
}

/// True when a JSON string that we wrote holds the name of something sensitive.
pub(super) fn names_a_secret(json: &str) -> bool {
    json.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .is_some_and(|name| name != REDACTED && is_sensitive(name))
}
