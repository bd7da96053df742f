//! A context as data, for the payload of a job.

use std::fmt;

use serde_core::de::{self, IgnoredAny, MapAccess, Visitor};
use serde_core::ser::SerializeMap;
use serde_core::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Context, SpanRef};
use crate::collect::current_sink;
use crate::tenant::TenantId;
use crate::trace::{Relation, Remote, TraceCore};
use crate::{SpanId, TraceId};

impl Serialize for Context {
    /// A map of what is there: `tenant`, `trace_id` (32 hex digits), `external_id`, `agent`, `span_id` (16 hex digits),
    /// `sampled` where the trace is not, `trace_state`, and `trace_tenant`, where the trace is another tenant's: spans under the context are none of that trace.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(tenant) = &self.tenant {
            map.serialize_entry("tenant", tenant)?;
        }
        if let Some(span) = &self.span {
            map.serialize_entry("trace_id", &span.trace.id.to_string())?;
            if let Some(id) = span.trace.external_id() {
                map.serialize_entry("external_id", id)?;
            }
            if let Some(agent) = span.trace.known_agent() {
                map.serialize_entry("agent", agent)?;
            }
            map.serialize_entry("span_id", &span.id.to_string())?;
            if !span.trace.is_sampled() {
                map.serialize_entry("sampled", &false)?;
            }
            if let Some(state) = span.trace.trace_state() {
                map.serialize_entry("trace_state", state)?;
            }
            if span.trace.relation(self.tenant.as_ref()) == Relation::Foreign {
                map.serialize_entry("trace_tenant", &span.trace.tenant())?;
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Context {
    /// The trace of the context goes on where it is read; it is completed where it was opened.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Payload)
    }
}

struct Payload;

impl<'de> Visitor<'de> for Payload {
    type Value = Context;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tracium context: a map with `tenant`, `trace_id` and `span_id`, all optional")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Context, A::Error> {
        let (mut tenant, mut trace_tenant): (Option<TenantId>, Option<TenantId>) = (None, None);
        let (mut trace, mut external, mut agent, mut span) = (None, None, None, None);
        let (mut sampled, mut trace_state) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "tenant" => tenant = map.next_value()?,
                "trace_tenant" => trace_tenant = map.next_value()?,
                "trace_id" => trace = id(&mut map, "trace_id", TraceId::parse)?,
                "span_id" => span = id(&mut map, "span_id", SpanId::parse)?,
                "external_id" => external = map.next_value::<Option<String>>()?,
                "agent" => agent = map.next_value::<Option<String>>()?,
                "sampled" => sampled = map.next_value::<Option<bool>>()?,
                "trace_state" => trace_state = map.next_value::<Option<String>>()?,
                // Written by a later version: what it adds must not stop an older one.
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let mut context = Context { tenant, ..Context::root() };
        if let (Some(trace), Some(span)) = (trace, span)
            && let Some(sink) = current_sink()
        {
            let text = |value: Option<String>| value.map(String::into_boxed_str);
            let trace = TraceCore::remote(Remote {
                id: trace,
                external_id: text(external),
                agent: text(agent),
                tenant: trace_tenant.or_else(|| context.tenant.clone()),
                parent: span,
                sampled: sampled.unwrap_or(true),
                trace_state: text(trace_state),
                sink,
            });
            context.span = Some(SpanRef { trace, id: span, depth: 0, llm: None });
        }
        Ok(context)
    }
}

fn id<'de, A: MapAccess<'de>, T>(
    map: &mut A,
    field: &'static str,
    parse: fn(&str) -> Option<T>,
) -> Result<Option<T>, A::Error> {
    let Some(text) = map.next_value::<Option<String>>()? else { return Ok(None) };
    parse(&text)
        .map(Some)
        .ok_or_else(|| de::Error::custom(format_args!("`{field}` of a tracium context is no id: {text:?}")))
}
