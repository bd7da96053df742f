//! A scope: a context, and what ends with it.

use std::cell::RefCell;
use std::sync::Arc;

use super::bridged::Note;
use super::level::{Level, PlainBits};
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
    /// The nearest span of kind `llm` of the trace, itself included, that was opened in this process.
    pub(crate) llm: Option<SpanId>,
}

/// One scope: every trace, span, tenant scope, adapter and spawned task has its own.
///
/// A sync span inside a scope is one as well, but has no `Scope` of its own: it is a level of the one around it.
#[derive(Debug)]
pub(crate) struct Scope {
    /// What holds in the innermost level; but for the span's id and depth, which [`synced`](Self::synced) brings up to it.
    pub(super) context: Context,
    /// Where the scope itself stands, and then the sync spans inside it, up to the innermost, `level`. They are written
    /// where they lie and left there to be used again: what is moved in pieces makes the processor wait for each.
    pub(super) levels: Vec<Level>,
    pub(super) level: usize,
    /// Spans that open here are plain ones, as long as the trace has been named this often: of the trace's tenant or of
    /// none, into the collector, which took the trace.
    pub(super) plain: u32,
    pub(super) plain_bits: PlainBits,
    /// The call of a model that the scope was made in.
    llm: Option<SpanId>,
    /// A level failed, or changed the context: its end has more to do.
    pub(super) marked: bool,
    /// This scope opened its trace, and nothing has been done in it.
    fresh: bool,
    /// This scope is the first act of its trace.
    first_act: bool,
    /// How the tenant stands to the trace's, and how often the trace had been named when that was found out.
    relation: Option<(u32, Relation)>,
    /// Why the innermost level failed, as its outcome tells.
    failure: Option<Box<Error>>,
    /// What the levels changed of the context, to be changed back when they end.
    undo: Vec<(usize, Undo)>,
    /// Spans of another library that were entered here.
    pub(super) bridged: Vec<Note>,
}

/// No number of namings: whatever opens next has to be looked at.
const NOT_PLAIN: u32 = u32::MAX;
/// More sync spans inside each other than fit on any stack, and so few that a depth has room for them.
const MOST_LEVELS: u32 = Level::DEEPEST / 2;

#[derive(Debug)]
enum Undo {
    Tenant(Option<TenantId>),
    Trace(Arc<TraceCore>),
}

thread_local! {
    #[allow(clippy::vec_box)] // It is the boxes that are kept.
    static POOL: RefCell<Vec<Box<Scope>>> = const { RefCell::new(Vec::new()) };
}

impl Scope {
    /// A scope with `context`, to be entered.
    pub(crate) fn new(context: Context) -> Box<Self> {
        let mut scope = Self::from_pool();
        scope.context = context;
        scope.rebase();
        scope
    }

    fn empty() -> Self {
        Self {
            context: Context::default(),
            levels: vec![Level::OUTSIDE],
            level: 0,
            plain: NOT_PLAIN,
            plain_bits: PlainBits::new(TenantMark::None),
            llm: None,
            marked: false,
            fresh: false,
            first_act: false,
            relation: None,
            failure: None,
            undo: Vec::new(),
            bridged: Vec::new(),
        }
    }

    /// Takes its own place from the context.
    fn rebase(&mut self) {
        let span = self.context.span.as_ref();
        self.llm = span.and_then(|span| span.llm);
        let base = span.map_or(Level::OUTSIDE, |span| Level::under(Some(span.id), span.depth));
        *self.top_mut() = base.in_llm(self.llm.is_some());
    }

    /// A scope inside the innermost one.
    pub(crate) fn child() -> Box<Self> {
        let mut child = Self::from_pool();
        current(|parent| {
            if let Some(parent) = parent {
                child.first_act = std::mem::take(&mut parent.fresh);
                child.context.clone_from(parent.synced());
                child.rebase();
            }
        });
        child
    }

    fn from_pool() -> Box<Self> {
        let kept = POOL.try_with(|pool| pool.try_borrow_mut().ok()?.pop()).ok().flatten();
        kept.unwrap_or_else(|| Box::new(Self::empty()))
    }

    /// Ends what was left open, and keeps the scope for the next one: most are short, and there is one a trace and one
    /// an async span.
    pub(crate) fn retire(mut self: Box<Self>) {
        const MOST: usize = 32;
        const MOST_KEPT: usize = 256;
        self.cancel();
        self.context = Context::default();
        self.rebase();
        // A deep recursion was an exception: its room is given back.
        if self.levels.len() > MOST_KEPT {
            self.levels.truncate(MOST_KEPT);
            self.levels.shrink_to_fit();
        }
        self.first_act = false;
        self.bridged.clear();
        self.forget();
        // Past the thread's end there is no pool, and the scope is freed.
        let _ = POOL.try_with(|pool| {
            if let Ok(mut pool) = pool.try_borrow_mut()
                && pool.len() < MOST
            {
                pool.push(self);
            }
        });
    }

    pub(super) fn top(&self) -> &Level {
        static OUTSIDE: Level = Level::OUTSIDE;
        self.levels.get(self.level).unwrap_or(&OUTSIDE)
    }

    pub(super) fn top_mut(&mut self) -> &mut Level {
        if self.level >= self.levels.len() {
            self.levels.resize(self.level + 1, Level::OUTSIDE);
        }
        &mut self.levels[self.level]
    }

    /// The context as it holds in the innermost level, beneath what is entered there.
    pub(crate) fn synced(&mut self) -> &mut Context {
        if !self.bridged.is_empty()
            && let Some(entered) = self.entered()
        {
            return &mut self.bridged[entered].context;
        }
        let (id, depth) = (self.top().id, self.top().depth());
        let llm = if self.top().is_in_llm() { self.nearest_llm() } else { None };
        if let (Some(span), Some(id)) = (&mut self.context.span, id) {
            (span.id, span.depth, span.llm) = (id, depth, llm);
        }
        &mut self.context
    }

    /// The call of a model that the innermost level is in, where it is in one.
    fn nearest_llm(&self) -> Option<SpanId> {
        for at in (0..=self.level).rev() {
            let Some(level) = self.levels.get(at).filter(|level| level.is_in_llm()) else {
                return self.entered_llm(at);
            };
            if let Some(llm) = self.entered_llm(at).or(level.llm()) {
                return Some(llm);
            }
        }
        self.llm
    }

    pub(crate) fn tenant(&self) -> Option<&TenantId> {
        self.context.tenant.as_ref()
    }

    pub(crate) fn is_in_trace(&self) -> bool {
        self.context.span.is_some()
    }

    /// The span that this scope, or its innermost level, opened.
    pub(crate) fn own_span(&self) -> Option<(&Arc<TraceCore>, OpenSpan)> {
        Some((&self.context.span.as_ref()?.trace, self.top().open()?))
    }

    pub(crate) fn owns_span(&self) -> bool {
        self.top().is_open()
    }

    /// The span that handles record on, and the tenant that they record for: none, where the scope's tenant is another
    /// than the trace's.
    pub(crate) fn recorded_span(&mut self) -> Option<(&SpanRef, Option<TenantId>)> {
        // What is entered here is of the scope's tenant.
        if self.relation()? == Relation::Foreign && self.entered().is_none() {
            return None;
        }
        let context = self.synced();
        Some((context.span.as_ref()?, context.effective_tenant()))
    }

    /// Notes how the innermost scope's work ended.
    pub(crate) fn set_failure(&mut self, failure: Option<Box<Error>>) {
        self.marked |= failure.is_some();
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
        if self.level > 0 {
            let before = self.context.tenant.clone();
            self.undo.push((self.level, Undo::Tenant(before)));
            self.marked = true;
        }
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

    /// The trace of the same function whose first act this scope is, once.
    pub(crate) fn take_first_act(&mut self) -> Option<&Arc<TraceCore>> {
        let first = std::mem::take(&mut self.first_act);
        self.context.span.as_ref().filter(|_| first).map(|span| &span.trace)
    }

    /// Opens a span in this scope; `None` outside any trace.
    pub(crate) fn open_span(&mut self, meta: &'static SpanMeta, details: Option<Box<SpanDetails>>) -> Option<()> {
        let relation = self.relation()?;
        let found = self.relation;
        let (trace, open) = open::span_in(self.synced(), meta, details)?;
        self.hold(&trace, open);
        // The next one is like this one, unless the tenant changes or the trace is named.
        if let (Relation::Same, Some((named, _))) = (relation, found)
            && trace.is_collected()
            && open.depth < MOST_LEVELS
            && self.bridged.is_empty()
        {
            self.plain = named;
            self.plain_bits = PlainBits::new(self.context.mark());
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
        let same = self.context.span.as_ref().is_some_and(|span| Arc::ptr_eq(&span.trace, trace));
        if !same {
            self.change_trace(Arc::clone(trace), open);
        }
        let is_in_llm = same && self.top().is_in_llm();
        *self.top_mut() = Level::of(open).in_llm(is_in_llm);
    }

    /// Makes `trace`, which was just opened, the scope's.
    #[inline(always)]
    pub(crate) fn hold_fresh(&mut self, trace: Arc<TraceCore>, open: OpenSpan) {
        // A root's tenant is the one that the context had when it opened.
        let relation = Some((trace.named(), Relation::Same));
        self.change_trace(trace, open);
        self.relation = relation;
        self.fresh = true;
        *self.top_mut() = Level::of(open);
    }

    #[inline(always)]
    fn change_trace(&mut self, trace: Arc<TraceCore>, OpenSpan { id, depth, .. }: OpenSpan) {
        self.change_trace_to(SpanRef { trace, id, depth, llm: None });
    }

    #[inline(always)]
    pub(super) fn change_trace_to(&mut self, span: SpanRef) {
        self.forget();
        let before = self.context.span.replace(span);
        if let Some(before) = before
            && self.level > 0
        {
            self.undo.push((self.level, Undo::Trace(before.trace)));
            self.marked = true;
        }
    }

    /// Begins a sync span's level; gives its number, from 1, to end it by.
    pub(crate) fn push_level(&mut self) -> usize {
        self.fresh = false;
        let entered = if self.bridged.is_empty() { None } else { self.entered() };
        if let Some(entered) = entered {
            self.push_level_beneath(entered);
        } else {
            let Level { id, .. } = *self.top();
            let (depth, is_in_llm) = (self.top().depth(), self.top().is_in_llm());
            self.level += 1;
            *self.top_mut() = Level::under(id, depth).in_llm(is_in_llm);
        }
        // One is kept free for a plain level, which does not stop to ask for room.
        if self.level + 1 == self.levels.len() && self.level < MOST_LEVELS as usize {
            self.levels.push(Level::OUTSIDE);
        }
        self.level
    }

    /// Ends the sync span's level of that number, and its span; and what was left open inside it.
    #[cold]
    #[inline(never)]
    pub(crate) fn pop_levels(&mut self, number: usize, mut failure: Option<Box<Error>>) {
        while self.level >= number.max(1) {
            self.end_own(failure.take());
            while let Some((_, undo)) = self.undo.pop_if(|(of, _)| *of >= self.level) {
                match (undo, &mut self.context) {
                    (Undo::Tenant(tenant), context) => context.tenant = tenant,
                    (Undo::Trace(trace), Context { span: Some(span), .. }) => span.trace = trace,
                    (Undo::Trace(_), _) => {}
                }
                self.forget();
            }
            self.level -= 1;
        }
        self.forget_entered();
        self.marked = !self.undo.is_empty() || !self.bridged.is_empty();
    }

    /// A span was entered here: what opens next has to be looked at, and so has the level's end.
    pub(super) fn note_bridged(&mut self) {
        self.plain = NOT_PLAIN;
        self.marked = true;
    }

    /// Makes a scope of its own of the innermost level, which has that number.
    pub(crate) fn detach(&mut self, number: usize) -> Box<Self> {
        self.pop_levels(number + 1, None);
        let mut scope = Self::new(self.synced().clone());
        (scope.relation, scope.plain, scope.plain_bits) = (self.relation, self.plain, self.plain_bits);
        *scope.top_mut() = *self.top();
        // Its span goes on there: here it does not end.
        self.top_mut().close();
        self.pop_levels(number, None);
        scope
    }

    fn end_own(&mut self, failure: Option<Box<Error>>) {
        let own = self.failure.take();
        if let Some((trace, open)) = self.own_span() {
            open.end(trace, failure.or(own));
            self.top_mut().close();
        }
    }

    /// A scope that is let go of and was not closed is that of a future that never came to its end.
    fn cancel(&mut self) {
        if self.level > 0 || self.top().is_open() {
            self.close(Some(Box::new(Error::cancelled())));
        }
    }

    /// Ends the scope's span; `failure` is what ended it, if not its own outcome.
    pub(crate) fn close(&mut self, failure: Option<Box<Error>>) {
        if self.level > 0 {
            self.pop_levels(1, None);
        }
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
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Error {
    pub(crate) fn cancelled() -> Self {
        Self { type_name: "cancelled".into(), message: "dropped before it was done".into() }
    }
}
