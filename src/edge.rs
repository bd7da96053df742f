//! What stands before an application: which requests are let in, for whom, and in which trace.

use std::sync::Arc;

use crate::request::Request;
use crate::tenant::{Decision, Parts, Rejection, Tenants};
use crate::{Context, start_trace};

/// What all of a layer's requests have in common.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    tenants: Tenants,
    /// The agent of the trace that each request opens.
    agent: Option<Arc<str>>,
    /// Whether callers say what trace a request is part of.
    continues: bool,
}

impl Edge {
    pub(crate) fn new(tenants: Tenants) -> Self {
        Self { tenants, agent: None, continues: false }
    }

    pub(crate) fn set_agent(&mut self, agent: impl Into<String>) {
        let agent: String = agent.into();
        self.agent = Some(agent.into());
    }

    pub(crate) fn continue_traces(&mut self) {
        self.continues = true;
    }

    /// Lets a request in, or says how it is to be answered. `route` is asked for only where a trace opens.
    pub(crate) fn admit(
        &self,
        parts: &Parts<'_>,
        route: impl FnOnce(&Parts<'_>) -> Option<String>,
    ) -> Result<Request, Rejection> {
        let (tenant, recorded) = match self.tenants.decide(parts) {
            Decision::Tenant(tenant) => (Some(tenant), true),
            Decision::Anonymous => (None, true),
            Decision::Exempt => (None, false),
            Decision::Reject(rejection) => return Err(rejection),
        };
        // Whatever tenant the caller's headers name, it is the resolved one that counts.
        let context = if self.continues { Context::extract(parts) } else { Context::root() }.with_tenant(tenant);
        let Some(agent) = self.agent.as_deref().filter(|_| recorded) else {
            return Ok(Request::open(context, None));
        };
        let mut trace = start_trace(agent).own_metadata("http.request.method", parts.method());
        if let Some(route) = route(parts) {
            trace = trace.own_metadata("http.route", &route).name([parts.method(), " ", &route].concat());
        }
        Ok(Request::open(context, Some(trace)))
    }
}

/// The setting of that name, which is one for all layers. They have their [`Edge`] in the field `edge`.
macro_rules! continue_traces {
    () => {
        /// Goes on with the trace of the caller, from `traceparent` and `baggage`.
        ///
        /// For services that only your own services reach: whoever sends requests could choose any trace. The tenant stays
        /// the one that is resolved; where the caller's trace belongs to another, the request gets a trace of its own.
        #[must_use]
        pub fn continue_traces(mut self) -> Self {
            self.edge.continue_traces();
            self
        }
    };
}
pub(crate) use continue_traces;
