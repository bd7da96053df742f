//! Tenants in headers, and tenants with destinations of their own.

use std::sync::Arc;
use std::time::Duration;

use super::otlp::{self, accept, answer, spans_of};
use super::server::{Request, Server};
use super::{Export, trace};
use crate::collect::ledger::DropReason;
use crate::config::{Destination, Routing};
use crate::trace::{start_span, start_trace};

/// One trace of `tenant`, with one span.
fn work_for(tenant: &str) {
    start_trace("bot").tenant(tenant).run(|| start_span("tool", tenant).run(|| ()));
}

/// The tenants of the spans in `request`.
fn tenants_in(request: &Request) -> Vec<String> {
    let tenant = |span: &opentelemetry_proto::tonic::trace::v1::Span| {
        otlp::attributes(&span.attributes)["tenant.id"].as_str().unwrap().to_owned()
    };
    let mut tenants: Vec<_> = spans_of(request).iter().map(tenant).collect();
    tenants.dedup();
    tenants
}

#[test]
fn a_header_names_the_tenant_and_each_request_is_of_one() {
    let server = Server::start(accept);
    let export = Export::with(&server.url(), |target| target.tenant_header = Some("x-scope-orgid".to_owned()));
    for tenant in ["acme", "globex", "acme", "initech"] {
        work_for(tenant);
    }
    start_trace("nobody's").run(|| ());
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped), (9, 0), "{stats:?}");
    let requests = server.requests();
    assert_eq!(requests.len(), 4, "one for each, and one for nobody's");
    for request in &requests {
        match request.header("x-scope-orgid") {
            Some(tenant) => assert_eq!(tenants_in(request), [tenant]),
            None => assert_eq!(spans_of(request)[0].name, "invoke_agent nobody's"),
        }
    }
}

#[test]
fn an_id_that_the_header_cannot_carry_is_refused_with_an_error_and_costs_nobody_else() {
    let server = Server::start(accept);
    let export = Export::with(&server.url(), |target| target.tenant_header = Some("x-scope-orgid".to_owned()));
    work_for("a b");
    work_for("acme");
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::Unroutable)), (2, 2), "{stats:?}");
    assert!(stats.last_error.unwrap().1.contains("\"a b\""));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_request_that_is_split_still_names_its_tenant() {
    let server =
        Server::start(|request| if spans_of(request).len() > 3 { answer(413, Vec::new()) } else { accept(request) });
    let export = Export::with(&server.url(), |target| target.tenant_header = Some("x-customer".to_owned()));
    trace(9);
    assert_eq!(export.flush().acknowledged, 10);
    assert!(server.requests().iter().all(|request| request.header("x-customer") == Some("acme")));
}

fn routed(route: impl Fn(Option<&str>) -> Option<Destination> + Send + Sync + 'static) -> Routing {
    Routing { route: Arc::new(move |tenant| route(tenant.map(crate::TenantId::as_str))), http_hosts: Vec::new() }
}

#[test]
fn a_tenant_has_a_destination_of_its_own_and_one_that_is_down_holds_up_no_other() {
    let (common, bank) = (Server::start(accept), Server::start(accept));
    let down = Server::start(|_| answer(503, Vec::new()));
    let (bank_url, down_url) = (bank.url(), down.url());
    let export = Export::with(&common.url(), |target| {
        target.routing = Some(routed(move |tenant| match tenant? {
            "bank" => Some(Destination::new(&bank_url).api_key("trc_bank").header("x-extra", "1")),
            "unlucky" => Some(Destination::new(&down_url)),
            _ => None,
        }));
    });
    for tenant in ["bank", "acme", "unlucky", "bank"] {
        work_for(tenant);
    }
    let report = export.handle.flush(Duration::from_millis(600));
    assert_eq!(report.queued, 2, "what is for the one that is down");
    let stats = export.at_rest();
    assert_eq!((stats.acknowledged, stats.queued), (6, 2), "{stats:?}");
    assert_eq!(tenants_in(&common.requests()[0]), ["acme"]);
    assert_eq!(common.requests()[0].header("authorization"), Some("Bearer trc_secret"));
    let request = &bank.requests()[0];
    assert_eq!(tenants_in(request), ["bank"]);
    assert_eq!(request.header("authorization"), Some("Bearer trc_bank"));
    assert_eq!(request.header("x-extra"), Some("1"));
    assert_eq!(down.requests()[0].header("authorization"), None, "the process's key is for its own endpoint");
    export.handle.shutdown(Duration::from_millis(10));
    assert_eq!(export.at_rest().dropped_by(DropReason::Shutdown), 2);
}

#[test]
fn a_route_that_fails_sends_nothing_anywhere_else() {
    let server = Server::start(accept);
    let export = Export::with(&server.url(), |target| {
        target.routing = Some(routed(|tenant| match tenant? {
            "panics" => panic!("the user's"),
            "insecure" => Some(Destination::new("http://otel.example.com")),
            "nowhere" => Some(Destination::new("::")),
            _ => None,
        }));
    });
    for tenant in ["panics", "insecure", "nowhere", "acme"] {
        work_for(tenant);
    }
    let stats = export.flush();
    assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::Unroutable)), (2, 6), "{stats:?}");
    assert_eq!(tenants_in(&server.requests()[0]), ["acme"]);
}

#[test]
fn the_number_of_destinations_is_bounded_and_idle_ones_make_room() {
    let server = Server::start(accept);
    let url = server.url();
    let export = Export::with(&server.url(), |target| {
        target.routing = Some(routed(move |tenant| Some(Destination::new(&url).header("x-customer", tenant?))));
    });
    for round in 0..3 {
        for tenant in 0..200 {
            work_for(&format!("tenant-{round}-{tenant}"));
        }
        export.flush();
    }
    let stats = export.at_rest();
    assert_eq!((stats.acknowledged, stats.dropped), (1_200, 0), "{stats:?}");
    for request in server.requests() {
        assert_eq!(tenants_in(&request), [request.header("x-customer").unwrap()]);
    }
    (0..300).for_each(|tenant| work_for(&format!("at-once-{tenant}")));
    let stats = export.flush();
    assert!(stats.acknowledged >= 1_200 + 2 * 256, "{stats:?}");
    assert_eq!(stats.acknowledged + stats.dropped_by(DropReason::Unroutable), 1_800, "{stats:?}");
}
