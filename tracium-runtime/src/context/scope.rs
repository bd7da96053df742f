//! A scope: a context, and what ends with it.

use std::cell::RefCell;
use std::sync::Arc;

pub(crate) use super::slot::current;
use super::{Context, open};
use crate::SpanId;
use crate::collect::Ticket;
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
    /// What the innermost level, or the scope itself, opened.
    own: Own,
    /// Spans that open here are plain ones, as long as the trace has been named this often.
    plain: u32,
    /// Whose tenant they have then.
    mark: TenantMark,
    /// This scope opened its trace, and nothing has been done in it.
    fresh: bool,
    /// This scope is the first act of its trace.
    first_act: bool,
    /// How many sync spans are open inside this scope.
    level: u32,
    /// How the tenant stands to the trace's, and how often the trace had been named when that was found out.
    relation: Option<(u32, Relation)>,
    /// Why the innermost level failed, as its outcome tells.
    failure: Option<Box<Error>>,
    /// What the levels changed of the context, to be changed back when they end.
    undo: Vec<(u32, Undo)>,
}

/// No number of namings: whatever opens next has to be looked at.
const NOT_PLAIN: u32 = u32::MAX;

/// The span that a scope or level opened itself, and which ends with it. Its id and depth are those of the context.
#[derive(Clone, Copy, Debug)]
struct Own {
    ticket: Ticket,
    tenant: TenantMark,
    owns_trace: bool,
    is_open: bool,
}

/// What a sync span's guard keeps of the level around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    number: u32,
    depth: u32,
    under: Option<SpanId>,
    own: Own,
}

#[derive(Debug)]
enum Undo {
    Tenant(Option<TenantId>),
    Span(SpanRef),
}

thread_local! {
    #[allow(clippy::vec_box)] // It is the boxes that are kept.
    static POOL: RefCell<Vec<Box<Scope>>> = const { RefCell::new(Vec::new()) };
}

impl Own {
    const NOTHING: Self =
        Self { ticket: Ticket::NONE, tenant: TenantMark::None, owns_trace: false, is_open: false };
}

impl Scope {
    pub(crate) fn new(context: Context) -> Self {
        Self {
            context,
            own: Own::NOTHING,
            plain: NOT_PLAIN,
            mark: TenantMark::None,
            fresh: false,
            first_act: false,
            level: 0,
            relation: None,
            failure: None,
            undo: Vec::new(),
        }
    }

    /// A scope inside the innermost one.
    pub(crate) fn child() -> Box<Self> {
        let mut child = Self::from_pool();
        current(|parent| {
            if let Some(parent) = parent {
                child.context.clone_from(&parent.context);
                child.first_act = std::mem::take(&mut parent.fresh);
            }
        });
        child
    }

    fn from_pool() -> Box<Self> {
        let kept = POOL.try_with(|pool| pool.try_borrow_mut().ok()?.pop()).ok().flatten();
        kept.unwrap_or_else(|| Box::new(Self::new(Context::default())))
    }

    /// Keeps a closed scope for the next one: most are short, and there is one a trace and one an async span.
    pub(crate) fn recycle(mut self: Box<Self>) {
        const MOST: usize = 32;
        self.context = Context::default();
        self.plain = NOT_PLAIN;
        self.fresh = false;
        self.first_act = false;
        self.relation = None;
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
    pub(crate) fn own_span(&self) -> Option<(&Arc<TraceCore>, OpenSpan)> {
        let Own { ticket, tenant, owns_trace, is_open } = self.own;
        let SpanRef { trace, id, depth } = self.context.span.as_ref()?;
        is_open.then_some((trace, OpenSpan { id: *id, ticket, depth: *depth, tenant, owns_trace }))
    }

    /// The span that handles record on, and the tenant that they record for: none, where the scope's tenant is another
    /// than the trace's.
    pub(crate) fn recorded_span(&mut self) -> Option<(&SpanRef, Option<TenantId>)> {
        if self.relation()? == Relation::Foreign {
            return None;
        }
        Some((self.context.span.as_ref()?, self.context.effective_tenant()))
    }

    /// Notes how the innermost scope's work ended.
    pub(crate) fn set_failure(&mut self, failure: Option<Box<Error>>) {
        self.failure = failure;
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
        self.forget();
    }

    /// What was found out of the trace and the tenant does not hold any more.
    fn forget(&mut self) {
        self.relation = None;
        self.plain = NOT_PLAIN;
    }

    /// Before the context changes: in a level, it is noted what it was.
    fn changed(&mut self, undo: impl FnOnce(&mut Context) -> Option<Undo>) {
        if self.level > 0
            && let Some(undo) = undo(&mut self.context)
        {
            self.undo.push((self.level, undo));
        }
    }

    /// The trace of the same function whose first act this scope is, once.
    pub(crate) fn take_first_act(&mut self) -> Option<&Arc<TraceCore>> {
        let first = std::mem::take(&mut self.first_act);
        self.context.span.as_ref().filter(|_| first).map(|span| &span.trace)
    }

    /// Opens a span in this scope; `None` outside any trace.
    #[inline]
    pub(crate) fn open_span(&mut self, meta: &'static SpanMeta) -> Option<()> {
        let span = self.context.span.as_mut()?;
        if span.trace.named() != self.plain {
            return self.open_any_span(meta, None);
        }
        let open = span.trace.open_span(meta, span.id, span.depth + 1, self.mark);
        (span.id, span.depth) = (open.id, open.depth);
        self.own = Own { ticket: open.ticket, tenant: open.tenant, owns_trace: false, is_open: true };
        Some(())
    }

    /// [`open_span`](Self::open_span), of whatever tenant, and with what is known at run time.
    #[cold]
    pub(crate) fn open_any_span(
        &mut self,
        meta: &'static SpanMeta,
        details: Option<Box<SpanDetails>>,
    ) -> Option<()> {
        let is_same = self.relation()? == Relation::Same;
        let is_plain = details.is_none();
        let (trace, open) = open::span_in(&self.context, meta, details)?;
        let named = trace.named();
        self.hold(&trace, open);
        // The next one is like this one, unless the tenant changes or the trace is named.
        if is_same && is_plain {
            self.plain = named;
            self.mark = self.context.mark();
        }
        Some(())
    }

    /// How the scope's tenant stands to its trace's; `None` outside any trace.
    fn relation(&mut self) -> Option<Relation> {
        let trace = &self.context.span.as_ref()?.trace;
        let named = trace.named();
        if let Some((then, relation)) = self.relation
            && then == named
        {
            return Some(relation);
        }
        let relation = trace.relation(self.context.effective_tenant().as_ref());
        self.relation = Some((named, relation));
        Some(relation)
    }

    /// Makes `open`, a span of `trace`, the scope's.
    pub(crate) fn hold(&mut self, trace: &Arc<TraceCore>, open: OpenSpan) {
        let OpenSpan { id, ticket, depth, tenant, owns_trace } = open;
        match &mut self.context.span {
            Some(span) if Arc::ptr_eq(&span.trace, trace) => (span.id, span.depth) = (id, depth),
            _ => {
                self.changed(|context| context.span.take().map(Undo::Span));
                self.context.span = Some(SpanRef { trace: Arc::clone(trace), id, depth });
                self.forget();
            }
        }
        self.own = Own { ticket, tenant, owns_trace, is_open: true };
    }

    /// Makes `trace`, which was just opened, the scope's.
    pub(crate) fn hold_fresh(&mut self, trace: Arc<TraceCore>, open: OpenSpan) {
        let OpenSpan { id, ticket, depth, tenant, owns_trace } = open;
        self.forget();
        // A root's tenant is the one that the context had when it opened.
        self.relation = Some((trace.named(), Relation::Same));
        self.changed(|context| context.span.take().map(Undo::Span));
        self.context.span = Some(SpanRef { trace, id, depth });
        self.own = Own { ticket, tenant, owns_trace, is_open: true };
        self.fresh = true;
    }

    /// Begins a sync span's level.
    #[inline]
    pub(crate) fn push_level(&mut self) -> Level {
        let own = std::mem::replace(&mut self.own, Own::NOTHING);
        self.fresh = false;
        self.level += 1;
        let (under, depth) = self.context.span.as_ref().map_or((None, 0), |span| (Some(span.id), span.depth));
        Level { number: self.level, depth, under, own }
    }

    /// Ends a sync span's level, and its span.
    #[inline]
    pub(crate) fn pop_level(&mut self, level: &Level) {
        self.end_own(None);
        self.restore(level);
    }

    /// [`pop_level`](Self::pop_level) of a level that failed.
    #[cold]
    pub(crate) fn pop_failed_level(&mut self, level: &Level, failure: Box<Error>) {
        self.end_own(Some(failure));
        self.restore(level);
    }

    #[inline]
    fn restore(&mut self, level: &Level) {
        if !self.undo.is_empty() {
            self.undo_changes(level.number);
        }
        self.level = level.number - 1;
        self.own = level.own;
        if let (Some(span), Some(id)) = (&mut self.context.span, level.under) {
            (span.id, span.depth) = (id, level.depth);
        }
    }

    #[cold]
    fn undo_changes(&mut self, number: u32) {
        while let Some((_, undo)) = self.undo.pop_if(|(of, _)| *of >= number) {
            match undo {
                Undo::Tenant(tenant) => self.context.tenant = tenant,
                Undo::Span(span) => self.context.span = Some(span),
            }
            self.forget();
        }
    }

    #[inline]
    fn end_own(&mut self, failure: Option<Box<Error>>) {
        let failure = if self.failure.is_some() { failure.or(self.failure.take()) } else { failure };
        if let Some((trace, open)) = self.own_span() {
            open.end(trace, failure);
            self.own.is_open = false;
        }
    }

    /// Ends the scope's span; `failure` is what ended it, if not its own outcome.
    pub(crate) fn close(&mut self, failure: Option<Box<Error>>) {
        self.end_own(failure);
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
        if self.own.is_open {
            self.close(Some(Box::new(Error::cancelled())));
        }
    }
}

impl Error {
    pub(crate) fn cancelled() -> Self {
        Self { type_name: "cancelled", message: "dropped before it was done".into() }
    }
}
