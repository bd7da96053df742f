//! Handles to the current trace and span: they always work, and do nothing when there is none.

use std::fmt::{self, Display};
use std::sync::Arc;

use serde_core::Serialize;

use super::details::{CallFacts, Error, SpanDetails, put};
use super::{TokenUsage, TraceCore};
use crate::content::{self, Json, Limits};
use crate::context::current;
use crate::panics::contained;
use crate::tenant::TenantId;
use crate::{SpanId, TraceId};

/// The span that the calling code runs in; in a trace's own body, the trace's root.
///
/// Where the scope's tenant is another than the trace's, and no span of its own is open yet, there is none: one tenant's
/// content never lands on another's trace.
///
/// The handle may be kept and sent elsewhere. What it records after the span's end is not exported.
///
/// ```
/// # use tracium_runtime as tracium;
/// let span = tracium::current_span();
/// span.set_model("gpt-4o");
/// span.record_output(&["first", "second"]);
/// span.set_token_usage(tracium::TokenUsage::new(812, 64).cached_input(512));
/// ```
pub fn current_span() -> SpanHandle {
    current(|scope| {
        let (span, tenant) = scope?.recorded_span()?;
        Some(SpanHandle::new(&span.trace, span.id, tenant.as_ref()))
    })
    .unwrap_or_default()
}

/// The trace that the calling code runs in.
///
/// ```
/// # use tracium_runtime as tracium;
/// tracium::current_trace().add_tags(["vip"]).add_metadata("plan", &"gold");
/// ```
pub fn current_trace() -> TraceHandle {
    current(|scope| {
        let (span, tenant) = scope?.recorded_span()?;
        Some(TraceHandle(SpanHandle::new(&span.trace, span.trace.root, tenant.as_ref())))
    })
    .unwrap_or_default()
}

/// A span, to say more of it. Every call is a no-op where nothing is recorded, and each gives the handle back.
#[derive(Clone, Default)]
pub struct SpanHandle(Option<Target>);

#[derive(Clone)]
struct Target {
    trace: Arc<TraceCore>,
    id: SpanId,
    tenant: Option<TenantId>,
}

impl SpanHandle {
    pub(crate) fn new(trace: &Arc<TraceCore>, id: SpanId, tenant: Option<&TenantId>) -> Self {
        Self(Some(Target { trace: Arc::clone(trace), id, tenant: tenant.cloned() }))
    }

    /// Whether what is recorded here is kept.
    pub fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    /// The span's id.
    pub fn id(&self) -> Option<SpanId> {
        self.0.as_ref().map(|target| target.id)
    }

    /// The id of the span's trace.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.0.as_ref().map(|target| target.trace.id)
    }

    /// What went in: the prompt, the query, the arguments. A later call replaces an earlier one.
    ///
    /// Values are serialized here and now, bounded as they stream (400 kB in all); keys such as `password` are
    /// redacted, base64 and data URLs become a note of their size. On the wire long strings are cut until the
    /// whole fits into 100,000 bytes. Nothing is recorded where content capture is off.
    pub fn record_input(&self, value: &(impl Serialize + ?Sized)) -> &Self {
        self.content(value, |details| &mut details.input)
    }

    /// What came out. The limits of [`record_input`](Self::record_input) hold.
    pub fn record_output(&self, value: &(impl Serialize + ?Sized)) -> &Self {
        self.content(value, |details| &mut details.output)
    }

    /// A model's response, as its client gave it: the model that answered, what it said, the tools that it asked for, the
    /// tokens, why it stopped, and the response's id.
    ///
    /// For clients whose requests nothing of ours sees. The responses of `OpenAI`'s APIs and whatever speaks them, of
    /// Anthropic's, Google's, Bedrock's, Cohere's and Ollama's are read, in the shape that they have on the wire, which is
    /// the one that clients' types serialize to. A value of another shape is recorded as
    /// [output](Self::record_output). Its limits hold, and where content capture is off, what was said and asked for is
    /// left out.
    ///
    /// ```
    /// # use tracium_runtime as tracium;
    /// let reply = std::collections::HashMap::from([("model", "llama3.2"), ("response", "Earl Grey"), ("done_reason", "stop")]);
    /// tracium::current_span().record_response(&reply); // model, output, tokens, tool calls
    /// ```
    pub fn record_response(&self, response: &(impl Serialize + ?Sized)) -> &Self {
        #[cfg(feature = "collect")]
        if let Some(target) = &self.0 {
            let captures = target.trace.sink.captures(target.tenant.as_ref());
            crate::llm::record(&target.trace, target.id, captures, response);
        }
        #[cfg(not(feature = "collect"))]
        let _ = response;
        self
    }

    /// The tools that were offered to the model.
    pub fn set_tools(&self, tools: &(impl Serialize + ?Sized)) -> &Self {
        self.content(tools, |details| &mut details.tools)
    }

    /// The tools that the model asked for.
    pub fn set_tool_calls(&self, calls: &(impl Serialize + ?Sized)) -> &Self {
        self.content(calls, |details| &mut details.tool_calls)
    }

    /// The model that answered.
    pub fn set_model(&self, model: impl Into<String>) -> &Self {
        // The user's conversion runs outside our lock.
        let model: Box<str> = model.into().into();
        self.change(|details| details.model = Some(model))
    }

    /// The tokens of this call. On one span only: a parent's usage is not its children's sum.
    pub fn set_token_usage(&self, usage: TokenUsage) -> &Self {
        self.change(|details| details.usage = Some(usage))
    }

    /// Adds tags, of 128 characters at most each, 100 in all.
    pub fn add_tags<T: Into<String>>(&self, tags: impl IntoIterator<Item = T>) -> &Self {
        if let Some(target) = &self.0 {
            // The user's iterator runs outside our lock.
            let tags: Vec<Box<str>> = tags.into_iter().take(100).map(|tag| tag.into().into()).collect();
            target.trace.with_span(target.id, |details| add_tags(&mut details.tags, tags));
        }
        self
    }

    /// Sets the metadata `key`. It is no content: it is recorded also where content capture is off.
    pub fn add_metadata(&self, key: impl Into<String>, value: &(impl Serialize + ?Sized)) -> &Self {
        if let Some(target) = &self.0 {
            let key = key.into();
            let value = named(&key, value);
            let (value, bytes) = target.trace.admit(value);
            target.trace.with_span(target.id, |details| {
                details.bytes += bytes;
                put(&mut details.metadata, &key, value);
            });
        }
        self
    }

    /// Marks the span as failed, for `reason`. The first reason stays.
    pub fn fail(&self, reason: impl Display) -> &Self {
        self.fail_as("fail", &reason);
        self
    }

    pub(crate) fn fail_as(&self, type_name: &'static str, reason: &dyn Display) {
        if let Some(target) = &self.0 {
            let message = contained(|| reason.to_string()).unwrap_or_default();
            let error = Error { type_name: type_name.into(), message: message.into() };
            target.trace.set_error(target.id, error, target.tenant.as_ref());
        }
    }

    /// Says more of a model's call.
    pub(crate) fn note_call(&self, note: impl FnOnce(&mut CallFacts)) {
        self.change(|details| note(details.facts_mut()));
    }

    fn content(
        &self,
        value: &(impl Serialize + ?Sized),
        field: impl FnOnce(&mut SpanDetails) -> &mut Option<Json>,
    ) -> &Self {
        if let Some(target) = &self.0
            && target.trace.sink.captures(target.tenant.as_ref())
        {
            target.trace.record(target.id, content::to_json(value, &Limits::CAPTURE), field);
        }
        self
    }

    fn change(&self, change: impl FnOnce(&mut SpanDetails)) -> &Self {
        if let Some(target) = &self.0 {
            target.trace.with_span(target.id, change);
        }
        self
    }
}

/// Adds tags, up to as many as are sent.
fn add_tags(tags: &mut Vec<Box<str>>, more: Vec<Box<str>>) {
    let room = 100_usize.saturating_sub(tags.len());
    tags.extend(more.into_iter().take(room));
}

/// `value` as JSON, or a note where `key` says that it is a secret.
pub(crate) fn named(key: &str, value: &(impl Serialize + ?Sized)) -> Json {
    if content::is_sensitive(key) {
        content::to_json("[redacted]", &Limits::CAPTURE)
    } else {
        content::to_json(value, &Limits::CAPTURE)
    }
}

impl fmt::Debug for SpanHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanHandle").field("trace_id", &self.trace_id()).field("id", &self.id()).finish()
    }
}

/// A trace, to say more of it. Every call is a no-op where nothing is recorded, and each gives the handle back.
#[derive(Clone, Default)]
pub struct TraceHandle(SpanHandle);

impl TraceHandle {
    /// Whether what is recorded here is kept.
    pub fn is_recording(&self) -> bool {
        self.0.is_recording()
    }

    /// The trace's id.
    pub fn id(&self) -> Option<TraceId> {
        self.0.trace_id()
    }

    /// The trace's id; the same as [`id`](Self::id), by the name that spans have for it.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.0.trace_id()
    }

    /// What was asked of the agent. See [`SpanHandle::record_input`] for the limits.
    pub fn record_input(&self, value: &(impl Serialize + ?Sized)) -> &Self {
        self.0.record_input(value);
        self
    }

    /// What the agent answered. See [`SpanHandle::record_input`] for the limits.
    pub fn record_output(&self, value: &(impl Serialize + ?Sized)) -> &Self {
        self.0.record_output(value);
        self
    }

    /// A model's response, of a trace that makes one model call itself. See [`SpanHandle::record_response`].
    pub fn record_response(&self, response: &(impl Serialize + ?Sized)) -> &Self {
        self.0.record_response(response);
        self
    }

    /// The model that the agent uses, and with it every span that names none.
    pub fn set_model(&self, model: impl Into<String>) -> &Self {
        let model: Box<str> = model.into().into();
        self.change(|trace| trace.model = Some(model))
    }

    /// The tokens of a trace that makes one model call itself, with no span around it.
    pub fn set_token_usage(&self, usage: TokenUsage) -> &Self {
        self.0.set_token_usage(usage);
        self
    }

    /// The tools that the agent has.
    pub fn set_tools(&self, tools: &(impl Serialize + ?Sized)) -> &Self {
        self.0.set_tools(tools);
        self
    }

    /// The tools that the agent called.
    pub fn set_tool_calls(&self, calls: &(impl Serialize + ?Sized)) -> &Self {
        self.0.set_tool_calls(calls);
        self
    }

    /// Adds tags, of 128 characters at most each, 100 in all.
    pub fn add_tags<T: Into<String>>(&self, tags: impl IntoIterator<Item = T>) -> &Self {
        if self.is_recording() {
            let tags: Vec<Box<str>> = tags.into_iter().take(100).map(|tag| tag.into().into()).collect();
            self.change(|trace| add_tags(&mut trace.tags, tags));
        }
        self
    }

    /// Sets the metadata `key`. It is no content: it is recorded also where content capture is off.
    pub fn add_metadata(&self, key: impl Into<String>, value: &(impl Serialize + ?Sized)) -> &Self {
        if let Some(target) = &self.0.0 {
            let key = key.into();
            let (value, bytes) = target.trace.admit(named(&key, value));
            let mut state = target.trace.state();
            let details = state.details_mut();
            details.bytes += bytes;
            put(&mut details.metadata, &key, value);
        }
        self
    }

    /// A sentence that says what came of the trace. It is content: nothing is recorded where capture is off.
    pub fn set_summary(&self, summary: impl Into<String>) -> &Self {
        if let Some(target) = &self.0.0
            && target.trace.sink.captures(target.tenant.as_ref())
        {
            let summary = content::scrub_text(&summary.into(), Error::MAX_CHARS);
            target.trace.state().details_mut().summary = Some(summary.into());
        }
        self
    }

    /// Marks the trace as failed, for `reason`. The first reason stays.
    pub fn fail(&self, reason: impl Display) -> &Self {
        self.0.fail(reason);
        self
    }

    fn change(&self, change: impl FnOnce(&mut super::details::TraceDetails)) -> &Self {
        if let Some(target) = &self.0.0 {
            change(target.trace.state().details_mut());
        }
        self
    }
}

impl fmt::Debug for TraceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceHandle").field("id", &self.id()).finish()
    }
}
