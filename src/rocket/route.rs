use rocket::http::Status;
use rocket::route::{Handler, Outcome};
use rocket::{Data, Response, Route};

use super::body::Streamed;
use crate::edge::{Edge, continue_traces};
use crate::request::Request;
use crate::tenant::{Parts, Tenants};

/// Wraps routes, so that their requests run under their tenants. See the [module](super).
#[derive(Clone, Debug)]
pub struct TenantRoutes {
    edge: Edge,
}

impl TenantRoutes {
    /// Requests run under the tenant that `tenants` finds.
    pub fn new(tenants: Tenants) -> Self {
        Self { edge: Edge::new(tenants) }
    }

    /// Each request that is let in, and not exempt, is a trace of `agent`, named after its method and route, such as
    /// `/chat/<room>`; never after the path itself.
    #[must_use]
    pub fn trace(mut self, agent: impl Into<String>) -> Self {
        self.edge.set_agent(agent);
        self
    }

    continue_traces!();

    /// The same routes, to be mounted in their place.
    pub fn wrap(&self, routes: impl Into<Vec<Route>>) -> Vec<Route> {
        let mut routes: Vec<Route> = routes.into();
        for route in &mut routes {
            route.handler = Box::new(TenantHandler { inner: route.handler.clone(), edge: self.edge.clone() });
        }
        routes
    }
}

#[derive(Clone)]
struct TenantHandler {
    inner: Box<dyn Handler>,
    edge: Edge,
}

#[rocket::async_trait]
impl Handler for TenantHandler {
    async fn handle<'r>(&self, request: &'r rocket::Request<'_>, data: Data<'r>) -> Outcome<'r> {
        let route = |_: &Parts<'_>| request.route().map(|route| route.uri.to_string());
        let admitted = match self.edge.admit(&Parts::of_rocket(request), route) {
            Ok(admitted) => admitted,
            Err(rejection) => return Outcome::Error(Status::new(rejection.status().as_u16())),
        };
        // A panic drops `admitted` on its way to Rocket, which catches it.
        let context = admitted.context().clone();
        match context.scope(self.inner.handle(request, data)).await {
            Outcome::Success(response) => Outcome::Success(answered(response, admitted).await),
            Outcome::Error(status) => {
                admitted.answered(status.code);
                admitted.finish();
                Outcome::Error(status)
            }
            Outcome::Forward(data) => {
                admitted.finish();
                Outcome::Forward(data)
            }
        }
    }
}

/// The response, whose stream, if it has one, ends the request.
async fn answered(mut response: Response<'_>, request: Request) -> Response<'_> {
    request.answered(response.status().code);
    let body = response.body_mut();
    if body.is_none() || request.context().scope(body.size()).await.is_some() {
        request.finish();
        return response;
    }
    let chunk = body.max_chunk_size();
    let body = std::mem::take(body);
    response.set_streamed_body(Streamed::new(body, request));
    response.set_max_chunk_size(chunk);
    response
}
