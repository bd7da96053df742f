use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::TenantService;
use crate::edge::{Edge, continue_traces};
use crate::tenant::{Parts, Tenants};

type Route = dyn Fn(&Parts<'_>) -> Option<String> + Send + Sync;

/// Puts a [`TenantService`] around a service. See the [module](super).
#[derive(Clone)]
pub struct TenantLayer {
    edge: Edge,
    route: Option<Arc<Route>>,
}

impl TenantLayer {
    /// Requests run under the tenant that `tenants` finds.
    pub fn new(tenants: Tenants) -> Self {
        Self { edge: Edge::new(tenants), route: None }
    }

    /// Each request that is let in, and not exempt, is a trace of `agent`, named after its method and `route`.
    ///
    /// `route` gives the pattern that the request matched, such as `/chat/{room}`; never the path itself, which has ids
    /// in it and would be another name for each. Without one the trace has the agent's name.
    #[must_use]
    pub fn trace(
        mut self,
        agent: impl Into<String>,
        route: impl Fn(&Parts<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.edge.set_agent(agent);
        self.route = Some(Arc::new(route));
        self
    }

    continue_traces!();

    pub(super) fn edge(&self) -> &Edge {
        &self.edge
    }

    pub(super) fn route(&self, parts: &Parts<'_>) -> Option<String> {
        self.route.as_ref().and_then(|route| route(parts))
    }
}

impl<S> Layer<S> for TenantLayer {
    type Service = TenantService<S>;

    fn layer(&self, inner: S) -> TenantService<S> {
        TenantService::new(inner, self.clone())
    }
}

impl fmt::Debug for TenantLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantLayer").field("edge", &self.edge).finish_non_exhaustive()
    }
}
