//! A trace, shared by all who record in it.

mod opening;
#[cfg(feature = "collect")]
mod pressed;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

pub(crate) use self::opening::{Opening, RootPlace};
use super::details::{Error, Key, SpanDetails, TraceDetails, TraceState};
use super::{Beginning, OpenSpan, Remote, SpanMeta, TenantMark, TraceMeta, Upstream};
use crate::clock::Timestamp;
#[cfg(feature = "collect")]
use crate::collect::Collector;
use crate::collect::{Sink, Ticket};
use crate::content::{self, Json};
use crate::tenant::TenantId;
use crate::{SpanId, TraceId};

/// How a context's tenant stands to its trace's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// The same, none included.
    Same,
    /// The trace has none: spans stay in it and carry their own.
    Carried,
    /// Another one: spans open a trace of their own tenant.
    Foreign,
}

/// What a trace is opened with, beyond its constant part.
#[derive(Debug, Default)]
pub(crate) struct TraceSpec {
    pub(crate) agent: Option<Box<str>>,
    pub(crate) version: Option<Box<str>>,
    pub(crate) workspace: Option<Box<str>>,
    pub(crate) name: Option<Box<str>>,
    pub(crate) trace_id: Option<Box<str>>,
    pub(crate) details: Option<Box<TraceDetails>>,
    /// Of a trace that another process opened.
    pub(crate) upstream: Option<Upstream>,
}

impl TraceSpec {
    pub(crate) fn details_mut(&mut self) -> &mut TraceDetails {
        self.details.get_or_insert_default()
    }
}

const UNDECIDED: u8 = 0;
const SENT: u8 = 1;
const LEFT_OUT: u8 = 2;

#[derive(Debug)]
pub(crate) struct TraceCore {
    /// Names the trace in its spans' records; no two traces of a process have the same: it is the place of its root's.
    pub(crate) key: u64,
    pub(crate) id: TraceId,
    /// It came from another process, which creates and completes it.
    pub(crate) remote: bool,
    pub(crate) root: SpanId,
    /// Where the root's record lies.
    pub(crate) root_ticket: Ticket,
    pub(crate) meta: &'static TraceMeta,
    /// What is known of it at run time only: names, and the user's own id.
    spec: Option<Box<TraceSpec>>,
    pub(crate) started: Timestamp,
    pub(crate) sink: Sink,
    /// The buffers had room for it; without, nothing of it is kept and all is counted.
    admitted: bool,
    /// Its tenant has its share of buffers that are almost full: until there is more, nothing more of it is kept.
    held_back: AtomicBool,
    /// What was lost of it before any exporter had it, and is not counted on its tenant yet: to full buffers, and in the
    /// upper half after `shutdown`.
    lost: AtomicU64,
    /// Something was recorded on some span: plain spans need no look behind the lock.
    recorded: AtomicBool,
    /// Opened, then refused by its tenant scope: it never was.
    discarded: AtomicBool,
    /// Whether it is sent, once that was decided.
    sampled: AtomicU8,
    /// How often the trace was named: who knows how a tenant stands to the trace's need not ask again until then.
    named: AtomicU32,
    state: Mutex<TraceState>,
}

impl TraceCore {
    /// Opens a trace, and its root.
    #[inline(always)]
    pub(crate) fn open(
        meta: &'static TraceMeta,
        spec: Option<Box<TraceSpec>>,
        tenant: Option<TenantId>,
        sink: Sink,
    ) -> (Arc<Self>, OpenSpan) {
        let mark = if tenant.is_some() { TenantMark::OfTrace } else { TenantMark::None };
        let core = sink.clone().trace_opened(Opening::new(meta, spec, tenant, sink));
        let root = OpenSpan {
            id: core.root,
            ticket: core.root_ticket,
            depth: 0,
            tenant: mark,
            owns_trace: false,
            is_llm: false,
        };
        (core, root)
    }

    /// The trace of a context that came from another process.
    pub(crate) fn remote(from: Remote) -> Arc<Self> {
        static REMOTE: TraceMeta = TraceMeta::new("remote", "remote");
        let mut state = TraceState::new(from.tenant, None);
        state.announced = true;
        let upstream = Upstream { sampled: from.sampled, trace_state: from.trace_state, ..Upstream::default() };
        let spec = TraceSpec {
            agent: from.agent,
            trace_id: from.external_id,
            upstream: Some(upstream),
            ..TraceSpec::default()
        };
        let core = Arc::new(Self {
            key: RootPlace::unwritten().key,
            id: from.id,
            remote: true,
            root: from.parent,
            root_ticket: Ticket::NONE,
            meta: &REMOTE,
            spec: Some(Box::new(spec)),
            started: Timestamp::now(),
            sink: from.sink.of_this_process(),
            admitted: true,
            held_back: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            recorded: AtomicBool::new(false),
            discarded: AtomicBool::new(false),
            sampled: AtomicU8::new(UNDECIDED),
            named: AtomicU32::new(0),
            state: Mutex::new(state),
        });
        core.sink.remote_started(&core);
        core
    }

    /// Lets go of what a trace that is over still holds.
    pub(crate) fn clear(&mut self) {
        #[cfg(feature = "collect")]
        self.settle_losses();
        self.give_back();
        self.spec = None;
        *self.state.get_mut().unwrap_or_else(PoisonError::into_inner) = TraceState::default();
    }

    /// What was recorded too late to be sent, or on spans that were not kept, is given back.
    fn give_back(&mut self) {
        let bytes = self.state.get_mut().unwrap_or_else(PoisonError::into_inner).take_all_bytes();
        if bytes > 0 {
            self.sink.give_back_bytes(bytes);
        }
    }

    fn spec(&self) -> Option<&TraceSpec> {
        self.spec.as_deref()
    }

    /// The user's own id, verbatim, where it is neither a UUID nor 32 hex digits.
    pub(crate) fn external_id(&self) -> Option<&str> {
        self.spec()?.trace_id.as_deref()
    }

    /// The agent, where it is known at run time only.
    pub(crate) fn own_agent(&self) -> Option<&str> {
        self.spec()?.agent.as_deref()
    }

    pub(crate) fn agent(&self) -> &str {
        self.known_agent().unwrap_or(self.meta.agent)
    }

    /// The agent, where it is known: of a trace that another process opened without saying whose it is, it is the first
    /// that runs here.
    pub(crate) fn known_agent(&self) -> Option<&str> {
        self.own_agent().or_else(|| match self.upstream() {
            Some(upstream) => upstream.first_agent.get().map(|agent| &**agent),
            None => Some(self.meta.agent),
        })
    }

    /// Notes an agent that runs in a trace that another process opened.
    pub(crate) fn note_agent(&self, agent: &str) {
        if let Some(upstream) = self.upstream() {
            upstream.first_agent.get_or_init(|| agent.into());
        }
    }

    fn upstream(&self) -> Option<&Upstream> {
        self.spec()?.upstream.as_ref()
    }

    /// What other vendors say of the trace, to be handed on.
    pub(crate) fn trace_state(&self) -> Option<&str> {
        self.upstream()?.trace_state.as_deref()
    }

    /// Whether the trace is sent; downstream services are told. It is decided when it is first asked for, and stays.
    pub(crate) fn is_sampled(&self) -> bool {
        if let Some(upstream) = self.upstream() {
            return upstream.sampled;
        }
        match self.sampled.load(Ordering::Relaxed) {
            UNDECIDED => {
                let decision = if self.decide() { SENT } else { LEFT_OUT };
                let first = self.sampled.compare_exchange(UNDECIDED, decision, Ordering::Relaxed, Ordering::Relaxed);
                first.err().unwrap_or(decision) == SENT
            }
            decision => decision == SENT,
        }
    }

    #[cfg_attr(not(feature = "collect"), allow(clippy::unused_self))]
    fn decide(&self) -> bool {
        #[cfg(feature = "collect")]
        if let Some(sampler) = self.sink.collector().and_then(|collector| collector.policy.sampler.as_ref()) {
            return sampler.samples(self.id, self.tenant().as_ref(), self.agent());
        }
        true
    }

    pub(crate) fn version(&self) -> Option<&str> {
        self.spec().and_then(|spec| spec.version.as_deref()).or(self.meta.version)
    }

    pub(crate) fn workspace(&self) -> Option<&str> {
        self.spec().and_then(|spec| spec.workspace.as_deref()).or(self.meta.workspace)
    }

    /// The model of the trace, which its spans have where they name none.
    pub(crate) fn model(&self) -> Option<String> {
        let set = self.state().details().model.as_deref().map(str::to_owned);
        set.or_else(|| self.meta.span.model.map(str::to_owned))
    }

    /// The id as REST shows it.
    pub(crate) fn public_id(&self) -> String {
        self.external_id().map_or_else(|| self.id.to_uuid(), str::to_owned)
    }

    /// Opens a span; its tenant is one that belongs into this trace.
    pub(crate) fn open_span(
        &self,
        meta: &'static SpanMeta,
        parent: SpanId,
        depth: u32,
        tenant: TenantMark,
    ) -> OpenSpan {
        let beginning = Beginning { meta, parent, started: Timestamp::now() };
        let (id, ticket) = self.sink.span_opened(self, beginning, depth, tenant);
        OpenSpan { id, ticket, depth, tenant, owns_trace: false, is_llm: meta.is_llm() }
    }

    /// Opens a span of a tenant of its own in this trace of none.
    pub(crate) fn open_span_of(
        &self,
        meta: &'static SpanMeta,
        parent: SpanId,
        depth: u32,
        tenant: TenantId,
    ) -> OpenSpan {
        let open = self.open_span(meta, parent, depth, TenantMark::Own);
        self.with_span(open.id, |details| details.tenant = Some(tenant));
        open
    }

    #[inline]
    pub(crate) fn state(&self) -> MutexGuard<'_, TraceState> {
        match self.state.try_lock() {
            Ok(state) => state,
            // Nothing of ours panics while it holds the lock; a poisoned one would be a reason to go on, not to stop.
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) => self.state_of_another(),
        }
    }

    /// The state, which another thread holds.
    #[cold]
    fn state_of_another(&self) -> MutexGuard<'_, TraceState> {
        #[cfg(feature = "collect")]
        if self.sink.collector().is_some_and(Collector::is_forked) {
            // Of a thread of the process that this one was forked off, and for ever. What is noted of the trace here is
            // sent by nobody; where it is noted does not matter.
            let nowhere: &'static Mutex<TraceState> = Box::leak(Box::default());
            return nowhere.lock().unwrap_or_else(PoisonError::into_inner);
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tenant(&self) -> Option<TenantId> {
        self.state().tenant.clone()
    }

    /// The tenant of `span`: its own, in a trace of none.
    fn tenant_of(&self, span: SpanId) -> Option<TenantId> {
        let state = self.state();
        let own = state.span(span).and_then(|details| details.tenant.clone());
        own.or_else(|| state.tenant.clone())
    }

    /// Names the trace after `tenant`, which works until the backend has heard of it, or a span of another is in it.
    pub(crate) fn try_name(&self, tenant: Option<&TenantId>) -> bool {
        let mut state = self.state();
        let may = !state.announced && !state.carries;
        if may {
            state.tenant = tenant.cloned();
            self.named.fetch_add(1, Ordering::Release);
            drop(state);
            #[cfg(feature = "collect")]
            self.ask_anew(tenant);
        }
        may
    }

    /// The call that opened the trace was refused: it leaves no trace, unless the backend has heard of it.
    pub(crate) fn try_discard(&self) {
        let state = self.state();
        self.discarded.store(!state.announced, Ordering::Release);
    }

    /// Notes that a span of a tenant of its own will be in this trace of none, which cannot be named from now on; false
    /// where it has been.
    pub(crate) fn carry(&self) -> bool {
        let mut state = self.state();
        state.carries |= state.tenant.is_none();
        state.carries
    }

    /// The trace was refused as it opened: it never was.
    pub(crate) fn is_discarded(&self) -> bool {
        self.discarded.load(Ordering::Acquire)
    }

    /// Changes whenever the trace is named.
    #[inline]
    pub(crate) fn named(&self) -> u32 {
        self.named.load(Ordering::Acquire)
    }

    /// Whether the buffers take what comes of it.
    pub(crate) fn is_admitted(&self) -> bool {
        self.admitted && !self.held_back.load(Ordering::Relaxed)
    }

    /// Whether its spans go into the collector's buffers.
    #[cfg_attr(not(feature = "collect"), allow(clippy::unused_self))]
    pub(crate) fn is_collected(&self) -> bool {
        #[cfg(feature = "collect")]
        return self.is_admitted() && self.sink.collector().is_some();
        #[cfg(not(feature = "collect"))]
        false
    }

    /// Whether anything was recorded on any span.
    #[inline]
    pub(crate) fn has_records(&self) -> bool {
        self.recorded.load(Ordering::Relaxed)
    }

    pub(crate) fn relation(&self, tenant: Option<&TenantId>) -> Relation {
        match (&self.state().tenant, tenant) {
            (None, None) => Relation::Same,
            (None, Some(_)) => Relation::Carried,
            (Some(ours), Some(theirs)) if ours.same(theirs) => Relation::Same,
            (Some(_), _) => Relation::Foreign,
        }
    }

    /// Changes what is recorded on `span`.
    pub(crate) fn with_span<R>(&self, span: SpanId, change: impl FnOnce(&mut SpanDetails) -> R) -> R {
        let mut state = self.state();
        self.recorded.store(true, Ordering::Relaxed);
        change(state.span_mut(span))
    }

    /// Puts what a span is opened with beside what is noted of it already.
    pub(crate) fn add_details(&self, span: SpanId, mut details: SpanDetails) {
        details.bytes = self.admit_all(&mut details.metadata);
        self.with_span(span, |known| {
            let tenant = known.tenant.take();
            *known = SpanDetails { tenant, ..details };
        });
    }

    /// Puts a value into a field of `span`, if the buffers have room for its bytes; else a note that says so.
    pub(crate) fn record(&self, span: SpanId, value: Json, field: impl FnOnce(&mut SpanDetails) -> &mut Option<Json>) {
        let (value, bytes) = self.admit_for(value, &|| self.tenant_of(span));
        let before = self.with_span(span, |details| {
            let before = field(details).replace(value).map_or(0, |before| before.len()).min(details.bytes);
            details.bytes = details.bytes - before + bytes;
            before
        });
        if before > 0 {
            self.sink.give_back_bytes(before);
        }
    }

    /// The value, or a note where the buffers have no room for it; and the bytes it was admitted with.
    pub(crate) fn admit(&self, value: Json) -> (Json, usize) {
        self.admit_for(value, &|| self.tenant())
    }

    fn admit_for(&self, value: Json, whose: &dyn Fn() -> Option<TenantId>) -> (Json, usize) {
        let bytes = value.len();
        if self.sink.admit_bytes(bytes, whose) {
            (value, bytes)
        } else {
            (Json::from_valid(format!("\"[dropped: {bytes} bytes, buffers full]\"")), 0)
        }
    }

    /// [`admit`](Self::admit) for each value; the bytes of all.
    fn admit_all(&self, metadata: &mut [(Key, Json)]) -> usize {
        let mut bytes = 0;
        for (_, value) in metadata {
            // In the place of the value that is looked at, for as long as that takes.
            let nothing = Json::from_valid(String::new());
            let (admitted, of_value) = self.admit(std::mem::replace(value, nothing));
            *value = admitted;
            bytes += of_value;
        }
        bytes
    }

    /// Whether `span` is one of `tenant`, none included: what the one does is never said of the other.
    pub(crate) fn is_of(&self, span: SpanId, tenant: Option<&TenantId>) -> bool {
        match (self.tenant_of(span), tenant) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => ours.same(theirs),
            _ => false,
        }
    }

    /// Whether what a model's call beneath `span`, of `tenant`, does is to be said of `span` itself.
    pub(crate) fn claims(&self, span: SpanId, tenant: Option<&TenantId>) -> bool {
        self.has_records()
            && self.state().span(span).and_then(|details| details.llm.as_ref()).is_some_and(|facts| facts.claims)
            && self.is_of(span, tenant)
    }

    /// The call that `span` is in, and is.
    pub(crate) fn call_above(&self, span: SpanId) -> Option<SpanId> {
        self.state().span(span)?.llm.as_ref()?.above
    }

    pub(crate) fn has_error(&self, span: SpanId) -> bool {
        self.has_records() && self.state().span(span).is_some_and(|details| details.error.is_some())
    }

    /// Notes why `span` failed; the first reason stays.
    pub(crate) fn set_error(&self, span: SpanId, mut error: Error, tenant: Option<&TenantId>) {
        if self.sink.captures(tenant) {
            error.message = content::scrub_text(&error.message, Error::MAX_CHARS).into();
        } else {
            error.message = Box::default();
        }
        let mut bytes = error.message.len();
        if !self.sink.admit_bytes(bytes, &|| self.tenant_of(span)) {
            error.message = Box::default();
            bytes = 0;
        }
        self.with_span(span, |details| {
            details.bytes += bytes;
            details.error.get_or_insert(error);
        });
    }

    pub(crate) fn copy_error(&self, from: SpanId, to: SpanId) {
        let error = self.state().span(from).and_then(|details| details.error.clone());
        if let Some(error) = error {
            self.with_span(to, |details| details.error = Some(error));
        }
    }

    /// Takes what was recorded on `span`, for export.
    pub(crate) fn take_span(&self, span: SpanId) -> Option<Box<SpanDetails>> {
        if !self.has_records() {
            return None;
        }
        self.state().take_span(span)
    }
}

impl Drop for TraceCore {
    fn drop(&mut self) {
        #[cfg(feature = "collect")]
        self.settle_losses();
        self.give_back();
    }
}

impl Error {
    /// The most characters of an error's text that the backend takes.
    pub(crate) const MAX_CHARS: usize = 10_000;
}
