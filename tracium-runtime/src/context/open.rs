//! Opening a trace or a span in the innermost scope, and binding its tenant.

use std::fmt::Display;
use std::sync::Arc;

use super::attribute::orphan;
use super::{Context, Scope, SpanRef, current, slot};
use crate::collect::{Sink, current_sink};
use crate::content::{self, Limits};
use crate::probe::CaptureValue;
use crate::tenant::{ResolveTenant, TenantError, TenantId};
use crate::trace::details::{SpanDetails, TraceDetails, put};
use crate::trace::handle::named;
use crate::trace::{OpenSpan, Relation, SpanMeta, TenantMeta, TraceCore, TraceMeta, TraceSpec};
use crate::{SpanId, notice};

/// What a trace is opened with, beyond the constant part; filled by the attributes.
#[derive(Debug, Default)]
pub struct TraceOptions {
    on: bool,
    pub(crate) spec: Option<Box<TraceSpec>>,
    pub(crate) tenant: Option<Result<Option<TenantId>, TenantError>>,
}

/// What a span is opened with, beyond the constant part; filled by the attributes.
#[derive(Debug, Default)]
pub struct SpanOptions {
    on: bool,
    pub(crate) details: Option<Box<SpanDetails>>,
}

impl TraceOptions {
    pub(crate) fn new() -> Self {
        Self { on: is_on(), ..Self::default() }
    }

    fn set(mut self, put: impl FnOnce(&mut TraceSpec)) -> Self {
        if self.on {
            put(self.spec.get_or_insert_default());
        }
        self
    }

    /// The agent's name.
    #[must_use]
    pub fn agent(self, agent: &(impl Display + ?Sized)) -> Self {
        self.set(|spec| spec.agent = Some(agent.to_string().into()))
    }

    /// The root span's name.
    #[must_use]
    pub fn name(self, name: &(impl Display + ?Sized)) -> Self {
        self.set(|spec| spec.name = Some(name.to_string().into()))
    }

    /// The model.
    #[must_use]
    pub fn model(self, model: &(impl Display + ?Sized)) -> Self {
        self.set(|spec| spec.details_mut().model = Some(model.to_string().into()))
    }

    /// The agent's version.
    #[must_use]
    pub fn version(self, version: &(impl Display + ?Sized)) -> Self {
        self.set(|spec| spec.version = Some(version.to_string().into()))
    }

    /// The workspace.
    #[must_use]
    pub fn workspace(self, workspace: &(impl Display + ?Sized)) -> Self {
        self.set(|spec| spec.workspace = Some(workspace.to_string().into()))
    }

    /// One more tag.
    #[must_use]
    pub fn tag(self, tag: &(impl Display + ?Sized)) -> Self {
        self.set(|spec| spec.details_mut().tags.push(tag.to_string().into()))
    }

    /// A metadata entry.
    #[must_use]
    pub fn metadata(self, key: &str, value: &(impl CaptureValue + ?Sized)) -> Self {
        self.set(|spec| put(&mut spec.details_mut().metadata, key, named(key, value)))
    }

    /// The session that the trace is part of.
    #[must_use]
    pub fn session(self, session: &(impl Display + ?Sized)) -> Self {
        self.set(|spec| spec.details_mut().session = Some(session.to_string().into()))
    }

    /// The end user, who is not the tenant.
    #[must_use]
    pub fn user(self, user: &(impl Display + ?Sized)) -> Self {
        self.set(|spec| spec.details_mut().user = Some(user.to_string().into()))
    }

    /// The trace's id, where the application has one.
    #[must_use]
    pub fn trace_id(self, id: &(impl Display + ?Sized)) -> Self {
        self.set(|spec| spec.trace_id = Some(id.to_string().into()))
    }

    /// The tenant, which holds in the whole scope. It is found out also when nothing is recorded.
    #[must_use]
    pub fn tenant(mut self, tenant: &(impl ResolveTenant + ?Sized)) -> Self {
        self.tenant = Some(tenant.resolve_tenant());
        self
    }
}

impl SpanOptions {
    pub(crate) fn new() -> Self {
        Self { on: is_on(), details: None }
    }

    fn set(mut self, put: impl FnOnce(&mut SpanDetails)) -> Self {
        if self.on {
            put(self.details.get_or_insert_default());
        }
        self
    }

    /// The span's kind.
    #[must_use]
    pub fn kind(self, kind: &(impl Display + ?Sized)) -> Self {
        self.set(|details| details.kind = Some(kind.to_string().into()))
    }

    /// The span's name.
    #[must_use]
    pub fn name(self, name: &(impl Display + ?Sized)) -> Self {
        self.set(|details| details.name = Some(name.to_string().into()))
    }

    /// The model.
    #[must_use]
    pub fn model(self, model: &(impl Display + ?Sized)) -> Self {
        self.set(|details| details.model = Some(model.to_string().into()))
    }

    /// One more tag.
    #[must_use]
    pub fn tag(self, tag: &(impl Display + ?Sized)) -> Self {
        self.set(|details| details.tags.push(tag.to_string().into()))
    }

    /// A metadata entry.
    #[must_use]
    pub fn metadata(self, key: &str, value: &(impl CaptureValue + ?Sized)) -> Self {
        self.set(|details| put(&mut details.metadata, key, named(key, value)))
    }
}

/// Whether a trace or span that opens here would be recorded.
pub(crate) fn is_on() -> bool {
    current(|scope| scope.is_some_and(|scope| scope.is_in_trace())) || current_sink().is_some()
}

/// Opens a trace in the innermost scope; a trace inside a trace is an agent span of it.
pub(crate) fn open_trace(meta: &'static TraceMeta, options: TraceOptions) {
    let TraceOptions { spec, tenant, .. } = options;
    if let Some(tenant) = tenant {
        let tenant = tenant.unwrap_or_else(|error| {
            notice::invalid_tenant(meta.span.function, &error);
            None
        });
        current(|scope| scope.map(|scope| scope.bind(tenant)));
    }
    current(|scope| {
        let Some(scope) = scope else { return };
        match trace_in(scope.synced(), meta, spec) {
            Some((trace, open)) if open.id == trace.root => scope.hold_fresh(trace, open),
            Some((trace, open)) => scope.hold(&trace, open),
            None => {}
        }
    });
}

/// A trace, or an agent span, under `context`; `None` when nothing is recorded.
#[inline(always)]
pub(crate) fn trace_in(
    context: &Context,
    meta: &'static TraceMeta,
    mut spec: Option<Box<TraceSpec>>,
) -> Option<(Arc<TraceCore>, OpenSpan)> {
    let tenant = context.effective_tenant();
    if let Some(SpanRef { trace, id, depth, .. }) = &context.span {
        let relation = settled_relation(trace, tenant.as_ref());
        if !meta.new_trace && relation != Relation::Foreign {
            let open = span_of(context, trace, &meta.span, (*id, *depth), relation);
            if trace.remote {
                trace.note_agent(spec.as_ref().and_then(|spec| spec.agent.as_deref()).unwrap_or(meta.agent));
            }
            if let Some(spec) = spec {
                name_agent_span(trace, open.id, *spec);
            }
            return Some((Arc::clone(trace), open));
        }
        link(spec.get_or_insert_default(), context);
    }
    let sink = sink_of(context)?;
    Some(TraceCore::open(meta, spec, tenant, sink))
}

/// What a trace that is an agent span of another one was named.
fn name_agent_span(trace: &TraceCore, span: SpanId, spec: TraceSpec) {
    let details = spec.details.map_or_else(TraceDetails::default, |details| *details);
    if spec.agent.is_some()
        || spec.name.is_some()
        || details.model.is_some()
        || !details.tags.is_empty()
        || !details.metadata.is_empty()
    {
        trace.with_span(span, |span| {
            span.name = spec.name.or(spec.agent);
            span.model = details.model;
            span.tags = details.tags;
            span.metadata = details.metadata;
        });
    }
}

fn link(spec: &mut TraceSpec, context: &Context) {
    if let Some(parent) = &context.span {
        let text = |id: &dyn Display| content::to_json(&id.to_string(), &Limits::CAPTURE);
        put(&mut spec.details_mut().metadata, "linked.trace_id", text(&parent.trace.id.to_uuid()));
        put(&mut spec.details_mut().metadata, "linked.span_id", text(&parent.id.to_uuid(parent.trace.id)));
    }
}

fn sink_of(context: &Context) -> Option<Sink> {
    match &context.span {
        Some(span) => Some(span.trace.sink.clone()),
        None => context.sink.clone().or_else(current_sink),
    }
}

/// Opens a span in the innermost scope. Outside any trace there is nothing to open it in.
#[inline]
pub(crate) fn open_span(meta: &'static SpanMeta) {
    if !slot::is_quiet(meta) && current(|scope| scope?.open_span(meta, None)).is_none() {
        orphan(meta);
    }
}

/// [`open_span`], with what is known at run time.
pub(crate) fn open_span_with(meta: &'static SpanMeta, details: Option<Box<SpanDetails>>) {
    if current(|scope| scope?.open_span(meta, details)).is_none() {
        orphan(meta);
    }
}

/// A span under `context`, in its trace or in one of its own tenant; `None` outside any trace.
pub(crate) fn span_in(
    context: &Context,
    meta: &'static SpanMeta,
    details: Option<Box<SpanDetails>>,
) -> Option<(Arc<TraceCore>, OpenSpan)> {
    let parent = context.span.as_ref()?;
    let tenant = context.effective_tenant();
    let relation = settled_relation(&parent.trace, tenant.as_ref());
    let (trace, mut open) = if relation == Relation::Foreign {
        // Another tenant's work belongs into a trace of its own.
        let mut spec = TraceSpec {
            agent: Some(parent.trace.agent().into()),
            version: parent.trace.version().map(Into::into),
            workspace: parent.trace.workspace().map(Into::into),
            ..TraceSpec::default()
        };
        link(&mut spec, context);
        let mark = context.mark();
        let (trace, _) = TraceCore::open(parent.trace.meta, Some(Box::new(spec)), tenant, parent.trace.sink.clone());
        let mut open = trace.open_span(meta, trace.root, 1, mark);
        open.owns_trace = true;
        (trace, open)
    } else {
        let open = span_of(context, &parent.trace, meta, (parent.id, parent.depth), relation);
        (Arc::clone(&parent.trace), open)
    };
    if let Some(details) = details {
        open.is_llm |= details.kind.as_deref() == Some("llm");
        trace.add_details(open.id, *details);
    }
    Some((trace, open))
}

/// How `tenant` stands to the trace's, for a span that opens now: a trace that is to carry another's span cannot be named
/// in between.
fn settled_relation(trace: &TraceCore, tenant: Option<&TenantId>) -> Relation {
    match trace.relation(tenant) {
        Relation::Carried if !trace.carry() => trace.relation(tenant),
        relation => relation,
    }
}

/// A span that stays in `trace`, under `parent`.
fn span_of(
    context: &Context,
    trace: &TraceCore,
    meta: &'static SpanMeta,
    parent: (SpanId, u32),
    relation: Relation,
) -> OpenSpan {
    let (id, depth) = (parent.0, parent.1 + 1);
    match context.effective_tenant() {
        Some(tenant) if relation == Relation::Carried => trace.open_span_of(meta, id, depth, tenant),
        _ => trace.open_span(meta, id, depth, context.mark()),
    }
}

/// Binds the innermost scope to `tenant`. Where it is the first act of its own function's trace, whatever
/// the order of the two attributes, the trace is named after it.
pub(crate) fn bind(meta: &'static TenantMeta, tenant: Option<TenantId>) {
    current(|scope| {
        let Some(scope) = scope else { return };
        if let Some(trace) = first_act(scope, meta) {
            trace.try_name(tenant.as_ref());
        }
        scope.bind(tenant);
    });
}

/// The innermost scope's call was refused: a trace of the same function leaves nothing behind.
pub(crate) fn reject(meta: &'static TenantMeta) {
    current(|scope| {
        if let Some(trace) = scope.and_then(|scope| first_act(scope, meta)) {
            trace.try_discard();
        }
    });
}

/// The trace of the same function, whose first act this scope is. A trace that calls a scope of another function first,
/// as one does that works for one tenant after the other, is none of that one's: it takes neither its name nor its end.
fn first_act<'a>(scope: &'a mut Scope, meta: &'static TenantMeta) -> Option<&'a Arc<TraceCore>> {
    scope.take_first_act().filter(|trace| trace.meta.place == Some(meta.place))
}
