//! What the tower layer adds to a request: beside the bare handler, and beside the same with tower-http's `TraceLayer`.
//!
//! In the process, without a connection: what is measured is the layer, and a request and a response of a few bytes.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::trace::TraceLayer;
use tracing_subscriber::Registry;
use tracium::ExporterKind;
use tracium::tenant::{self, Policies, Policy, Tenants};
use tracium::tower::TenantLayer;

use crate::alloc::allocations;
use crate::backends;
use crate::peers::block_on;
use crate::sides::{Plan, Sample};
use crate::table::{Findings, Table, figure};

pub(crate) type Call = Request<Empty<Bytes>>;

#[allow(clippy::unused_async)] // As handlers are.
pub(crate) async fn handler(_: Call) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))
}

pub(crate) fn layer() -> TenantLayer {
    let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
    TenantLayer::new(Tenants::new(tenant::header("x-tenant-id"), policies))
}

const CALLS: u32 = 2_000;

/// Nanoseconds per request, each built, answered, and its body read.
pub(crate) fn time<S, B>(service: &S) -> f64
where
    S: Service<Call, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Error: std::fmt::Debug>,
{
    let started = Instant::now();
    for _ in 0..CALLS {
        block_on(async {
            let request = Request::builder().uri("/chat/42").header("x-tenant-id", "acme").body(Empty::new());
            let request = request.expect("nothing in it is illegal");
            let response = service.clone().oneshot(request).await;
            let body = match response {
                Ok(response) => response.into_body().collect().await.expect("a body in memory does not fail"),
                Err(never) => match never {},
            };
            black_box(body.to_bytes());
        });
    }
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let nanos = started.elapsed().as_nanos() as f64;
    nanos / f64::from(CALLS)
}

/// The process that has our export: everything is thrown away behind it.
pub(crate) fn report(plan: Plan, findings: &mut Findings) -> Result<(), String> {
    let export = tracium::builder().exporter(ExporterKind::Discard).init().map_err(|error| error.to_string())?;
    let bare = service_fn(handler);
    let tenant = layer().layer(service_fn(handler));
    let trace = layer().trace("bench", |_| Some("/chat/{room}".to_owned())).layer(service_fn(handler));
    let tower_http = TraceLayer::new_for_http().layer(service_fn(handler));
    let mut nanos = [const { Vec::new() }; 5];
    for _ in 0..plan.pick(100, 30) {
        nanos[0].push(time(&bare));
        nanos[1].push(time(&tenant));
        nanos[2].push(time(&trace));
        nanos[3].push(time(&tower_http));
        // Spans that somebody takes note of, and throws away.
        nanos[4].push(tracing::subscriber::with_default(Registry::default(), || time(&tower_http)));
    }
    let counted = [
        allocations(|| _ = black_box(time(&bare))),
        allocations(|| _ = black_box(time(&tenant))),
        allocations(|| _ = black_box(time(&trace))),
        allocations(|| _ = black_box(time(&tower_http))),
        allocations(|| _ = tracing::subscriber::with_default(Registry::default(), || time(&tower_http))),
    ];
    drop(export);
    let samples = nanos.map(Sample::of);
    let bare = samples[0].median();
    let mut table = Table::new(
        "A request through a tower layer, in the process",
        &["", "ns, median", "least", "added", "allocations"],
    );
    let labels = [
        "the bare handler",
        "tracium: the tenant, from a header",
        "tracium: the tenant, and a trace",
        "tower-http TraceLayer, no subscriber",
        "tower-http TraceLayer, a bare registry",
    ];
    for ((label, sample), counted) in labels.into_iter().zip(&samples).zip(counted) {
        let added = sample.median() - bare;
        let each = counted / u64::from(CALLS);
        let figures = [figure(sample.median()), figure(sample.min()), figure(added), each.to_string()];
        table.row([vec![label.to_owned()], figures.to_vec()].concat());
    }
    let stats = tracium::stats();
    if stats.dropped > 0 || stats.queued > 0 {
        findings
            .fail(format!("layers: of {} traces {} were lost and {} wait", stats.emitted, stats.dropped, stats.queued));
    }
    findings.add(table);
    backends::report(plan, findings)
}
