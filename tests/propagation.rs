//! Contexts across processes: what is written into headers and maps, and what is read of them, however odd they are.

use std::collections::{BTreeMap, HashMap};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use tracium::testing::Recorder;
use tracium::{Context, SpanId, TenantId, TraceId, current_span, current_tenant, start_span, start_trace};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn tenant(id: &str) -> TenantId {
    TenantId::try_from(id).unwrap()
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    });
    let mut headers = HeaderMap::new();
    pairs.for_each(|(name, value)| {
        headers.append(name, value);
    });
    headers
}

/// The trace and parent of a span that opens under what `headers` bring.
fn continued(headers: &HeaderMap) -> Option<(TraceId, SpanId)> {
    let recorder = Recorder::install();
    Context::extract(headers).run(|| start_span("tool", "step").run(|| ()));
    let span = recorder.spans().into_iter().next()?;
    Some((span.trace_id, span.parent_id))
}

fn upstream() -> (TraceId, SpanId) {
    (TraceId::parse(TRACE).unwrap(), SpanId::parse("00f067aa0ba902b7").unwrap())
}

/// How many malformed headers reading `pairs` counts. Tests run side by side, so it is at least that many.
fn counted(pairs: &[(&str, &str)]) -> u64 {
    let before = tracium::stats().malformed_headers;
    let _context = Context::extract(&headers(pairs));
    tracium::stats().malformed_headers - before
}

#[test]
fn a_trace_goes_on_in_another_process_under_its_span_and_tenant() {
    let sender = Recorder::install();
    let (mut map, mut sorted, mut list, mut header) = (HashMap::new(), BTreeMap::new(), Vec::new(), HeaderMap::new());
    let ids = start_trace("caller").tenant("Zürich-会社").run(|| {
        start_span("tool", "call").run(|| {
            let context = Context::current();
            context.inject(&mut map);
            context.inject(&mut sorted);
            context.inject(&mut list);
            context.inject(&mut header);
            (current_span().trace_id(), current_span().id())
        })
    });
    drop(sender);
    assert_eq!(map["traceparent"], format!("00-{}-{}-01", ids.0.unwrap(), ids.1.unwrap()));
    assert!(!map.contains_key("tracestate"));
    let contexts =
        [Context::extract(&map), Context::extract(&sorted), Context::extract(&list), Context::extract(&header)];
    for context in contexts {
        assert_eq!(context.tenant().unwrap(), "Zürich-会社");
    }
    let receiver = Recorder::install();
    Context::extract(&header).run(|| {
        assert_eq!(current_tenant().unwrap(), "Zürich-会社");
        start_span("tool", "serve").run(|| ());
    });
    let span = &receiver.spans()[0];
    assert_eq!((Some(span.trace_id), Some(span.parent_id)), ids);
    assert_eq!(span.tenant.as_ref().unwrap(), "Zürich-会社");
}

#[test]
fn the_sampling_decision_and_the_trace_state_are_handed_on() {
    let _recorder = Recorder::install();
    for parent in [PARENT, &PARENT.replace("-01", "-00")] {
        let incoming = headers(&[
            ("traceparent", parent),
            ("tracestate", "a=1,b@c=x"),
            ("tracestate", "d=2"),
            ("baggage", "k=v;p"),
        ]);
        let mut outgoing = headers(&[("baggage", "theirs=1")]);
        Context::extract(&incoming).run(|| {
            start_span("tool", "step").run(|| Context::current().inject(&mut outgoing));
        });
        let sent = outgoing["traceparent"].to_str().unwrap();
        assert!(sent.starts_with(&format!("00-{TRACE}-")) && !sent.contains("00f067aa0ba902b7"), "{sent}");
        assert_eq!(sent[53..], parent[53..], "the flags");
        assert_eq!(outgoing["tracestate"], "a=1,b@c=x,d=2");
        assert_eq!(outgoing["baggage"], "theirs=1");
    }
}

#[test]
fn what_is_malformed_is_ignored_and_counted_and_the_rest_holds() {
    let uppercase = PARENT.to_uppercase();
    let cases: [&[(&str, &str)]; 7] = [
        &[("traceparent", "")],
        &[("traceparent", "00-zz-zz-01")],
        &[("traceparent", &uppercase)],
        &[("traceparent", PARENT), ("traceparent", PARENT)],
        &[("traceparent", "\u{e9}\u{e9}")],
        &[("tracestate", "a=1"), ("baggage", "")],
        &[("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01")],
    ];
    for case in cases {
        let mut all = case.to_vec();
        all.push(("baggage", "tenant.id=acme"));
        assert_eq!(continued(&headers(&all)), None, "{case:?}");
        assert_eq!(Context::extract(&headers(&all)).tenant().unwrap(), "acme");
        assert!(case[0].0 == "tracestate" || counted(&all) >= 1, "{case:?}");
    }
    let long = format!("tenant.id={}", "a".repeat(256));
    let huge = format!("tenant.id=a,{}", "b=1,".repeat(4_000));
    for baggage in ["tenant.id=", "tenant.id=%ff", "tenant.id=%0a", "tenant.id=a,tenant.id=b", &long, &huge] {
        let all = [("traceparent", PARENT), ("baggage", baggage)];
        assert_eq!(Context::extract(&headers(&all)).tenant(), None, "{baggage}");
        assert_eq!(continued(&headers(&all)), Some(upstream()), "the trace goes on");
        assert!(counted(&all) >= 1, "{baggage}");
    }
    let odd_state = [("traceparent", PARENT), ("tracestate", "no pair")];
    assert_eq!(continued(&headers(&odd_state)), Some(upstream()));
    assert!(counted(&odd_state) >= 1);
    let agreeing = [("traceparent", PARENT), ("baggage", "tenant.id=a;p=1"), ("baggage", " tenant.id = a ")];
    assert_eq!(Context::extract(&headers(&agreeing)).tenant().unwrap(), "a");
    assert_eq!(continued(&headers(&[("TraceParent", PARENT)])), Some(upstream()), "names have no case");
}

#[test]
fn different_tenants_never_meet_on_the_way() {
    let ids = ["a", "a ", " a", "%61", "a,b", "a;b", "a=b", "\"a\"", "ü", "%C3%BC", "a\\b"];
    let mut seen = Vec::new();
    for id in ids {
        let mut map = HashMap::new();
        Context::root().with_tenant(tenant(id)).inject(&mut map);
        assert_eq!(Context::extract(&map).tenant().unwrap(), id);
        assert!(!seen.contains(&map["baggage"]), "{id:?}");
        seen.push(map["baggage"].clone());
    }
}

#[test]
fn an_earlier_tenant_is_never_left_in_what_is_sent_on() {
    let incoming = headers(&[("baggage", "tenant.id=stale,theirs=1"), ("baggage", "tenant.trace=stale")]);
    let mut outgoing = incoming.clone();
    Context::root().with_tenant(tenant("acme")).inject(&mut outgoing);
    let sent: Vec<_> = outgoing.get_all("baggage").iter().collect();
    assert_eq!(sent, ["tenant.id=acme,theirs=1"]);
    let mut outgoing = incoming.clone();
    Context::root().inject(&mut outgoing);
    assert_eq!(outgoing["baggage"], "theirs=1");
    let mut only_ours = headers(&[("baggage", "tenant.id=stale")]);
    Context::root().inject(&mut only_ours);
    assert!(only_ours.is_empty());
}

#[test]
fn work_for_another_tenant_than_its_traces_stays_apart_in_the_next_process() {
    let _recorder = Recorder::install();
    let mut map = HashMap::new();
    let trace_id = start_trace("caller").tenant("acme").run(|| {
        Context::current().with_tenant(tenant("globex")).inject(&mut map);
        current_span().trace_id()
    });
    let context = Context::extract(&map);
    assert_eq!(context.tenant().unwrap(), "globex");
    let receiver = Recorder::install();
    let context_here = Context::extract(&map);
    context_here.run(|| start_span("tool", "step").run(|| ()));
    let span = &receiver.spans()[0];
    assert_eq!(span.tenant.as_ref().unwrap(), "globex");
    assert_ne!(Some(span.trace_id), trace_id, "acme's trace shows nothing of globex");
}

#[test]
fn hosts_are_told_the_trace_and_only_those_that_are_allowed_the_tenant() {
    let _guard = tracium::builder()
        .exporter(tracium::ExporterKind::Discard)
        .allow_tenant_host("inner.example.com")
        .init()
        .unwrap();
    let _recorder = Recorder::install();
    let to = |host: &str, tenant_id: &str| {
        let mut sent = headers(&[("baggage", "theirs=1,tenant.id=stale")]);
        start_trace("caller").tenant("acme 50%").run(|| {
            Context::current().with_tenant(tenant(tenant_id)).inject_for_host(host, &mut sent);
        });
        sent
    };
    for host in ["inner.example.com", "INNER.example.com."] {
        let sent = to(host, "acme 50%");
        assert_eq!(sent["x-tenant-id"], "acme 50%25");
        let baggage = sent["baggage"].to_str().unwrap();
        assert!(baggage.starts_with("tenant.id=acme%2050%25,"), "{baggage}");
        assert!(sent.contains_key("traceparent"));
        assert!(to(host, "globex")["baggage"].to_str().unwrap().contains("tenant.trace=acme%2050%25"));
    }
    for host in ["api.example.com", "x.inner.example.com", "inner.example.com.evil.example", ""] {
        let sent = to(host, "acme 50%");
        assert!(sent.contains_key("traceparent"), "{host}");
        assert_eq!(sent["baggage"], "theirs=1");
        assert!(!sent.contains_key("x-tenant-id"));
        let foreign = to(host, "globex");
        assert!(!foreign.contains_key("traceparent"), "it could not tell the two tenants' spans apart");
    }
}

#[test]
fn a_payload_and_headers_say_the_same() {
    let _recorder = Recorder::install();
    let incoming = headers(&[("traceparent", &PARENT.replace("-01", "-00")), ("tracestate", "a=1")]);
    let payload = serde_json::to_value(Context::extract(&incoming)).unwrap();
    assert_eq!(
        payload,
        json!({"trace_id": TRACE, "span_id": "00f067aa0ba902b7", "sampled": false, "trace_state": "a=1"})
    );
    let context: Context = serde_json::from_value(payload).unwrap();
    let mut map = HashMap::new();
    context.inject(&mut map);
    assert_eq!(map["traceparent"], PARENT.replace("-01", "-00"));
    assert_eq!(map["tracestate"], "a=1");
}

#[test]
fn an_id_of_the_applications_own_and_the_agent_go_along() {
    let _recorder = Recorder::install();
    let mut map = HashMap::new();
    start_trace("caller").trace_id("order_42").run(|| Context::current().inject(&mut map));
    let payload = serde_json::to_value(Context::extract(&map)).unwrap();
    assert_eq!((&payload["external_id"], &payload["agent"]), (&json!("order_42"), &json!("caller")));
}
