//! The user's own code, called by us: hooks that panic, and subscribers that trace whatever we do.

use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracium::{DropReason, Sampler};

use crate::faults::{Protocol, assert_all_arrived, flush, watch, work};
use crate::own_process::{faults, in_own_process};
use crate::server::Server;

/// A trace with values on it, and an error.
fn captures() {
    work(2);
    tracium::start_trace("bot").tenant("acme").run(|| {
        let span = tracium::current_span();
        span.record_input("secret").record_output("secret").add_metadata("k", &"secret").fail("secret");
        crate::faults::note_end(span.trace_id());
    });
}

/// All that was sent, as a text.
fn sent(with: Protocol, server: &Server) -> String {
    match with {
        Protocol::Rest => server.requests().iter().map(|request| request.body.to_string()).collect(),
        Protocol::Otlp => format!("{:?}", crate::otlp::spans(server)),
    }
}

faults! {
    /// Row 18.
    fn a_mask_that_panics_withholds_the_value_and_nothing_else(with) {
        let server = with.serve(|_| None);
        let _guard = with.to(&server.url()).mask(|_, _| panic!("the user's")).init().unwrap();
        let watch = watch();
        captures();
        assert_all_arrived(with, &server);
        let sent = sent(with, &server);
        assert!(sent.contains("withheld") && !sent.contains("secret"), "{sent}");
        drop(watch);
    }

    /// Row 18.
    fn a_hook_that_panics_over_content_withholds_it(with) {
        let server = with.serve(|_| None);
        let _guard = with.to(&server.url()).capture_content_for(|_| panic!("the user's")).init().unwrap();
        tracium::start_trace("bot").run(|| {
            let span = tracium::current_span();
            span.record_input("secret").record_output("secret").fail("secret");
            crate::faults::note_end(span.trace_id());
        });
        assert_all_arrived(with, &server);
        let sent = sent(with, &server);
        assert!(!sent.contains("secret"), "{sent}");
    }

    /// Row 18: the ratio for all holds then.
    fn a_sampler_that_panics_costs_no_trace(with) {
        let server = with.serve(|_| None);
        let sampler = Sampler::ratio(1.0).by_agent(|_| panic!("the user's")).by_tenant(|_| panic!("the user's"));
        let _guard = with.to(&server.url()).sampler(sampler).init().unwrap();
        captures();
        assert_all_arrived(with, &server);
    }

    /// Row 18: whoever listens to what we say is the user's as well.
    fn a_subscriber_that_panics_costs_nothing(with) {
        let server = with.scripted(vec![with.answer(400)]);
        let _guard = with.to(&server.url()).init().unwrap();
        tracing::subscriber::set_global_default(Panics).unwrap();
        work(3);
        flush();
        // Said on this thread: a span outside any trace.
        tracium::start_span("plan", "orphan").run(|| ());
        work(3);
        let stats = flush();
        assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::Rejected), stats.dropped), (4, 4, 4), "{stats:?}");
        assert!(TRACED.load(Ordering::Relaxed) >= 2, "both were said");
    }

    /// Row 30: whatever is opened by what the export thread calls.
    fn what_the_export_itself_does_is_never_traced(with) {
        let server = with.serve(|_| None);
        // Each text that is exported would be another trace with a text.
        let mask = |_: &str, _: &mut String| {
            TRACED.fetch_add(1, Ordering::Relaxed);
            tracium::start_trace("endless").run(|| _ = tracium::current_span().record_input("again"));
        };
        let guard = with.to(&server.url()).mask(mask).init().unwrap();
        tracing::subscriber::set_global_default(TracesAll).unwrap();
        let watch = watch();
        captures();
        // Somebody hears of what is done here.
        tracing::info!("of the user's");
        let traced = TRACED.load(Ordering::Relaxed);
        assert!(traced > 0);
        for _ in 0..5 {
            flush();
        }
        let stats = flush();
        // What is the user's: the two traces and two spans, and the event's.
        assert_eq!((stats.emitted, stats.acknowledged, stats.dropped), (5, 5, 0), "{stats:?}");
        assert!(TRACED.load(Ordering::Relaxed) > traced, "the mask was asked");
        let sent = sent(with, &server);
        assert!(!sent.contains("endless"), "{sent}");
        drop((watch, guard));
    }
}

/// How often something was to be traced.
static TRACED: AtomicUsize = AtomicUsize::new(0);

/// A layer that makes a trace of whatever anybody says, our HTTP client included.
struct TracesAll;

impl Subscriber for TracesAll {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        TRACED.fetch_add(1, Ordering::Relaxed);
        tracium::start_trace("traced").run(|| ());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        TRACED.fetch_add(1, Ordering::Relaxed);
        tracium::start_trace("traced").run(|| ());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A layer with a fault of its own.
struct Panics;

impl Subscriber for Panics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tracium"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        TRACED.fetch_add(1, Ordering::Relaxed);
        panic!("the user's");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Row 18. Where they are to go is asked of OTLP's tenants only.
#[test]
fn a_route_that_panics_costs_what_it_was_asked_for_and_that_is_counted() {
    in_own_process(
        concat!(module_path!(), "::a_route_that_panics_costs_what_it_was_asked_for_and_that_is_counted"),
        || {
            let server = Protocol::Otlp.serve(|_| None);
            let route = |tenant: Option<&tracium::TenantId>| {
                assert!(tenant.is_some_and(|tenant| tenant.as_str() != "acme"), "the user's");
                None
            };
            let _guard = Protocol::Otlp.to(&server.url()).route_tenants(route).init().unwrap();
            work(3);
            tracium::start_trace("bot").tenant("globex").run(|| ());
            let stats = flush();
            assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::Unroutable)), (1, 4), "{stats:?}");
        },
    );
}
