//! The bodies of the API's calls.

use std::borrow::Cow;

use super::super::mask::Masked;
use super::super::text::{cut, unique_tags};
use super::super::{SpanItem, SpanRecord, TraceItem, View};
use super::call;
use super::lane::Lane;
use super::text::{agent_name, write_rfc3339};
use crate::clock::Timestamp;
use crate::config::Mask;
use crate::content::{self, Json, Limits, fit, write_string, write_u64};
use crate::trace::details::{Error, SpanDetails};
use crate::trace::{Status, TenantMark, TraceCore};
use crate::{SpanId, TenantId, TraceId};

/// What input and output may have, as JSON.
const CONTENT_BYTES: usize = 100_000;

/// The spans of one request: from the lane's front, still open ones, and the root.
#[derive(Debug)]
pub(super) struct Spans<'a> {
    pub(super) ended: usize,
    pub(super) open: &'a [SpanRecord],
    pub(super) root: bool,
}

/// What the spans of one request share: found once, behind the trace's lock.
struct Common<'a> {
    lane: &'a Lane,
    model: Option<&'a str>,
    tenant: Option<&'a TenantId>,
}

pub(super) struct Encoder {
    workspace_id: Option<String>,
    mask: Masked,
    /// `parent_span_id`, tags and metadata of spans, until a backend refuses them.
    extras: bool,
}

impl Encoder {
    pub(super) fn new(workspace_id: Option<String>, mask: Option<Mask>) -> Self {
        Self { workspace_id, mask: Masked(mask), extras: true }
    }

    pub(super) fn has_extras(&self) -> bool {
        self.extras
    }

    /// The backend refused what we add to the protocol: from now on it is left out.
    pub(super) fn leave_out_extras(&mut self) {
        if std::mem::take(&mut self.extras) {
            tracing::warn!(
                target: "tracium",
                "the backend refuses `parent_span_id`, tags and metadata of spans; they are left out from now on"
            );
        }
    }

    /// Whether the root carries something that only a span can: captures, metadata, session or user.
    #[allow(clippy::unused_self)] // Beside the encoder's other questions; an OTLP backend gets the root always.
    pub(super) fn wants_root(&self, lane: &Lane) -> bool {
        let state = lane.trace.state();
        let trace = state.details();
        let of_trace = !trace.metadata.is_empty() || trace.session.is_some() || trace.user.is_some();
        let recorded = lane.end.as_ref().and_then(|end| end.details.as_deref()).or_else(|| state.span(lane.trace.root));
        !lane.trace.remote
            && (of_trace
                || recorded.is_some_and(|details| {
                    details.input.is_some()
                        || details.output.is_some()
                        || details.usage.is_some()
                        || details.tools.is_some()
                        || details.tool_calls.is_some()
                        || !details.metadata.is_empty()
                }))
    }

    pub(super) fn create(&self, out: &mut Vec<u8>, trace: &TraceCore) {
        let mut body = Object::new(out);
        body.text("agent_name", &agent_name(trace.agent()));
        body.some_text("model_id", trace.model().as_deref().map(|model| cut(model, 256)));
        tags(&mut body, trace);
        body.text("trace_id", &trace.public_id());
        body.some_text("workspace_id", trace.workspace().or(self.workspace_id.as_deref()).map(|id| cut(id, 256)));
        body.some_text("version", trace.version().map(|version| cut(version, 128)));
        body.some_text("tenant_id", trace.tenant().as_ref().map(crate::TenantId::as_str));
        body.end();
    }

    pub(super) fn spans(&self, out: &mut Vec<u8>, lane: &Lane, which: &Spans<'_>) {
        // The same for all that name none: found once, behind the trace's lock.
        let (model, tenant) = (lane.trace.model(), lane.trace.tenant());
        let common = Common { lane, model: model.as_deref(), tenant: tenant.as_ref() };
        out.extend_from_slice(b"{\"spans\":[");
        let start = out.len();
        let separate = |out: &mut Vec<u8>| {
            if out.len() > start {
                out.push(b',');
            }
        };
        if which.root
            && let Some(end) = &lane.end
        {
            separate(out);
            self.span(out, &common, &end.root, end.details.as_deref());
        }
        for SpanItem { record, details, .. } in lane.spans.iter().take(which.ended) {
            separate(out);
            self.span(out, &common, record, details.as_deref());
        }
        for record in which.open {
            separate(out);
            self.span(out, &common, record, None);
        }
        out.extend_from_slice(b"]}");
    }

    fn span(&self, out: &mut Vec<u8>, common: &Common<'_>, record: &SpanRecord, details: Option<&SpanDetails>) {
        let Common { lane, model, tenant } = *common;
        let trace = &lane.trace;
        let view = View::new(trace, record, details);
        let is_root = record.id == trace.root && !trace.remote;
        let mut body = Object::new(out);
        body.uuid("id", record.id, trace.id);
        body.text("span_type", cut(view.kind(), 128));
        body.text(
            "status",
            match (record.ended, record.status) {
                (None, _) => "in_progress",
                (Some(_), Status::Completed) => "completed",
                (Some(_), Status::Failed) => "failed",
            },
        );
        body.time("started_at", record.started);
        if let (Some(ended), Some(duration)) = (record.ended, view.duration()) {
            body.time("completed_at", ended);
            body.number("latency_ms", u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        }
        body.text("name", cut(view.name(), 512));
        // Where no root is sent, its children are the outermost.
        body.number(
            "depth_level",
            u64::from(if lane.has_root { record.depth } else { record.depth.saturating_sub(1) }),
        );
        if self.extras {
            self.extras_of(&mut body, lane, view, is_root);
        }
        body.some_text("model_id", view.model().or(model).map(|model| cut(model, 256)));
        let own = if record.tenant == TenantMark::Own { view.tenant() } else { None };
        let tenant = if record.tenant == TenantMark::OfTrace { tenant } else { own.as_ref() };
        body.some_text("tenant_id", tenant.map(TenantId::as_str));
        self.json(&mut body, "input", view.input());
        self.json(&mut body, "output", view.output());
        self.json(&mut body, "tools", view.tools());
        self.json(&mut body, "tool_calls", view.tool_calls());
        body.some_text("error", view.error().map(|error| self.error(error)).as_deref());
        if let Some(usage) = view.usage() {
            body.number("input_tokens", usage.input);
            body.number("output_tokens", usage.output);
            body.some_number("cached_input_tokens", usage.cached_input);
            body.some_number("cache_creation_input_tokens", usage.cache_creation_input);
        }
        body.end();
    }

    /// What the published clients leave out: the parent, tags and metadata.
    fn extras_of(&self, body: &mut Object<'_>, lane: &Lane, view: View<'_>, is_root: bool) {
        let View { record, trace, .. } = view;
        let parent: Option<SpanId> =
            (!is_root && (record.parent != trace.root || lane.has_root || trace.remote)).then_some(record.parent);
        if let Some(parent) = parent {
            body.uuid("parent_span_id", parent, trace.id);
        }
        if is_root {
            tags(body, trace);
        } else {
            let own = unique_tags(view.tags());
            if !own.is_empty() {
                body.texts("tags", &own);
            }
        }
        let mut metadata: Vec<(Cow<'_, str>, String)> = Vec::new();
        let mut put = |key: &str, value: &Json| metadata.push((Cow::Owned(key.to_owned()), value.as_str().to_owned()));
        if is_root {
            let state = trace.state();
            for (key, value) in &state.details().metadata {
                put(key, value);
            }
            for (key, value) in [("session_id", &state.details().session), ("user_id", &state.details().user)] {
                if let Some(value) = value {
                    let mut text = String::new();
                    write_string(&mut text, value);
                    put(key, &Json::from_valid(text));
                }
            }
        }
        for (key, value) in view.metadata() {
            put(key, value);
        }
        if let Some(reasoning) = view.usage().and_then(|usage| usage.reasoning)
            && !view.has_metadata("reasoning_tokens")
        {
            put("reasoning_tokens", &content::to_json(&reasoning, &Limits::CAPTURE));
        }
        if let Some(call) = view.call() {
            call::metadata(call, view.model(), |key, value| {
                if !view.has_metadata(key) {
                    put(key, &value);
                }
            });
        }
        if !metadata.is_empty() {
            let mut object = Vec::new();
            let mut fields = Object::new(&mut object);
            for (key, value) in &metadata {
                fields.raw(key, value);
            }
            fields.end();
            let object = String::from_utf8(object).unwrap_or_else(|_| "{}".to_owned());
            self.json(body, "metadata", Some(&Json::from_valid(object)));
        }
    }

    /// The call that ends the trace, and its body.
    pub(super) fn end(&self, out: &mut Vec<u8>, lane: &Lane, end: &TraceItem) -> &'static str {
        let view = View::new(&lane.trace, &end.root, end.details.as_deref());
        let mut body = Object::new(out);
        let call = if let Some(error) = view.error() {
            body.text("error", &self.error(error));
            "fail"
        } else {
            let summary = lane.trace.state().details().summary.clone();
            body.some_text("summary", summary.as_deref().map(|summary| self.mask.text("summary", summary)).as_deref());
            tags(&mut body, &lane.trace);
            "complete"
        };
        body.some_text("model", lane.summary.models().as_deref());
        body.some_text(
            "system_prompt",
            lane.summary.system_prompts().as_deref().map(|prompt| self.mask.text("input", prompt)).as_deref(),
        );
        if !lane.summary.steps.is_empty() {
            let mut steps = Vec::new();
            for step in &lane.summary.steps {
                steps.push(if steps.is_empty() { b'[' } else { b',' });
                let mut object = Object::new(&mut steps);
                object.text("name", cut(&step.name, 512));
                object.some_text("model", step.model.as_deref());
                let prompt = step.system_prompt.as_deref().map(|prompt| self.mask.text("input", prompt));
                object.some_text("system_prompt", prompt.as_deref());
                object.end();
            }
            steps.push(b']');
            body.raw("llm_steps", &String::from_utf8(steps).unwrap_or_else(|_| "[]".to_owned()));
        }
        body.end();
        call
    }

    fn error(&self, error: &Error) -> String {
        cut(&self.mask.text("error", error.text()), Error::MAX_CHARS).to_owned()
    }

    /// A captured value, as the mask leaves it, cut to what the API takes.
    fn json(&self, body: &mut Object<'_>, field: &str, value: Option<&Json>) {
        if let Some(value) = value {
            body.raw(field, &fit(&self.mask.json(field, value), CONTENT_BYTES));
        }
    }
}

/// The trace's tags: the constant ones, those that were added, and the one that names its function.
fn tags(body: &mut Object<'_>, trace: &TraceCore) {
    let state = trace.state();
    let function = trace.meta.span.function;
    let auto = (!function.is_empty()).then(|| format!("@trace:{function}"));
    let all = trace
        .meta
        .span
        .tags
        .iter()
        .copied()
        .chain(state.details().tags.iter().map(|tag| &**tag))
        .chain(auto.as_deref());
    let tags = unique_tags(all);
    if !tags.is_empty() {
        body.texts("tags", &tags);
    }
}

/// A JSON object on its way into a buffer.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        write_string(self.out, key);
        self.out.push(b':');
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        write_string(self.out, value);
    }

    fn some_text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn texts(&mut self, key: &str, values: &[&str]) {
        self.key(key);
        self.out.push(b'[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            write_string(self.out, value);
        }
        self.out.push(b']');
    }

    fn uuid(&mut self, key: &str, span: SpanId, trace: TraceId) {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(&span.uuid_text(trace));
        self.out.push(b'"');
    }

    fn time(&mut self, key: &str, time: Timestamp) {
        self.key(key);
        self.out.push(b'"');
        write_rfc3339(self.out, time.unix_nanos());
        self.out.push(b'"');
    }

    fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        write_u64(self.out, value);
    }

    fn some_number(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.number(key, value);
        }
    }

    fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.out.extend_from_slice(json.as_bytes());
    }

    fn end(self) {
        self.out.push(b'}');
    }
}
