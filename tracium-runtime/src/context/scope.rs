//! A scope: a context, and what ends with it.

use std::sync::Arc;

pub(crate) use super::slot::current;
use super::{Context, open};
use crate::SpanId;
use crate::config::default_tenant;
use crate::tenant::{TenantError, TenantId};
use crate::trace::details::{Error, SpanDetails};
use crate::trace::{OpenSpan, Relation, SpanMeta, TenantMark, TraceCore};

/// The span that work is done under.
#[derive(Clone, Debug)]
pub(crate) struct SpanRef {
    pub(crate) trace: Arc<TraceCore>,
    pub(crate) id: SpanId,
    pub(crate) depth: u32,
}

/// One scope: every trace, span, tenant scope, adapter and spawned task has its own.
///
/// A sync span inside a scope is one as well, but has no `Scope` of its own: it is a [`Level`] of the one around it.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) context: Context,
    /// The span that this scope, or its innermost level, opened, and which ends with it; of the trace of `context`.
    span: Option<OpenSpan>,
    /// Why that span failed, as its outcome tells.
    pub(crate) failure: Option<Box<Error>>,
    /// This scope's own trace, while nothing has been done in it.
    pub(crate) fresh: Option<Arc<TraceCore>>,
    /// The trace whose first act this scope is.
    pub(crate) first_act_of: Option<Arc<TraceCore>>,
    /// How the tenant stands to the trace's, and how often the trace had been named when that was found out.
    relation: Option<(u32, Relation)>,
    /// Levels inside this scope.
    levels: u32,
    /// What the levels changed of the context, to be changed back; `changes` of it by the innermost.
    undo: Vec<Undo>,
    changes: u32,
}

#[derive(Debug)]
enum Undo {
    Tenant(Option<TenantId>),
    Span(SpanRef),
}

/// What a sync span puts aside of the scope that it runs in.
#[derive(Debug)]
pub(crate) struct Level {
    span: Option<OpenSpan>,
    failure: Option<Box<Error>>,
    under: Option<(SpanId, u32)>,
    changes: u32,
    number: u32,
}

impl Scope {
    pub(crate) fn new(context: Context) -> Self {
        Self {
            context,
            span: None,
            failure: None,
            fresh: None,
            first_act_of: None,
            relation: None,
            levels: 0,
            undo: Vec::new(),
            changes: 0,
        }
    }

    /// A scope inside the innermost one.
    pub(crate) fn child() -> Self {
        current(|parent| match parent {
            None => Self::new(Context::default()),
            Some(parent) => {
                let mut child = Self::new(parent.context.clone());
                child.first_act_of = parent.fresh.take();
                child
            }
        })
    }

    /// The span that this scope, or its innermost level, opened.
    pub(crate) fn own_span(&self) -> Option<(&Arc<TraceCore>, &OpenSpan)> {
        Some((&self.context.span.as_ref()?.trace, self.span.as_ref()?))
    }

    pub(crate) fn set_tenant(&mut self, tenant: Option<TenantId>) -> Result<(), TenantError> {
        match (&self.context.tenant, &tenant) {
            (Some(current), Some(new)) if current.same(new) => return Ok(()),
            (Some(current), Some(_)) => return Err(TenantError::Conflict { current: current.clone() }),
            _ => {}
        }
        // A trace's own body may name it; clearing must not take the name from what it has done already.
        if let (Some((trace, open)), Some(tenant)) = (self.own_span(), &tenant)
            && open.id == trace.root
            && trace.relation(Some(tenant)) == Relation::Carried
        {
            trace.try_name(Some(tenant));
        }
        if self.levels > 0 {
            self.changed(Undo::Tenant(self.context.tenant.clone()));
        }
        self.bind(tenant);
        Ok(())
    }

    /// Makes `tenant` this scope's, whatever it was under before.
    pub(crate) fn bind(&mut self, tenant: Option<TenantId>) {
        self.context.tenant = tenant;
        self.relation = None;
    }

    fn changed(&mut self, undo: Undo) {
        self.undo.push(undo);
        self.changes += 1;
    }

    /// Opens a span in this scope; `None` outside any trace.
    #[inline]
    pub(crate) fn open_span(&mut self, meta: &'static SpanMeta, details: Option<Box<SpanDetails>>) -> Option<()> {
        let span = self.context.span.as_mut()?;
        let named = span.trace.named();
        let relation = match self.relation {
            Some((then, relation)) if then == named => relation,
            _ => self.find_relation(named)?,
        };
        if relation != Relation::Same {
            let (trace, open) = open::span_in(&self.context, meta, details)?;
            self.hold(&trace, open);
            return Some(());
        }
        let tenant = self.context.mark();
        let span = self.context.span.as_mut()?;
        let open = span.trace.open_span(meta, span.id, span.depth + 1, tenant);
        if let Some(details) = details {
            span.trace.add_details(open.id, *details);
        }
        (span.id, span.depth) = (open.id, open.depth);
        self.span = Some(open);
        Some(())
    }

    #[cold]
    fn find_relation(&mut self, named: u32) -> Option<Relation> {
        let trace = &self.context.span.as_ref()?.trace;
        let relation = trace.relation(self.context.effective_tenant().as_ref());
        self.relation = Some((named, relation));
        Some(relation)
    }

    /// Makes `open`, a span of `trace`, the scope's.
    pub(crate) fn hold(&mut self, trace: &Arc<TraceCore>, open: OpenSpan) {
        let span = SpanRef { trace: Arc::clone(trace), id: open.id, depth: open.depth };
        if let Some(outer) = self.context.span.replace(span)
            && self.levels > 0
        {
            self.changed(Undo::Span(outer));
        }
        self.relation = None;
        self.span = Some(open);
    }

    /// Begins a sync span's level.
    #[inline]
    pub(crate) fn push_level(&mut self) -> Level {
        self.fresh = None;
        self.levels += 1;
        Level {
            span: self.span.take(),
            failure: self.failure.take(),
            under: self.context.span.as_ref().map(|span| (span.id, span.depth)),
            changes: std::mem::take(&mut self.changes),
            number: self.levels,
        }
    }

    /// Ends a sync span's level, and its span.
    #[inline]
    pub(crate) fn pop_level(&mut self, level: Level, failure: Option<Box<Error>>) {
        if self.levels != level.number {
            // Not the scope, or not the level, that it was begun in. Nothing of ours does that; what was put aside
            // ends here, and nothing is mixed up.
            return;
        }
        self.levels -= 1;
        let open = std::mem::replace(&mut self.span, level.span);
        let failure = failure.or_else(|| self.failure.take());
        self.failure = level.failure;
        if let (Some(span), Some(open)) = (&self.context.span, open) {
            open.close(&span.trace, failure);
        }
        if self.changes > 0 {
            self.undo_changes();
        }
        self.changes = level.changes;
        if let (Some(span), Some((id, depth))) = (&mut self.context.span, level.under) {
            (span.id, span.depth) = (id, depth);
        }
    }

    #[cold]
    fn undo_changes(&mut self) {
        for _ in 0..self.changes {
            match self.undo.pop() {
                Some(Undo::Tenant(tenant)) => self.context.tenant = tenant,
                Some(Undo::Span(span)) => self.context.span = Some(span),
                None => {}
            }
        }
        self.relation = None;
    }

    /// Ends the scope and its span; `failure` is what ended it, if not its own outcome.
    pub(crate) fn close(&mut self, failure: Option<Box<Error>>) {
        let failure = failure.or_else(|| self.failure.take());
        if let (Some(span), Some(open)) = (&self.context.span, self.span.take()) {
            open.close(&span.trace, failure);
        }
    }
}

impl Context {
    /// The tenant that spans open under: the scope's, or the program's only one.
    pub(crate) fn effective_tenant(&self) -> Option<TenantId> {
        self.tenant.clone().or_else(default_tenant)
    }

    /// How spans that open here note the tenant that they share with their trace.
    #[inline]
    pub(crate) fn mark(&self) -> TenantMark {
        // A trace without a tenant may be named yet: that is not these spans' tenant then.
        if self.tenant.is_some() || default_tenant().is_some() { TenantMark::OfTrace } else { TenantMark::None }
    }
}

impl Drop for Scope {
    /// A scope that is dropped and not closed is that of a future that never came to its end.
    fn drop(&mut self) {
        if self.span.is_some() {
            self.close(Some(Box::new(Error::cancelled())));
        }
    }
}

impl Error {
    pub(crate) fn cancelled() -> Self {
        Self { type_name: "cancelled", message: "dropped before it was done".into() }
    }
}
