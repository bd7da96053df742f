//! The one switch between "off", the collector and recorders.

use std::sync::Arc;

use crate::SpanId;
use crate::clock::Timestamp;
#[cfg(feature = "collect")]
use crate::collect::Collector;
use crate::collect::Ticket;
#[cfg(feature = "collect")]
use crate::collect::segment::{End, NewSpan};
#[cfg(feature = "collect")]
use crate::collect::thread::Writer;
use crate::tenant::TenantId;
#[cfg(feature = "collect")]
use crate::testing::Recording;
use crate::trace::{Beginning, OpenSpan, Opening, RootPlace, Status, TenantMark, TraceCore};

/// Where a trace and all of its spans go; chosen when the trace opens.
#[derive(Clone, Debug)]
pub(crate) enum Sink {
    #[cfg(feature = "collect")]
    Collector(&'static Collector),
    #[cfg(feature = "collect")]
    Recorder(Arc<Recording>),
    /// There is none: without `collect` nothing is ever recorded.
    #[cfg(not(feature = "collect"))]
    Nowhere,
}

#[cfg(feature = "collect")]
mod installed {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, OnceLock, PoisonError, RwLock};

    use super::Sink;
    use crate::collect::Collector;
    use crate::testing::Recording;

    /// Something, somewhere, records: the one load that code pays when everything is off.
    pub(super) static ANY: AtomicBool = AtomicBool::new(false);
    /// A recorder of the whole process has been there.
    static GLOBAL_RECORDER: AtomicBool = AtomicBool::new(false);
    /// The first; in a process that was forked off another, it knows the one that took its place.
    static COLLECTOR: OnceLock<&'static Collector> = OnceLock::new();
    static RECORDER: RwLock<Option<Arc<Recording>>> = RwLock::new(None);

    /// Where what opens on a thread goes.
    #[derive(Clone)]
    enum Here {
        /// Where the process's goes.
        Anywhere,
        To(Sink),
        Nowhere,
    }

    thread_local! {
        static THREAD: RefCell<Here> = const { RefCell::new(Here::Anywhere) };
    }

    pub(super) fn current() -> Option<Sink> {
        match THREAD.try_with(|here| here.borrow().clone()) {
            Ok(Here::To(sink)) => return Some(sink),
            Ok(Here::Nowhere) => return None,
            Ok(Here::Anywhere) | Err(_) => {}
        }
        if GLOBAL_RECORDER.load(Ordering::Acquire) {
            let recorder = RECORDER.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(recorder) = recorder.clone() {
                return Some(Sink::Recorder(recorder));
            }
        }
        global().map(Sink::Collector)
    }

    /// Nothing that opens on this thread is recorded: it is one of ours, and would export its own work without end.
    pub(crate) fn record_nothing_here() {
        let _ = THREAD.try_with(|here| here.replace(Here::Nowhere));
    }

    /// The process's collector; `None` before `init`.
    pub(crate) fn global() -> Option<&'static Collector> {
        COLLECTOR.get().map(|first| first.latest())
    }

    /// Makes `collector` the process's; false where there is one.
    pub(crate) fn install_global(collector: &'static Collector) -> bool {
        let first = match global() {
            None => COLLECTOR.set(collector).is_ok(),
            // That of the process that this one was forked off.
            Some(before) if before.is_forked() => {
                before.abandon();
                before.succeed(collector)
            }
            Some(_) => false,
        };
        crate::trace::end_quiet();
        ANY.store(true, Ordering::Release);
        first
    }

    pub(crate) fn set_global_recorder(recording: Option<Arc<Recording>>) {
        *RECORDER.write().unwrap_or_else(PoisonError::into_inner) = recording;
        GLOBAL_RECORDER.store(true, Ordering::Release);
        ANY.store(true, Ordering::Release);
    }

    /// What opens on this thread goes to `sink`, until [`uninstall_thread`]; the sink before it is given back.
    pub(crate) fn install_thread(sink: Sink) -> Option<Sink> {
        ANY.store(true, Ordering::Release);
        match THREAD.try_with(|here| here.replace(Here::To(sink))) {
            Ok(Here::To(before)) => Some(before),
            _ => None,
        }
    }

    pub(crate) fn uninstall_thread(before: Option<Sink>) {
        let _ = THREAD.try_with(|here| here.replace(before.map_or(Here::Anywhere, Here::To)));
    }
}
#[cfg(feature = "collect")]
pub(crate) use installed::{
    global, install_global, install_thread, record_nothing_here, set_global_recorder, uninstall_thread,
};

/// Where a trace that opens here would go; `None` when everything is off.
pub(crate) fn current_sink() -> Option<Sink> {
    #[cfg(feature = "collect")]
    if installed::ANY.load(std::sync::atomic::Ordering::Relaxed) {
        return installed::current();
    }
    None
}

#[cfg_attr(not(feature = "collect"), allow(clippy::needless_pass_by_value, clippy::unused_self, unused_variables))]
impl Sink {
    /// The same, or in a process that was forked off the one that it is of, what took its place.
    pub(crate) fn of_this_process(self) -> Self {
        #[cfg(feature = "collect")]
        if let Self::Collector(collector) = self
            && collector.is_forked()
        {
            crate::export::after_fork(collector);
            return Self::Collector(collector.latest());
        }
        self
    }

    /// Whether the buffers have room for `bytes` of captured values of `whose`, which are its then.
    pub(crate) fn admit_bytes(&self, bytes: usize, whose: &dyn Fn() -> Option<TenantId>) -> bool {
        match *self {
            #[cfg(feature = "collect")]
            Self::Collector(collector) => collector.admit_bytes(bytes, whose),
            #[cfg(feature = "collect")]
            Self::Recorder(_) => true,
            #[cfg(not(feature = "collect"))]
            Self::Nowhere => false,
        }
    }

    pub(crate) fn give_back_bytes(&self, bytes: usize) {
        match *self {
            #[cfg(feature = "collect")]
            Self::Collector(collector) => collector.give_back(0, bytes),
            #[cfg(feature = "collect")]
            Self::Recorder(_) => {}
            #[cfg(not(feature = "collect"))]
            Self::Nowhere => {}
        }
    }

    /// Whether content of `tenant` is recorded.
    pub(crate) fn captures(&self, tenant: Option<&TenantId>) -> bool {
        match *self {
            #[cfg(feature = "collect")]
            Self::Collector(collector) => collector.policy.captures(tenant),
            #[cfg(feature = "collect")]
            Self::Recorder(ref recording) => recording.captures(),
            #[cfg(not(feature = "collect"))]
            Self::Nowhere => false,
        }
    }

    /// Opens a trace, whose root gets a place where it has one.
    #[inline(always)]
    pub(crate) fn trace_opened(self, trace: Opening) -> Arc<TraceCore> {
        match self {
            #[cfg(feature = "collect")]
            Self::Collector(collector) => collector.open_trace(trace),
            #[cfg(feature = "collect")]
            Self::Recorder(recording) => {
                let trace = Arc::new(trace.open(RootPlace::unwritten()));
                recording.trace_started(&trace);
                trace
            }
            #[cfg(not(feature = "collect"))]
            Self::Nowhere => Arc::new(trace.open(RootPlace::unwritten())),
        }
    }

    /// A trace goes on here that another process opened.
    pub(crate) fn remote_started(&self, trace: &Arc<TraceCore>) {
        match *self {
            #[cfg(feature = "collect")]
            Self::Collector(collector) => collector.remote_started(trace),
            #[cfg(feature = "collect")]
            Self::Recorder(_) => {}
            #[cfg(not(feature = "collect"))]
            Self::Nowhere => {}
        }
    }

    pub(crate) fn trace_ended(&self, trace: &Arc<TraceCore>, at: Timestamp, status: Status) {
        match *self {
            #[cfg(feature = "collect")]
            Self::Collector(collector) => collector.trace_ended(trace, End { at, status }),
            #[cfg(feature = "collect")]
            Self::Recorder(ref recording) => recording.trace_ended(trace, at, status),
            #[cfg(not(feature = "collect"))]
            Self::Nowhere => {}
        }
    }

    /// The process's or a test's collector, where spans go there.
    #[cfg(feature = "collect")]
    #[inline(always)]
    pub(crate) fn collector(&self) -> Option<&'static Collector> {
        match *self {
            Self::Collector(collector) => Some(collector),
            Self::Recorder(_) => None,
        }
    }

    /// The span's id, and the place of its record.
    pub(crate) fn span_opened(
        &self,
        trace: &TraceCore,
        beginning: Beginning,
        depth: u32,
        tenant: TenantMark,
    ) -> (SpanId, Ticket) {
        match *self {
            #[cfg(feature = "collect")]
            Self::Collector(collector) => {
                let Beginning { meta, parent, started } = beginning;
                let (trace_key, meta) = (trace.key, meta.index());
                let span = NewSpan { trace: trace_key, parent, started, meta, depth, tenant, is_root: false };
                if trace.is_admitted() || collector.waits_for(trace) {
                    if let Some(place) = Writer::write(collector, &span, &|| trace.tenant()) {
                        return (place.id, place.ticket);
                    }
                    collector.refused(trace);
                }
                (SpanId::random(), Ticket::REFUSED)
            }
            #[cfg(feature = "collect")]
            Self::Recorder(ref recording) => {
                let id = SpanId::random();
                recording.span_opened(id, beginning);
                (id, Ticket::NONE)
            }
            #[cfg(not(feature = "collect"))]
            Self::Nowhere => (SpanId::random(), Ticket::NONE),
        }
    }

    pub(crate) fn span_closed(&self, trace: &Arc<TraceCore>, span: OpenSpan, at: Timestamp, status: Status) {
        match *self {
            #[cfg(feature = "collect")]
            Self::Collector(collector) => {
                if !collector.span_closed(trace, span.ticket, span.id, End { at, status })
                    && let Some(details) = trace.take_span(span.id)
                {
                    collector.give_back(0, details.bytes);
                }
            }
            #[cfg(feature = "collect")]
            Self::Recorder(ref recording) => recording.span_closed(trace, span, at, status),
            #[cfg(not(feature = "collect"))]
            Self::Nowhere => {}
        }
    }
}
