//! What a body says of its span. Most spans have none of this, so it lives beside the trace, made on first use.

use std::borrow::Cow;
use std::time::Duration;

use crate::SpanId;
use crate::content::Json;
use crate::id::IdMap;
use crate::tenant::TenantId;
use crate::trace::TokenUsage;
use crate::trace::exchanges::Exchanges;

/// Of a metadata entry: most are known while compiling.
pub(crate) type Key = Cow<'static, str>;

/// Why a span failed.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    /// The error's type, or `panic`, `cancelled`, `fail`; of a model's call, the provider's type or the HTTP status.
    pub(crate) type_name: Cow<'static, str>,
    /// The text, without the secrets that show by their form; empty where content is not captured.
    pub(crate) message: Box<str>,
}

/// What was recorded on one span.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpanDetails {
    pub(crate) kind: Option<Box<str>>,
    pub(crate) name: Option<Box<str>>,
    pub(crate) model: Option<Box<str>>,
    pub(crate) input: Option<Json>,
    pub(crate) output: Option<Json>,
    pub(crate) tools: Option<Json>,
    pub(crate) tool_calls: Option<Json>,
    pub(crate) usage: Option<TokenUsage>,
    pub(crate) tags: Vec<Box<str>>,
    pub(crate) metadata: Vec<(Key, Json)>,
    pub(crate) error: Option<Error>,
    /// What only calls of models have.
    pub(crate) llm: Option<Box<CallFacts>>,
    /// The span's own tenant, in a trace of none.
    pub(crate) tenant: Option<TenantId>,
    /// What the values above were admitted with.
    pub(crate) bytes: usize,
}

/// What is known of a model's call beside what any span may have; none of it is content.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
pub struct CallFacts {
    /// `chat`, `embeddings`, ..; empty where nobody said.
    pub operation: &'static str,
    /// By the GenAI conventions' name.
    pub provider: Option<&'static str>,
    /// The model that was asked.
    pub asked: Option<Box<str>>,
    /// The model that answered.
    pub answered: Option<Box<str>>,
    /// The answer's id.
    pub response_id: Option<Box<str>>,
    /// The id that the provider's support asks for.
    pub request_id: Option<Box<str>>,
    /// Why each answer ended, in the provider's words.
    pub finish_reasons: Vec<Box<str>>,
    /// From the request to the first piece of what the model says, of a stream.
    pub first_token: Option<Duration>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// A stream was asked for.
    pub stream: bool,
    /// The consumer let go of the stream before its end.
    pub stopped: bool,
    /// The tokens that a cache had are counted beside the others, not among them; `None` where nobody knows.
    pub cached_apart: Option<bool>,
    /// Exchanges beneath the span are the call that it is itself: what they see is said of it.
    pub(crate) claims: bool,
    /// The exchange that was last said of the span failed, and gave it its error.
    pub(crate) failed: bool,
    /// An exchange beneath the span is the call: this span is not counted as another one.
    pub(crate) call_below: bool,
    /// That exchange told the tokens: those that this span was told of are the same ones.
    pub(crate) usage_below: bool,
    /// The call of a model, of the same tenant, that this one is in, and is.
    pub(crate) above: Option<SpanId>,
    /// What exchanges said of this span itself.
    pub(crate) exchanges: Exchanges,
}

impl SpanDetails {
    pub(crate) fn facts_mut(&mut self) -> &mut CallFacts {
        self.llm.get_or_insert_default()
    }
}

/// What was recorded on the trace as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct TraceDetails {
    pub(crate) model: Option<Box<str>>,
    pub(crate) tags: Vec<Box<str>>,
    pub(crate) metadata: Vec<(Key, Json)>,
    pub(crate) summary: Option<Box<str>>,
    pub(crate) session: Option<Box<str>>,
    pub(crate) user: Option<Box<str>>,
    pub(crate) bytes: usize,
}

/// What a trace holds of its spans, behind one lock that plain spans never take.
#[derive(Debug, Default)]
pub(crate) struct TraceState {
    pub(crate) tenant: Option<TenantId>,
    /// The exporter has told the backend of the trace: its tenant holds from now on.
    pub(crate) announced: bool,
    /// Spans of tenants of their own are in it: it can be none of any one's.
    pub(crate) carries: bool,
    /// Made when something is recorded on the trace; most have nothing.
    details: Option<Box<TraceDetails>>,
    /// What was recorded on spans; most traces have no such one.
    spans: Option<Box<IdMap<SpanId, Box<SpanDetails>>>>,
}

impl TraceState {
    pub(crate) fn new(tenant: Option<TenantId>, details: Option<Box<TraceDetails>>) -> Self {
        Self { tenant, announced: false, carries: false, details, spans: None }
    }

    /// What was recorded on `span`.
    pub(crate) fn span(&self, span: SpanId) -> Option<&SpanDetails> {
        self.spans.as_ref()?.get(&span).map(|details| &**details)
    }

    pub(crate) fn span_mut(&mut self, span: SpanId) -> &mut SpanDetails {
        self.spans.get_or_insert_default().entry(span).or_default()
    }

    pub(crate) fn take_span(&mut self, span: SpanId) -> Option<Box<SpanDetails>> {
        self.spans.as_mut()?.remove(&span)
    }

    /// What was recorded on the trace.
    pub(crate) fn details(&self) -> &TraceDetails {
        static NOTHING: TraceDetails = TraceDetails::nothing();
        self.details.as_deref().unwrap_or(&NOTHING)
    }

    pub(crate) fn details_mut(&mut self) -> &mut TraceDetails {
        self.details.get_or_insert_default()
    }

    /// The bytes that the trace's values were admitted with, to be given back by whoever asks first.
    pub(crate) fn take_bytes(&mut self) -> usize {
        self.details.as_mut().map_or(0, |details| std::mem::take(&mut details.bytes))
    }

    /// The bytes of all that is recorded.
    pub(crate) fn bytes(&self) -> usize {
        let of_spans = self.spans.as_ref().map_or(0, |spans| spans.values().map(|details| details.bytes).sum());
        self.details().bytes + of_spans
    }

    /// The bytes of all that was recorded and nobody took.
    pub(crate) fn take_all_bytes(&mut self) -> usize {
        let spans = self.spans.take().map_or(0, |spans| spans.values().map(|details| details.bytes).sum());
        self.take_bytes() + spans
    }
}

impl TraceDetails {
    const fn nothing() -> Self {
        Self { model: None, tags: Vec::new(), metadata: Vec::new(), summary: None, session: None, user: None, bytes: 0 }
    }
}

/// One value a key; a later one wins.
pub(crate) fn put(metadata: &mut Vec<(Key, Json)>, key: impl Into<Key>, value: Json) {
    let key = key.into();
    match metadata.iter_mut().find(|(k, _)| *k == key) {
        Some((_, old)) => *old = value,
        None => metadata.push((key, value)),
    }
}
