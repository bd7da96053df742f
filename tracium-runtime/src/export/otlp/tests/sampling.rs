//! What a sampler leaves out, and several exporters at once: with the accounting of each.

use std::time::Duration;

use super::otlp::{accept, answer, spans};
use super::server::Server;
use super::{Export, trace};
use crate::collect::Budget;
use crate::collect::ledger::DropReason;
use crate::collect::sampler::Sampler;
use crate::context::Context;
use crate::export::discard::Discard;
use crate::stats::Stats;
use crate::trace::{start_span, start_trace};

/// The trace flags that this context sends on.
fn flags() -> String {
    let mut map = std::collections::HashMap::new();
    Context::current().inject(&mut map);
    map["traceparent"][53..].to_owned()
}

#[test]
fn a_ratio_of_traces_is_sent_whole_and_the_rest_is_counted() {
    let server = Server::start(accept);
    let export = Export::sampled(&server.url(), Sampler::ratio(0.5));
    (0..200).for_each(|_| trace(4));
    let stats = export.flush();
    let left_out = stats.dropped_by(DropReason::Sampled);
    assert_eq!((stats.emitted, stats.acknowledged + left_out), (1_000, 1_000), "{stats:?}");
    assert!(left_out > 0 && left_out < 1_000 && left_out.is_multiple_of(5), "whole traces: {left_out}");
    assert_eq!((stats.buffered_records, stats.buffered_bytes), (0, 0), "{stats:?}");
    assert_eq!(spans(&server).len() as u64, stats.acknowledged);
}

#[test]
fn tenants_and_agents_have_ratios_of_their_own_and_the_decision_travels() {
    let server = Server::start(accept);
    let sampler = Sampler::ratio(1.0)
        .by_tenant(|tenant| (tenant?.as_str() == "noisy").then_some(0.0))
        .by_agent(|agent| (agent == "health-check").then_some(0.0));
    let export = Export::sampled(&server.url(), sampler);
    start_trace("bot").tenant("noisy").run(|| assert_eq!(flags(), "00"));
    start_trace("health-check").tenant("acme").run(|| assert_eq!(flags(), "00"));
    start_trace("bot").tenant("acme").run(|| assert_eq!(flags(), "01"));
    start_trace("bot").run(|| {
        crate::set_tenant("noisy").unwrap();
        assert_eq!(flags(), "00", "named in its own body");
    });
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::Sampled)), (1, 3), "{stats:?}");
}

#[test]
fn a_decision_ends_with_its_trace_however_often_its_memory_is_used_again() {
    let server = Server::start(accept);
    let export =
        Export::sampled(&server.url(), Sampler::ratio(1.0).by_agent(|agent| (agent == "noisy").then_some(0.0)));
    for round in 1..=5 {
        for agent in ["noisy", "bot", "noisy", "bot"] {
            let expected = if agent == "noisy" { "00" } else { "01" };
            start_trace(agent).run(|| assert_eq!(flags(), expected, "round {round}"));
            // Two sweeps: the trace is over, and known to be.
            export.flush();
            export.flush();
        }
        let stats = export.flush();
        assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::Sampled)), (2 * round, 2 * round), "{stats:?}");
    }
}

#[test]
fn a_failure_is_always_sent_with_what_came_before_it() {
    let server = Server::start(accept);
    let export = Export::sampled(&server.url(), Sampler::ratio(0.0).always_failures());
    trace(3);
    start_trace("failing").run(|| {
        (0..3).for_each(|_| start_span("tool", "before").run(|| ()));
        // The sweep takes them before anything has failed.
        std::thread::sleep(Duration::from_millis(250));
        let stats = export.handle_stats();
        assert_eq!((stats.acknowledged, stats.queued), (0, 3), "held: {stats:?}");
        crate::current_trace().fail("at the very end");
    });
    let child = start_trace("recovered").open();
    child.context().run(|| {
        start_span("tool", "good").run(|| ());
        start_span("tool", "bad").run(|| {
            crate::current_span().fail("but the trace goes on");
        });
        start_span("tool", "after").run(|| ());
    });
    child.end();
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::Sampled)), (8, 4), "{stats:?}");
    assert_eq!((stats.buffered_records, stats.buffered_bytes), (0, 0), "{stats:?}");
}

#[test]
fn what_waits_for_a_failure_holds_up_no_flush_and_stays_in_its_bound() {
    let server = Server::start(accept);
    let budget = Budget::new(4_000, 128 << 20);
    let sampler = Sampler::ratio(0.0).always_failures();
    let export = Export::of(&server.url(), |_| (), budget, Some(sampler), Vec::new());
    let open = start_trace("long").open();
    open.context().run(|| (0..10).for_each(|_| start_span("tool", "step").run(|| ())));
    let stats = export.flush();
    assert_eq!(stats.dropped_by(DropReason::Sampled), 10, "{stats:?}");
    for _ in 0..10 {
        open.context().run(|| (0..300).for_each(|_| start_span("tool", "step").run(|| ())));
        std::thread::sleep(Duration::from_millis(120));
    }
    let stats = export.handle_stats();
    assert!(stats.dropped_by(DropReason::Sampled) > 10, "the oldest made room: {stats:?}");
    assert_eq!(stats.dropped_by(DropReason::QueueFull), 0, "{stats:?}");
    open.end();
    export.flush();
}

#[test]
fn a_trace_that_another_service_opened_is_sampled_as_that_one_decided() {
    let server = Server::start(accept);
    let export = Export::to(&server.url());
    for flags in ["00", "01"] {
        let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
        let headers = vec![("traceparent".to_owned(), parent)];
        Context::extract(&headers).run(|| start_span("tool", flags).run(|| ()));
    }
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::Sampled)), (1, 1), "{stats:?}");
    assert_eq!(spans(&server)[0].name, "execute_tool 01");
}

#[test]
fn exporters_beside_each_other_have_an_accounting_each() {
    let (server, failing) = (Server::start(accept), Server::start(|_| answer(500, Vec::new())));
    let beside: Vec<(&'static str, Box<dyn crate::export::Exporter>)> =
        vec![("discard", Box::new(Discard)), ("second", Export::exporter(&server.url()))];
    let sampler = Sampler::ratio(1.0).by_agent(|agent| (agent == "quiet").then_some(0.0)).always_failures();
    let export = Export::of(&failing.url(), |_| (), Budget::new(1 << 20, 128 << 20), Some(sampler), beside);
    trace(4);
    start_trace("quiet").run(|| start_span("tool", "step").run(|| ()));
    start_trace("quiet").run(|| {
        start_span("tool", "before").run(|| {
            crate::current_span().record_input("kept twice");
        });
        std::thread::sleep(Duration::from_millis(250));
        crate::current_trace().fail("on purpose");
    });
    let stats = export.flush();
    let of = |at: usize| (stats.exporters[at].name, stats.exporters[at].acknowledged, stats.exporters[at].dropped);
    assert_eq!(of(0), ("otlp", 0, 9), "{stats:?}");
    assert_eq!(of(1), ("discard", 7, 2), "{stats:?}");
    assert_eq!(of(2), ("second", 7, 2), "{stats:?}");
    assert_eq!(stats.dropped_by(DropReason::ServerError), 7);
    assert_eq!(spans(&server).len(), 7);
    assert_eq!((stats.buffered_records, stats.buffered_bytes), (0, 0), "{stats:?}");
}

impl Export {
    fn handle_stats(&self) -> Stats {
        Stats::of(self.handle.collector)
    }
}
