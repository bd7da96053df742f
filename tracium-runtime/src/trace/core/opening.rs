//! A trace as it opens: anew, or in place of one that is over.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{TraceCore, TraceSpec, UNDECIDED};
use crate::clock::Timestamp;
use crate::collect::{Sink, Ticket};
use crate::tenant::TenantId;
use crate::trace::TraceMeta;
use crate::trace::details::TraceState;
use crate::{SpanId, TraceId};

/// Where the root of a trace that opens will have its record, and the names that come with the place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RootPlace {
    pub(crate) key: u64,
    pub(crate) root: SpanId,
    pub(crate) ticket: Ticket,
}

impl RootPlace {
    /// For a root that will have no record.
    pub(crate) fn unwritten() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // No record's place is as high.
        let key = NEXT.fetch_add(1, Ordering::Relaxed) | 1 << 63;
        Self { key, root: SpanId::random(), ticket: Ticket::NONE }
    }
}

/// A trace that is about to open.
#[derive(Debug)]
pub(crate) struct Opening {
    meta: &'static TraceMeta,
    spec: Option<Box<TraceSpec>>,
    tenant: Option<TenantId>,
    sink: Sink,
}

impl Opening {
    #[inline(always)]
    pub(crate) fn new(
        meta: &'static TraceMeta,
        spec: Option<Box<TraceSpec>>,
        tenant: Option<TenantId>,
        sink: Sink,
    ) -> Self {
        Self { meta, spec, tenant, sink }
    }

    /// The same, to go into `sink`.
    #[cfg(feature = "collect")]
    pub(crate) fn into_sink(self, sink: Sink) -> Self {
        Self { sink, ..self }
    }

    pub(crate) fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }

    pub(crate) fn open(self, place: RootPlace) -> TraceCore {
        let Self { meta, spec, tenant, sink } = self;
        let mut core = TraceCore {
            key: place.key,
            id: TraceId::random(),
            remote: false,
            root: place.root,
            root_ticket: place.ticket,
            meta,
            spec: None,
            started: Timestamp::now(),
            admitted: place.ticket != Ticket::REFUSED,
            held_back: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            sink,
            recorded: AtomicBool::new(false),
            discarded: AtomicBool::new(false),
            sampled: AtomicU8::new(UNDECIDED),
            named: AtomicU32::new(0),
            state: Mutex::new(TraceState::new(tenant, None)),
        };
        if let Some(spec) = spec {
            core.set_spec(spec);
        }
        core
    }

    /// [`open`](Self::open) in place of a trace that was [cleared](TraceCore::clear), whose `spec` and `state` are as
    /// good as new.
    #[inline(always)]
    pub(crate) fn open_in(self, place: RootPlace, core: &mut TraceCore) {
        // Every field by name: one that is added must be thought of here.
        let TraceCore {
            key,
            id,
            remote,
            root,
            root_ticket,
            meta,
            spec: _,
            started,
            sink,
            admitted,
            held_back,
            lost,
            recorded,
            discarded,
            sampled,
            named,
            state,
        } = &mut *core;
        *key = place.key;
        *id = TraceId::random();
        *remote = false;
        *root = place.root;
        *root_ticket = place.ticket;
        *meta = self.meta;
        *started = Timestamp::now();
        *sink = self.sink;
        *admitted = true;
        *held_back.get_mut() = false;
        *lost.get_mut() = 0;
        *recorded.get_mut() = false;
        *discarded.get_mut() = false;
        *sampled.get_mut() = UNDECIDED;
        *named.get_mut() = 0;
        if self.tenant.is_some() {
            state.get_mut().unwrap_or_else(PoisonError::into_inner).tenant = self.tenant;
        }
        if let Some(spec) = self.spec {
            core.set_spec(spec);
        }
    }
}

impl TraceCore {
    fn set_spec(&mut self, mut spec: Box<TraceSpec>) {
        if let Some(text) = spec.trace_id.take() {
            match TraceId::parse(&text) {
                Some(id) => self.id = id,
                None if is_external_id(&text) => {
                    self.id = TraceId::hashed(&text);
                    spec.trace_id = Some(text);
                }
                None => {}
            }
        }
        if let Some(name) = spec.name.take() {
            self.with_span(self.root, |details| details.name = Some(name));
        }
        if let Some(mut details) = spec.details.take() {
            details.bytes = self.admit_all(&mut details.metadata);
            *self.state().details_mut() = *details;
        }
        self.spec = Some(spec);
    }
}

/// What Tracium's REST API takes as a trace's id.
fn is_external_id(text: &str) -> bool {
    (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}
