//! A scope: a context, and what ends with it.

use std::cell::RefCell;
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
/// A sync span inside a scope is one as well, but has no `Scope` of its own: it is a level of the one around it.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) context: Context,
    /// The span that this scope opened, and which ends with it; of the trace of `context`.
    span: Option<OpenSpan>,
    /// Why that span failed, as its outcome tells.
    failure: Option<Box<Error>>,
    /// This scope's own trace, while nothing has been done in it.
    pub(crate) fresh: Option<Arc<TraceCore>>,
    /// The trace whose first act this scope is.
    pub(crate) first_act_of: Option<Arc<TraceCore>>,
    /// How the tenant stands to the trace's, and how often the trace had been named when that was found out.
    relation: Option<(u32, Relation)>,
    /// Sync spans inside this scope: the first `depth` of these. They are written where they lie and left there to be
    /// used again: a span that is moved in pieces makes the processor wait for each.
    levels: Vec<Level>,
    depth: usize,
    /// What the levels changed of the context, to be changed back.
    undo: Vec<Undo>,
}

thread_local! {
    #[allow(clippy::vec_box)] // It is the boxes that are kept.
    static POOL: RefCell<Vec<Box<Scope>>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
enum Undo {
    Tenant(Option<TenantId>),
    Span(SpanRef),
}

/// A sync span inside a scope: a scope of its own, of what differs from the one around it.
#[derive(Debug, Default)]
struct Level {
    span: Option<OpenSpan>,
    failure: Option<Box<Error>>,
    /// What the context said of the span around it.
    under: Option<SpanId>,
    depth: u32,
    /// How many of `undo` are this level's.
    changes: u32,
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
            levels: Vec::new(),
            depth: 0,
            undo: Vec::new(),
        }
    }

    /// A scope inside the innermost one.
    pub(crate) fn child() -> Box<Self> {
        let mut child = POOL
            .try_with(|pool| pool.try_borrow_mut().ok()?.pop())
            .ok()
            .flatten()
            .unwrap_or_else(|| Box::new(Self::new(Context::default())));
        current(|parent| {
            if let Some(parent) = parent {
                child.context.clone_from(&parent.context);
                child.first_act_of = parent.fresh.take();
            }
        });
        child
    }

    /// Keeps a closed scope for the next one: most are short, and there is one a trace and one an async span.
    pub(crate) fn recycle(mut self: Box<Self>) {
        const MOST: usize = 32;
        self.context = Context::default();
        self.failure = None;
        self.fresh = None;
        self.first_act_of = None;
        self.relation = None;
        self.undo.clear();
        // Past the thread's end there is no pool, and the scope is freed.
        let _ = POOL.try_with(|pool| {
            if let Ok(mut pool) = pool.try_borrow_mut()
                && pool.len() < MOST
            {
                pool.push(self);
            }
        });
    }

    /// The span that this scope, or its innermost level, opened.
    pub(crate) fn own_span(&self) -> Option<(&Arc<TraceCore>, &OpenSpan)> {
        let span = self.level().map_or(&self.span, |level| &level.span);
        Some((&self.context.span.as_ref()?.trace, span.as_ref()?))
    }

    /// The innermost level.
    fn level(&self) -> Option<&Level> {
        self.levels.get(self.depth.checked_sub(1)?)
    }

    #[inline]
    fn level_mut(&mut self) -> Option<&mut Level> {
        self.levels.get_mut(self.depth.checked_sub(1)?)
    }

    /// The span that handles record on, and the tenant that they record for: none, where the scope's tenant is another
    /// than the trace's.
    pub(crate) fn recorded_span(&mut self) -> Option<(&SpanRef, Option<TenantId>)> {
        if self.relation()? == Relation::Foreign {
            return None;
        }
        Some((self.context.span.as_ref()?, self.context.effective_tenant()))
    }

    #[inline]
    fn own_span_mut(&mut self) -> &mut Option<OpenSpan> {
        match self.depth {
            0 => &mut self.span,
            depth => self.levels.get_mut(depth - 1).map_or(&mut self.span, |level| &mut level.span),
        }
    }

    /// Notes how the innermost scope's work ended.
    pub(crate) fn set_failure(&mut self, failure: Option<Box<Error>>) {
        match self.level_mut() {
            Some(level) => level.failure = failure,
            None => self.failure = failure,
        }
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
        self.changed(|context| Some(Undo::Tenant(context.tenant.clone())));
        self.bind(tenant);
        Ok(())
    }

    /// Makes `tenant` this scope's, whatever it was under before.
    pub(crate) fn bind(&mut self, tenant: Option<TenantId>) {
        self.context.tenant = tenant;
        self.relation = None;
    }

    /// Before the context changes: in a level, it is noted what it was.
    fn changed(&mut self, undo: impl FnOnce(&mut Context) -> Option<Undo>) {
        if let Some(level) = self.depth.checked_sub(1).and_then(|top| self.levels.get_mut(top))
            && let Some(undo) = undo(&mut self.context)
        {
            self.undo.push(undo);
            level.changes += 1;
        }
    }

    /// Opens a span in this scope; `None` outside any trace.
    #[inline]
    pub(crate) fn open_span(&mut self, meta: &'static SpanMeta, details: Option<Box<SpanDetails>>) -> Option<()> {
        if self.relation()? != Relation::Same {
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
        *self.own_span_mut() = Some(open);
        Some(())
    }

    /// How the scope's tenant stands to its trace's; `None` outside any trace.
    #[inline]
    fn relation(&mut self) -> Option<Relation> {
        let named = self.context.span.as_ref()?.trace.named();
        match self.relation {
            Some((then, relation)) if then == named => Some(relation),
            _ => self.find_relation(named),
        }
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
        self.changed(|context| context.span.take().map(Undo::Span));
        self.context.span = Some(span);
        // A root's tenant is the one that the context had when it opened.
        self.relation = (open.id == trace.root).then(|| (trace.named(), Relation::Same));
        *self.own_span_mut() = Some(open);
    }

    /// Begins a sync span's level; gives its number, to end it by.
    #[inline]
    pub(crate) fn push_level(&mut self) -> usize {
        if self.fresh.is_some() {
            self.fresh = None;
        }
        let (under, depth) = self.context.span.as_ref().map_or((None, 0), |span| (Some(span.id), span.depth));
        if self.depth == self.levels.len() {
            self.levels.push(Level::default());
        }
        if let Some(level) = self.levels.get_mut(self.depth) {
            level.under = under;
            level.depth = depth;
        }
        self.depth += 1;
        self.depth
    }

    /// Ends a sync span's level, and its span; and what was left open inside it.
    #[inline]
    pub(crate) fn pop_level(&mut self, number: usize, mut failure: Option<Box<Error>>) {
        while self.depth >= number.max(1) {
            self.depth -= 1;
            let Some(level) = self.levels.get_mut(self.depth) else { return };
            if let (Some(span), Some(open)) = (&self.context.span, &mut level.span) {
                open.end(&span.trace, failure.take().or_else(|| level.failure.take()));
            }
            level.span = None;
            level.failure = None;
            if let (Some(span), Some(id)) = (&mut self.context.span, level.under) {
                (span.id, span.depth) = (id, level.depth);
            }
            if level.changes > 0 {
                let changes = std::mem::take(&mut level.changes);
                self.undo_changes(changes);
            }
        }
    }

    #[cold]
    fn undo_changes(&mut self, changes: u32) {
        for _ in 0..changes {
            match self.undo.pop() {
                Some(Undo::Tenant(tenant)) => self.context.tenant = tenant,
                Some(Undo::Span(span)) => self.context.span = Some(span),
                None => {}
            }
        }
        self.relation = None;
    }

    /// Ends the scope's span, and what was left open inside; `failure` is what ended it, if not its own outcome.
    pub(crate) fn close(&mut self, failure: Option<Box<Error>>) {
        self.pop_level(1, failure.clone());
        let failure = failure.or_else(|| self.failure.take());
        if let (Some(span), Some(mut open)) = (&self.context.span, self.span.take()) {
            open.end(&span.trace, failure);
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
        if self.span.is_some() || self.depth > 0 {
            self.close(Some(Box::new(Error::cancelled())));
        }
    }
}

impl Error {
    pub(crate) fn cancelled() -> Self {
        Self { type_name: "cancelled", message: "dropped before it was done".into() }
    }
}
