//! What programs make against what arrived, span by span, and the accounting: for REST and OTLP alike.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracium::{Builder, DropReason, ExporterKind, SpanHandle, SpanId, Stats, TraceId, current_span, start_span};

use super::otlp;
use super::server::{self, Request, Response, Server};

/// The way out that a scenario is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Rest,
    Otlp,
}

impl Protocol {
    /// Settings that send to `url`; after a failure they wait a fortieth of the usual time.
    pub(crate) fn to(self, url: &str) -> Builder {
        self.to_patiently(url)
            .__retry_times(Duration::from_millis(5), Duration::from_millis(750))
            .request_timeout(Duration::from_secs(1))
    }

    /// Settings that send to `url`.
    pub(crate) fn to_patiently(self, url: &str) -> Builder {
        let builder = tracium::builder().api_key("trc_secret").capture_content(true);
        match self {
            Self::Rest => builder.exporter(ExporterKind::Rest).base_url(url),
            Self::Otlp => builder.exporter(ExporterKind::Otlp).otlp_endpoint(url),
        }
    }

    /// What a backend answers that is well.
    pub(crate) fn accept(self, request: &Request) -> Response {
        match self {
            Self::Rest => server::accept(request),
            Self::Otlp => otlp::accept(request),
        }
    }

    /// Another answer, as the protocol has it.
    pub(crate) fn answer(self, status: u16) -> Response {
        match self {
            Self::Rest => Response::status(status),
            Self::Otlp => otlp::answer(status, Vec::new()),
        }
    }

    /// A backend that gives `script` as its first answers, and is well then.
    pub(crate) fn scripted(self, script: Vec<Response>) -> Server {
        let next = AtomicUsize::new(0);
        self.serve(move |_| script.get(next.fetch_add(1, Ordering::Relaxed)).cloned())
    }

    /// A backend that is well where `answer` gives no other answer.
    pub(crate) fn serve(self, answer: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static) -> Server {
        Server::start(move |request| answer(request).unwrap_or_else(|| self.accept(request)))
    }

    /// What the backend has.
    pub(crate) fn arrived(self, server: &Server) -> Traces {
        let mut arrived = Traces::default();
        for request in server.requests().iter().filter(|request| request.taken) {
            match self {
                Self::Rest => arrived.add_rest(request),
                Self::Otlp => arrived.add_otlp(request),
            }
        }
        arrived
    }
}

/// Traces by their ids, as REST writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traces(pub(crate) BTreeMap<String, Trace>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trace {
    /// The names of its spans by their ids, the root left out.
    pub(crate) spans: BTreeMap<String, String>,
    pub(crate) ended: bool,
}

impl Traces {
    /// Spans, and traces that ended: what the accounting counts.
    pub(crate) fn count(&self) -> u64 {
        self.0.values().map(|trace| trace.spans.len() as u64 + u64::from(trace.ended)).sum()
    }

    /// Whether all of it is in `others`, too.
    pub(crate) fn is_in(&self, others: &Self) -> bool {
        self.0.iter().all(|(id, trace)| {
            others.0.get(id).is_some_and(|other| {
                other.ended >= trace.ended && trace.spans.iter().all(|(id, name)| other.spans.get(id) == Some(name))
            })
        })
    }

    /// Without what has neither spans nor an end: traces whose create alone arrived.
    pub(crate) fn without_empty(mut self) -> Self {
        self.0.retain(|_, trace| trace.ended || !trace.spans.is_empty());
        self
    }

    fn add_rest(&mut self, request: &Request) {
        if let Some(id) = request.body["trace_id"].as_str() {
            self.0.entry(id.to_owned()).or_default();
            return;
        }
        let mut path = request.path.rsplit('/');
        let (call, id) = (path.next().unwrap(), path.next().unwrap());
        let trace = self.0.get_mut(id).expect("a trace is created before anything is sent of it");
        if call != "spans" {
            trace.ended = true;
            return;
        }
        let spans = request.body["spans"].as_array().unwrap();
        // One that is open is told of, and no end of it; a root is the trace's own.
        for span in spans.iter().filter(|span| span["status"] != "in_progress" && span["span_type"] != "agent") {
            let text = |key: &str| span[key].as_str().unwrap().to_owned();
            trace.spans.insert(text("id"), text("name"));
        }
    }

    fn add_otlp(&mut self, request: &Request) {
        for span in otlp::spans_of(request) {
            let id = TraceId::from_bytes(span.trace_id.try_into().unwrap()).unwrap();
            let trace = self.0.entry(id.to_uuid()).or_default();
            if span.parent_span_id.is_empty() {
                trace.ended = true;
            } else {
                let span_id = SpanId::from_bytes(span.span_id.try_into().unwrap()).unwrap();
                trace.spans.insert(span_id.to_uuid(id), span.name);
            }
        }
    }
}

/// What this process made.
static MADE: Mutex<Traces> = Mutex::new(Traces(BTreeMap::new()));

pub(crate) fn made() -> Traces {
    MADE.lock().unwrap().clone()
}

/// Notes a span of a trace that a test makes by itself.
pub(crate) fn note(span: &SpanHandle, name: &str) {
    let (Some(trace), Some(span)) = (span.trace_id(), span.id()) else { return };
    let mut made = MADE.lock().unwrap();
    made.0.entry(trace.to_uuid()).or_default().spans.insert(span.to_uuid(trace), name.to_owned());
}

/// Notes the end of a trace.
pub(crate) fn note_end(trace: Option<TraceId>) {
    if let Some(trace) = trace {
        MADE.lock().unwrap().0.entry(trace.to_uuid()).or_default().ended = true;
    }
}

/// A trace of so many spans.
pub(crate) fn work(spans: usize) {
    tracium::start_trace("bot").tenant("acme").run(|| {
        for at in 0..spans {
            let name = format!("step-{at}");
            start_span("plan", name.clone()).run(|| note(&current_span(), &name));
        }
        note_end(current_span().trace_id());
    });
}

/// Looks at the accounting all the time, until it is dropped.
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

/// Nothing is acknowledged or dropped before it was emitted or recovered, at any instant.
pub(crate) fn watch() -> Watch {
    let over = Arc::new(AtomicBool::new(false));
    let thread = {
        let over = Arc::clone(&over);
        thread::spawn(move || {
            let mut looks = 0;
            while !over.load(Ordering::Relaxed) {
                let stats = tracium::stats();
                assert!(stats.emitted + stats.recovered >= stats.acknowledged + stats.dropped, "{stats:?}");
                looks += 1;
                thread::sleep(Duration::from_millis(1));
            }
            looks
        })
    };
    Watch { over, thread: Some(thread) }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let looks = self.thread.take().unwrap().join();
        if !thread::panicking() {
            assert!(looks.unwrap() > 0);
        }
    }
}

/// The accounting, once nobody emits. The export thread may still be at it: what it has just taken is counted nowhere until
/// it has looked at it.
pub(crate) fn at_rest() -> Stats {
    let patience = Instant::now() + Duration::from_secs(20);
    let stats = loop {
        let stats = tracium::stats();
        let all = stats.acknowledged + stats.dropped + stats.queued + stats.spooled;
        if stats.emitted + stats.recovered == all {
            break stats;
        }
        assert!(Instant::now() < patience, "{} and {all}: {stats:#?}", stats.emitted + stats.recovered);
        thread::yield_now();
    };
    let by_reason: u64 = stats.dropped_by_reason.iter().map(|(_, count)| count).sum();
    assert_eq!(stats.dropped, by_reason, "{stats:#?}");
    stats
}

/// Sends everything; the accounting then.
pub(crate) fn flush() -> Stats {
    let report = tracium::flush(Duration::from_secs(30));
    assert!(report.complete, "{report:?}: {:#?}", tracium::stats());
    at_rest()
}

/// Everything that was made is with the backend, once and under its name, and nothing else; memory is given back.
pub(crate) fn assert_all_arrived(protocol: Protocol, server: &Server) {
    let stats = flush();
    assert_eq!((stats.acknowledged, stats.dropped, stats.queued), (made().count(), 0, 0), "{stats:#?}");
    assert_eq!(protocol.arrived(server), made());
    assert_nothing_is_held();
}

/// What did not arrive is lost for `reason`, and was counted; the rest arrived.
pub(crate) fn assert_lost(protocol: Protocol, server: &Server, reason: DropReason, count: u64) -> Stats {
    let stats = flush();
    assert_eq!((stats.dropped_by(reason), stats.dropped), (count, count), "{stats:#?}");
    assert_eq!(stats.emitted, made().count(), "{stats:#?}");
    let arrived = protocol.arrived(server);
    assert!(arrived.is_in(&made().with_creates(&arrived)), "{arrived:#?}");
    assert_eq!(stats.acknowledged, arrived.count(), "{stats:#?}");
    assert!(stats.last_error.is_some(), "it says why");
    assert_nothing_is_held();
    stats
}

impl Traces {
    /// With the empty traces of `others`.
    fn with_creates(mut self, others: &Self) -> Self {
        for id in others.0.keys() {
            self.0.entry(id.clone()).or_default();
        }
        self
    }
}

/// Everything was sent or counted as lost, and all memory was given back.
pub(crate) fn assert_nothing_is_held() {
    // Traces are over when the sweep after the one that brought their end finds nobody who holds them.
    until(|| {
        flush();
        let stats = tracium::stats();
        stats.queued == 0 && stats.buffered_records == 0 && stats.buffered_bytes == 0
    });
}

/// Waits until `holds`; a minute at the most.
pub(crate) fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "it never came: {:#?}", tracium::stats());
        thread::sleep(Duration::from_millis(2));
    }
}
