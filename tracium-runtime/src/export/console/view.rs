//! A trace as it is shown: what the renderer needs, and nothing of how it was collected.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::order::Place;
use super::units::duration;
use crate::config::Mask;
use crate::content::{Json, write_string};
use crate::export::view::View;
use crate::export::{SpanItem, TraceItem};
use crate::panics::contained;
use crate::trace::details::{CallFacts, Error};
use crate::trace::{Status, TokenUsage, TraceCore};
use crate::{SpanId, TenantId};

/// What heads a tree.
#[derive(Clone, Copy, Debug)]
pub(super) enum Heading {
    /// A trace, whole.
    Ended { failed: bool, took: Duration },
    /// This process's part of a trace that another one ends.
    Remote,
    /// What there is of a trace that has not ended, for somebody who waits.
    Open,
    /// Spans of a trace that is printed already.
    Late,
}

/// A trace and its spans.
#[derive(Debug)]
pub(super) struct TraceView<'a> {
    pub(super) heading: Heading,
    /// Enough of its id to find it again.
    pub(super) id: String,
    /// Empty where it is not known here.
    pub(super) agent: &'a str,
    /// The root's name, where that is not the agent's.
    pub(super) name: Option<&'a str>,
    pub(super) tenant: Option<TenantId>,
    pub(super) model: Option<String>,
    /// Tags and metadata, on one line; or empty.
    pub(super) labels: String,
    /// The root's own tokens.
    pub(super) usage: Option<TokenUsage>,
    pub(super) texts: Texts<'a>,
    pub(super) spans: Vec<SpanView<'a>>,
    pub(super) mask: Masked<'a>,
}

/// A span.
#[derive(Clone, Debug)]
pub(super) struct SpanView<'a> {
    pub(super) place: Place,
    pub(super) took: Duration,
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    pub(super) model: Option<&'a str>,
    pub(super) tenant: Option<TenantId>,
    pub(super) usage: Option<TokenUsage>,
    pub(super) failed: bool,
    /// What is worth a word of a model's call, or empty.
    pub(super) note: String,
    pub(super) texts: Texts<'a>,
}

/// What stands on lines of its own below a span or a header. It is masked when it is printed, since most of a wide
/// trace is not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Texts<'a> {
    pub(super) error: Option<&'a Error>,
    pub(super) input: Option<&'a Json>,
    pub(super) output: Option<&'a Json>,
}

impl Texts<'_> {
    /// How many lines they take.
    pub(super) fn lines(&self) -> usize {
        usize::from(self.error.is_some()) + usize::from(self.input.is_some()) + usize::from(self.output.is_some())
    }
}

impl<'a> TraceView<'a> {
    /// What is known of `trace` and of `spans` of it; `open` has the parents of spans that have not ended, and
    /// `printed` says that its end was shown before.
    pub(super) fn new(
        trace: &'a TraceCore,
        end: Option<&'a TraceItem>,
        spans: &'a [SpanItem],
        open: &HashMap<SpanId, SpanId>,
        printed: bool,
        mask: Masked<'a>,
    ) -> Self {
        let root = end.map(|end| View::new(trace, &end.root, end.details.as_deref()));
        let heading = match root {
            Some(root) => Heading::Ended { failed: failed(root), took: root.duration().unwrap_or_default() },
            None if trace.remote => Heading::Remote,
            None if printed => Heading::Late,
            None => Heading::Open,
        };
        let agent = match trace.own_agent() {
            Some(agent) => agent,
            None if trace.remote => "",
            None => trace.meta.agent,
        };
        let ended: HashSet<SpanId> = spans.iter().map(|span| span.record.id).collect();
        Self {
            heading,
            id: short_id(trace),
            agent,
            name: root.map(View::name).filter(|name| *name != agent),
            tenant: trace.tenant(),
            model: root.and_then(View::model).map(str::to_owned).or_else(|| trace.model()),
            labels: root.map(|root| labels(root, mask)).unwrap_or_default(),
            usage: root.and_then(View::usage),
            texts: root.map(texts).unwrap_or_default(),
            spans: spans
                .iter()
                .map(|item| SpanView::new(trace, item, nearest(item.record.parent, open, |id| ended.contains(&id))))
                .collect(),
            mask,
        }
    }
}

impl<'a> SpanView<'a> {
    fn new(trace: &'a TraceCore, item: &'a SpanItem, parent: SpanId) -> Self {
        let record = &item.record;
        let view = View::new(trace, record, item.details.as_deref());
        Self {
            place: Place { id: record.id, parent, start: record.started.since(trace.started) },
            took: view.duration().unwrap_or_default(),
            kind: view.kind(),
            name: view.name(),
            model: view.model(),
            tenant: view.tenant(),
            usage: view.usage(),
            failed: failed(view),
            note: view.call().map(note).unwrap_or_default(),
            texts: texts(view),
        }
    }
}

/// When the first token came, and what kept the answer from its end.
fn note(call: &CallFacts) -> String {
    let first = call.first_token.map(|first| format!("first in {}", duration(first)));
    let stopped = call.stopped.then(|| "stopped".to_owned());
    let reason = call.finish_reasons.iter().find(|reason| {
        let reason = reason.to_ascii_lowercase();
        reason.contains("length") || reason.contains("max") || reason.contains("filter") || reason.contains("safety")
    });
    let words: Vec<String> = first.into_iter().chain(stopped).chain(reason.map(ToString::to_string)).collect();
    words.join(", ")
}

fn failed(view: View<'_>) -> bool {
    view.record.status == Status::Failed || view.error().is_some()
}

fn texts(view: View<'_>) -> Texts<'_> {
    Texts { error: view.error(), input: view.input(), output: view.output() }
}

/// `span`, or the first span above it that is `shown`, as far as `open` knows the way.
fn nearest(mut span: SpanId, open: &HashMap<SpanId, SpanId>, shown: impl Fn(SpanId) -> bool) -> SpanId {
    // No way is longer than all steps there are, unless it is a circle.
    for _ in 0..open.len() {
        match open.get(&span) {
            Some(parent) if !shown(span) => span = *parent,
            _ => break,
        }
    }
    span
}

/// The user's own id, or the first digits of ours.
fn short_id(trace: &TraceCore) -> String {
    match trace.external_id() {
        Some(id) => id.to_string(),
        None => trace.id.to_string().chars().take(8).collect(),
    }
}

/// `#tag #tag {"key":value}`, with the metadata as the mask leaves it.
fn labels(root: View<'_>, mask: Masked<'_>) -> String {
    let state = root.trace.state();
    let mut labels = Vec::new();
    for tag in root.tags().chain(state.details().tags.iter().map(|tag| &**tag)) {
        labels.push(format!("#{tag}"));
    }
    let mut metadata = String::new();
    let mut put = |key: &str, value: &str| {
        metadata.push(if metadata.is_empty() { '{' } else { ',' });
        write_string(&mut metadata, key);
        metadata.push(':');
        metadata.push_str(value);
    };
    for (key, value) in state.details().metadata.iter().chain(root.metadata()) {
        put(key, value.as_str());
    }
    for (key, value) in [("session_id", &state.details().session), ("user_id", &state.details().user)] {
        if let Some(value) = value {
            let mut text = String::new();
            write_string(&mut text, value);
            put(key, &text);
        }
    }
    // The mask is the user's code, which may look at the trace: our lock is not held over it.
    drop(state);
    if !metadata.is_empty() {
        metadata.push('}');
        labels.push(mask.apply("metadata", &metadata).into_owned());
    }
    labels.join(" ")
}

/// The user's mask, if there is one.
#[derive(Clone, Copy, Default)]
pub(super) struct Masked<'a>(pub(super) Option<&'a Mask>);

impl Masked<'_> {
    /// `text` of `field` as it may be seen.
    pub(super) fn apply<'t>(self, field: &str, text: &'t str) -> Cow<'t, str> {
        let Some(mask) = self.0 else { return Cow::Borrowed(text) };
        let mut text = text.to_owned();
        match contained(|| mask(field, &mut text)) {
            Some(()) => Cow::Owned(text),
            None => Cow::Borrowed("[withheld]"),
        }
    }
}

impl std::fmt::Debug for Masked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Masked").field(&self.0.is_some()).finish()
    }
}
