//! A recorder for tests: of this project, and of whoever uses it.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::clock::Timestamp;
use crate::collect::segment::End;
use crate::collect::{Sink, install_thread, set_global_recorder, uninstall_thread};
use crate::content::Json;
use crate::export::{SpanRecord, Tracked, View};
use crate::panics;
use crate::trace::details::{CallFacts, SpanDetails};
use crate::trace::{Beginning, OpenSpan, Status, TokenUsage, TraceCore};
use crate::{SpanId, TenantId, TraceId};

/// Records what opens on this thread, and whatever is propagated from there, in place of any export.
///
/// Tests that run side by side do not see each other: each has its own thread. What they start without its
/// context (a plain `tokio::spawn` outside annotated code) is not theirs; [`install_global`](Self::install_global)
/// sees that too, of all threads.
///
/// ```
/// # use tracium_runtime as tracium;
/// use tracium::testing::Recorder;
///
/// let recorder = Recorder::install();
/// tracium::start_trace("bot").tenant("acme").run(|| tracium::start_span("tool", "clock").run(|| ()));
///
/// let spans = recorder.spans();
/// assert_eq!(spans[0].name, "clock");
/// assert_eq!(spans[0].tenant.as_ref().unwrap(), "acme");
/// assert_eq!(recorder.traces()[0].agent, "bot");
/// ```
#[derive(Debug)]
#[must_use = "the recorder records until it is dropped"]
pub struct Recorder {
    recording: Arc<Recording>,
    installed: Installed,
    // It must be dropped on the thread that it was installed on.
    not_send: PhantomData<*const ()>,
}

#[derive(Debug)]
enum Installed {
    Thread { before: Option<Sink> },
    Global,
}

impl Recorder {
    /// Records what opens on this thread and is propagated from it, until it is dropped.
    pub fn install() -> Self {
        let recording = Recording::new();
        let before = install_thread(Sink::Recorder(Arc::clone(&recording)));
        Self { recording, installed: Installed::Thread { before }, not_send: PhantomData }
    }

    /// Records what opens anywhere in the process, but under a thread's own recorder, until it is dropped.
    pub fn install_global() -> Self {
        let recording = Recording::new();
        set_global_recorder(Some(Arc::clone(&recording)));
        Self { recording, installed: Installed::Global, not_send: PhantomData }
    }

    /// Records no content, as where its capture is off: for tests that nothing of it is seen then.
    pub fn without_content(self) -> Self {
        self.recording.captures.store(false, Ordering::Relaxed);
        self
    }

    /// The traces, in the order they opened.
    pub fn traces(&self) -> Vec<RecordedTrace> {
        self.recording.lock().traces.iter().map(RecordedTrace::of).collect()
    }

    /// The spans that ended, in the order they ended; without the roots of traces.
    pub fn spans(&self) -> Vec<RecordedSpan> {
        self.recording.lock().spans.clone()
    }

    /// Forgets what was recorded so far.
    pub fn clear(&self) {
        let mut log = self.recording.lock();
        log.traces.clear();
        log.spans.clear();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Its traces know it, and it them.
        self.clear();
        match &mut self.installed {
            Installed::Thread { before } => uninstall_thread(before.take()),
            Installed::Global => set_global_recorder(None),
        }
    }
}

/// How a trace or span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordedStatus {
    /// Still open.
    InProgress,
    /// Ended well.
    Completed,
    /// Returned an `Err`, panicked, was cancelled, or was marked with `fail`.
    Failed,
}

/// A trace as it was recorded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordedTrace {
    /// Its id.
    pub id: TraceId,
    /// The application's own id, where that is neither a UUID nor 32 hex digits.
    pub external_id: Option<String>,
    /// The agent.
    pub agent: String,
    /// The root span's name.
    pub name: String,
    /// The tenant.
    pub tenant: Option<TenantId>,
    /// How it ended.
    pub status: RecordedStatus,
    /// Why it failed.
    pub error: Option<String>,
    /// The type of that error, or `panic`, `cancelled`, `fail`.
    pub error_type: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The agent's version.
    pub version: Option<String>,
    /// The workspace.
    pub workspace: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// The end user.
    pub user: Option<String>,
    /// The tags, constant ones first.
    pub tags: Vec<String>,
    /// The metadata.
    pub metadata: Vec<(String, Value)>,
    /// The summary.
    pub summary: Option<String>,
    /// The root span's id.
    pub root_id: SpanId,
    /// What was recorded as the root's input.
    pub input: Option<Value>,
    /// What was recorded as the root's output.
    pub output: Option<Value>,
}

/// A span as it was recorded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordedSpan {
    /// Its id.
    pub id: SpanId,
    /// Its parent's; the root of the trace for the outermost.
    pub parent_id: SpanId,
    /// Its trace's.
    pub trace_id: TraceId,
    /// How deep it is: 1 under the trace's root.
    pub depth: u32,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The tenant that it opened under.
    pub tenant: Option<TenantId>,
    /// How it ended.
    pub status: RecordedStatus,
    /// Why it failed.
    pub error: Option<String>,
    /// The type of that error, or `panic`, `cancelled`, `fail`.
    pub error_type: Option<String>,
    /// The model, without its trace's.
    pub model: Option<String>,
    /// The input.
    pub input: Option<Value>,
    /// The output.
    pub output: Option<Value>,
    /// The tools offered.
    pub tools: Option<Value>,
    /// The tools called.
    pub tool_calls: Option<Value>,
    /// The tokens; none, where an exchange beneath the span told them.
    pub usage: Option<TokenUsage>,
    /// What else is known of a model's call.
    pub call: RecordedCall,
    /// The tags, constant ones first.
    pub tags: Vec<String>,
    /// The metadata.
    pub metadata: Vec<(String, Value)>,
    /// When it opened.
    pub started_at: SystemTime,
    /// How long it took.
    pub duration: Duration,
}

/// What a recorded span says of a model's call, beside its model, content and tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedCall {
    /// `chat`, `embeddings`, ..; empty where nobody said.
    pub operation: String,
    /// The provider, by the GenAI conventions' name.
    pub provider: Option<String>,
    /// The model that was asked.
    pub asked_model: Option<String>,
    /// The model that answered.
    pub answered_model: Option<String>,
    /// The answer's id.
    pub response_id: Option<String>,
    /// The request's id, as the provider knows it.
    pub request_id: Option<String>,
    /// Why each answer ended, in the provider's words.
    pub finish_reasons: Vec<String>,
    /// From the request to the first piece of what the model said, of a stream.
    pub time_to_first_token: Option<Duration>,
    /// The HTTP status.
    pub http_status: Option<u16>,
    /// The consumer let go of the stream before its end.
    pub stopped: bool,
}

impl RecordedCall {
    fn of(facts: Option<&CallFacts>) -> Self {
        let Some(facts) = facts else { return Self::default() };
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        Self {
            operation: facts.operation.to_owned(),
            provider: facts.provider.map(str::to_owned),
            asked_model: text(&facts.asked),
            answered_model: text(&facts.answered),
            response_id: text(&facts.response_id),
            request_id: text(&facts.request_id),
            finish_reasons: facts.finish_reasons.iter().map(|reason| reason.clone().into_string()).collect(),
            time_to_first_token: facts.first_token,
            http_status: facts.status,
            stopped: facts.stopped,
        }
    }
}

/// What a recorder holds.
#[derive(Debug)]
pub(crate) struct Recording {
    log: Mutex<Log>,
    captures: AtomicBool,
}

#[derive(Debug, Default)]
struct Log {
    traces: Vec<TraceLog>,
    /// Spans that have not ended.
    open: HashMap<SpanId, Beginning>,
    spans: Vec<RecordedSpan>,
}

#[derive(Debug)]
struct TraceLog {
    trace: Arc<Tracked>,
    ended: Option<(SpanRecord, Option<SpanDetails>)>,
}

impl Recording {
    fn new() -> Arc<Self> {
        panics::install_hook();
        Arc::new(Self { log: Mutex::default(), captures: AtomicBool::new(true) })
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn captures(&self) -> bool {
        self.captures.load(Ordering::Relaxed)
    }

    pub(crate) fn trace_started(&self, trace: &Arc<TraceCore>) {
        if !trace.remote {
            self.lock().traces.push(TraceLog { trace: Tracked::new(Arc::clone(trace)), ended: None });
        }
    }

    pub(crate) fn trace_ended(&self, trace: &TraceCore, at: Timestamp, status: Status) {
        let mut log = self.lock();
        if trace.is_discarded() {
            log.traces.retain(|entry| entry.trace.key != trace.key);
        } else if let Some(entry) = log.traces.iter_mut().find(|entry| entry.trace.key == trace.key) {
            let details = trace.take_span(trace.root).map(|details| *details);
            entry.ended = Some((SpanRecord::root(trace, Some(End { at, status })), details));
        }
    }

    pub(crate) fn span_opened(&self, id: SpanId, beginning: Beginning) {
        self.lock().open.insert(id, beginning);
    }

    pub(crate) fn span_closed(&self, trace: &TraceCore, span: OpenSpan, at: Timestamp, status: Status) {
        // It is there: whatever ends here has opened here.
        let Some(Beginning { meta, parent, started }) = self.lock().open.remove(&span.id) else { return };
        let OpenSpan { id, depth, tenant, .. } = span;
        let record = &SpanRecord { id, parent, meta, tenant, started, ended: Some(at), depth, status };
        let details = trace.take_span(record.id);
        let view = View::new(trace, record, details.as_deref());
        let span = RecordedSpan {
            id: record.id,
            parent_id: record.parent,
            trace_id: trace.id,
            depth: record.depth,
            kind: view.kind().to_owned(),
            name: view.name().to_owned(),
            tenant: view.tenant(),
            status: recorded_status(view),
            error: view.error().map(|error| error.text().to_owned()),
            error_type: view.error().map(|error| error.type_name.clone().into_owned()),
            model: view.model().map(str::to_owned),
            input: view.input().map(value),
            output: view.output().map(value),
            tools: view.tools().map(value),
            tool_calls: view.tool_calls().map(value),
            usage: view.usage(),
            call: RecordedCall::of(view.call()),
            tags: view.tags().map(str::to_owned).collect(),
            metadata: view.metadata().iter().map(|(key, json)| (key.to_string(), value(json))).collect(),
            started_at: record.started.system_time(),
            duration: view.duration().unwrap_or_default(),
        };
        self.lock().spans.push(span);
    }
}

impl RecordedTrace {
    fn of(log: &TraceLog) -> Self {
        let trace = &log.trace;
        let open = SpanRecord::root(trace, None);
        let (record, details) = match &log.ended {
            Some((record, details)) => (record, details.clone()),
            None => (&open, trace.state().span(trace.root).cloned()),
        };
        let view = View::new(trace, record, details.as_ref());
        let model = trace.model();
        let state = trace.state();
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let mut metadata = state.details().metadata.clone();
        metadata.extend_from_slice(view.metadata());
        Self {
            id: trace.id,
            external_id: trace.external_id().map(str::to_owned),
            agent: trace.agent().to_owned(),
            name: view.name().to_owned(),
            tenant: state.tenant.clone(),
            status: recorded_status(view),
            error: view.error().map(|error| error.text().to_owned()),
            error_type: view.error().map(|error| error.type_name.clone().into_owned()),
            model,
            version: trace.version().map(str::to_owned),
            workspace: trace.workspace().map(str::to_owned),
            session: text(&state.details().session),
            user: text(&state.details().user),
            tags: view
                .tags()
                .map(str::to_owned)
                .chain(state.details().tags.iter().map(std::string::ToString::to_string))
                .collect(),
            metadata: metadata.iter().map(|(key, json)| (key.to_string(), value(json))).collect(),
            summary: text(&state.details().summary),
            root_id: trace.root,
            input: view.input().map(value),
            output: view.output().map(value),
        }
    }
}

fn recorded_status(view: View<'_>) -> RecordedStatus {
    match (view.record.ended, view.error()) {
        (None, _) => RecordedStatus::InProgress,
        (Some(_), None) => RecordedStatus::Completed,
        (Some(_), Some(_)) => RecordedStatus::Failed,
    }
}

fn value(json: &Json) -> Value {
    serde_json::from_str(json.as_str()).unwrap_or_else(|_| Value::String(json.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorder_that_is_dropped_keeps_nothing_alive() {
        let recorder = Recorder::install();
        crate::start_trace("bot").run(|| crate::start_span("tool", "add").run(|| ()));
        let recording = Arc::downgrade(&recorder.recording);
        drop(recorder);
        assert!(recording.upgrade().is_none());
    }
}
