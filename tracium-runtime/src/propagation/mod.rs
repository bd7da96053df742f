//! A context across processes: W3C `traceparent`, `tracestate` and `baggage`, in headers and string maps.

mod baggage;
mod carrier;
mod hosts;
mod trace_context;

use self::baggage::{BAGGAGE, Found};
pub use self::carrier::{Extractor, Injector};
#[cfg(feature = "collect")]
pub(crate) use self::hosts::allow as allow_hosts;
use self::trace_context::{Parent, TRACEPARENT, TRACESTATE};
use crate::collect::current_sink;
use crate::context::{Context, SpanRef};
use crate::notice;
use crate::tenant::TenantId;
use crate::trace::{Relation, Remote, TraceCore};

const TENANT: &str = "tenant.id";
/// The trace's tenant, where it is another than the context's.
const TRACE_TENANT: &str = "tenant.trace";
/// The application's own id of the trace, which a `traceparent` has no room for.
const EXTERNAL_ID: &str = "tracium.trace";
const AGENT: &str = "gen_ai.agent.name";
const OURS: [&str; 4] = [TENANT, TRACE_TENANT, EXTERNAL_ID, AGENT];
const TENANT_HEADER: &str = "x-tenant-id";

impl Context {
    /// Writes this context into `carrier`, for a receiver that is yours: the headers of a message in a queue, or of a
    /// request between your own services. For requests that may go anywhere, use
    /// [`inject_for_host`](Self::inject_for_host).
    ///
    /// | name | what |
    /// |---|---|
    /// | `traceparent` | trace, span and whether the trace is sampled, as W3C Trace Context has it |
    /// | `tracestate` | as it came from upstream |
    /// | `baggage` | `tenant.id`, percent-encoded so that no two tenants meet; the trace's agent |
    ///
    /// What `carrier` has of these is replaced; other members of its baggage stay, and what an earlier context said of
    /// its tenant goes. Where this context has no trace, `traceparent` and `tracestate` are left alone.
    ///
    /// ```
    /// # use tracium_runtime as tracium;
    /// use std::collections::HashMap;
    /// use tracium::{Context, TenantId};
    ///
    /// let mut message = HashMap::new();
    /// Context::root().with_tenant(TenantId::try_from("Zürich")?).inject(&mut message);
    /// assert_eq!(message["baggage"], "tenant.id=Z%C3%BCrich");
    /// assert_eq!(Context::extract(&message).tenant().unwrap(), "Zürich");
    /// # Ok::<(), tracium::TenantError>(())
    /// ```
    pub fn inject(&self, carrier: &mut impl Injector) {
        self.write(carrier, true);
    }

    /// Writes this context into the headers of a request to `host`, a name or address without port.
    ///
    /// Every host gets `traceparent` and `tracestate`. Only hosts that
    /// `Builder::allow_tenant_host` names are told the tenant, in `baggage` and as
    /// `X-Tenant-ID`; from the baggage to others it is taken away. To those, nothing is said of a trace that belongs
    /// to another tenant than this context, since its spans there could not be told from that one's.
    ///
    /// ```
    /// # use tracium_runtime as tracium;
    /// use tracium::{Context, TenantId};
    ///
    /// let mut headers = Vec::new();
    /// let context = Context::root().with_tenant(TenantId::try_from("acme")?);
    /// context.inject_for_host("api.example.com", &mut headers);
    /// assert!(headers.is_empty(), "nobody allowed that host to know");
    /// # Ok::<(), tracium::TenantError>(())
    /// ```
    pub fn inject_for_host(&self, host: &str, carrier: &mut impl Injector) {
        let is_allowed = hosts::is_allowed(host);
        self.write(carrier, is_allowed);
        if is_allowed && let Some(tenant) = self.effective_tenant() {
            carrier.set(TENANT_HEADER, tenant.to_header_value());
        }
    }

    /// The context that `carrier` brings: the trace goes on where this context is entered, and is completed where it was
    /// opened. Spans under it have the sender's span as their parent.
    ///
    /// What is malformed, is there twice with two values, or is too long is ignored, counted in
    /// `stats().malformed_headers`, and logged once a minute. It never is an error: a request must not fail by it.
    ///
    /// **Whoever can send a request can write these headers.** Where callers are not your own services, name the tenant
    /// by what they have proved, after this: `Context::extract(&headers).with_tenant(verified)`.
    #[must_use]
    pub fn extract(carrier: &impl Extractor) -> Self {
        let [tenant, trace_tenant, external_id, agent] = members(carrier);
        let mut context = Self { tenant: tenant_of(tenant), ..Self::root() };
        let Some(parent) = parent(carrier) else { return context };
        let trace_state = state(carrier);
        let Some(sink) = context.sink.clone().or_else(current_sink) else { return context };
        let text = |found: Found| match found {
            Found::One(text) if text.len() <= 256 && !text.is_empty() => Some(text.into_boxed_str()),
            _ => None,
        };
        let trace = TraceCore::remote(Remote {
            id: parent.trace,
            external_id: text(external_id),
            agent: text(agent),
            tenant: tenant_of(trace_tenant).or_else(|| context.tenant.clone()),
            parent: parent.span,
            sampled: parent.sampled,
            trace_state: trace_state.map(String::into_boxed_str),
            sink,
        });
        context.span = Some(SpanRef { trace, id: parent.span, depth: 0, llm: None });
        context
    }

    /// Writes the headers, and of the tenant only to a receiver who may know it.
    fn write(&self, carrier: &mut impl Injector, may_know: bool) {
        let tenant = self.effective_tenant();
        let of_trace;
        let mut members: Vec<(&str, &str)> = Vec::new();
        if may_know && let Some(tenant) = &tenant {
            members.push((TENANT, tenant.as_str()));
        }
        if let Some(SpanRef { trace, id, .. }) = &self.span {
            let is_foreign = trace.relation(tenant.as_ref()) == Relation::Foreign;
            if may_know || !is_foreign {
                let parent = Parent { trace: trace.id, span: *id, sampled: trace.is_sampled() };
                carrier.set(TRACEPARENT, parent.to_header());
                match trace.trace_state() {
                    Some(state) => carrier.set(TRACESTATE, state.to_owned()),
                    None => carrier.remove(TRACESTATE),
                }
            } else {
                carrier.remove(TRACEPARENT);
                carrier.remove(TRACESTATE);
            }
            if may_know {
                of_trace = trace.tenant().filter(|_| is_foreign);
                members.extend(of_trace.as_ref().map(|tenant| (TRACE_TENANT, tenant.as_str())));
                members.extend(trace.external_id().map(|id| (EXTERNAL_ID, id)));
                members.extend(trace.known_agent().map(|agent| (AGENT, agent)));
            }
        }
        let before = values(carrier, BAGGAGE);
        let baggage = baggage::write(&before, &OURS, &members);
        if !baggage.is_empty() {
            carrier.set(BAGGAGE, baggage);
        } else if !before.is_empty() {
            carrier.remove(BAGGAGE);
        }
    }
}

fn values(carrier: &impl Extractor, name: &str) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    carrier.each_value(name, &mut |value| values.push(value.to_vec()));
    values
}

fn parent(carrier: &impl Extractor) -> Option<Parent> {
    let values = values(carrier, TRACEPARENT);
    let parent = match values.as_slice() {
        [] => return None,
        [value] => Parent::parse(value),
        // Two parents are none.
        _ => None,
    };
    if parent.is_none() {
        notice::malformed_header(TRACEPARENT);
    }
    parent
}

fn state(carrier: &impl Extractor) -> Option<String> {
    let values = values(carrier, TRACESTATE);
    if values.is_empty() {
        return None;
    }
    let state = trace_context::trace_state(&values);
    if state.is_none() {
        notice::malformed_header(TRACESTATE);
    }
    state.filter(|state| !state.is_empty())
}

fn members(carrier: &impl Extractor) -> [Found; 4] {
    let found = baggage::read(&values(carrier, BAGGAGE), OURS);
    if found.as_ref().is_none_or(|found| found.contains(&Found::Malformed)) {
        notice::malformed_header(BAGGAGE);
    }
    found.unwrap_or_default()
}

fn tenant_of(found: Found) -> Option<TenantId> {
    let Found::One(id) = found else { return None };
    let tenant = TenantId::try_from(id);
    if tenant.is_err() {
        notice::malformed_header(BAGGAGE);
    }
    tenant.ok()
}
