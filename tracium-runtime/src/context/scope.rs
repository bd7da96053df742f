//! A scope: a context, and what ends with it.

use std::sync::Arc;

use super::Context;
pub(crate) use super::slot::current;
use crate::SpanId;
use crate::tenant::{TenantError, TenantId};
use crate::trace::details::Error;
use crate::trace::{OpenSpan, Relation, TraceCore};

/// The span that work is done under.
#[derive(Clone, Debug)]
pub(crate) struct SpanRef {
    pub(crate) trace: Arc<TraceCore>,
    pub(crate) id: SpanId,
    pub(crate) depth: u32,
}

/// One scope: every trace, span, tenant scope, adapter and spawned task has its own.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) context: Context,
    /// The span that this scope opened, which ends with it.
    pub(crate) span: Option<OpenSpan>,
    /// Why that span failed, as its outcome tells.
    pub(crate) failure: Option<Error>,
    /// This scope's own trace, while nothing has been done in it.
    pub(crate) fresh: Option<Arc<TraceCore>>,
    /// The trace whose first act this scope is.
    pub(crate) first_act_of: Option<Arc<TraceCore>>,
}

impl Scope {
    pub(crate) fn new(context: Context) -> Self {
        Self { context, span: None, failure: None, fresh: None, first_act_of: None }
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

    pub(crate) fn set_tenant(&mut self, tenant: Option<TenantId>) -> Result<(), TenantError> {
        match (&self.context.tenant, &tenant) {
            (Some(current), Some(new)) if current.same(new) => return Ok(()),
            (Some(current), Some(_)) => return Err(TenantError::Conflict { current: current.clone() }),
            _ => {}
        }
        // A trace's own body may name it; clearing must not take the name from what it has done already.
        if let (Some(span), Some(tenant)) = (&self.span, &tenant)
            && span.record.id == span.record.trace.root
            && span.record.trace.relation(Some(tenant)) == Relation::Carried
        {
            span.record.trace.try_name(Some(tenant));
        }
        self.context.tenant = tenant;
        Ok(())
    }

    /// Makes `open` the scope's span.
    pub(crate) fn hold(&mut self, open: OpenSpan) {
        let record = &open.record;
        self.context.span = Some(SpanRef {
            trace: Arc::clone(&record.trace),
            id: record.id,
            depth: record.depth,
        });
        self.span = Some(open);
    }

    /// Ends the scope and its span; `failure` is what ended it, if not its own outcome.
    pub(crate) fn close(mut self, failure: Option<Error>) {
        if let Some(span) = self.span.take() {
            span.close(failure.or_else(|| self.failure.take()));
        }
    }
}

impl Drop for Scope {
    /// A scope that is dropped and not closed is that of a future that never came to its end.
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            span.close(Some(Error::cancelled()));
        }
    }
}

impl Error {
    pub(crate) fn cancelled() -> Self {
        Self { type_name: "cancelled", message: "dropped before it was done".into() }
    }
}
