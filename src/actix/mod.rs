//! Middleware for [actix-web](https://docs.rs/actix-web) 4 that gives each request its tenant.
//!
//! The handler, with its extractors and inner middleware, and the response's body until its last piece, run under the
//! tenant that [`Tenants`] finds. Where asked for, each request is a trace, named after its method and the pattern of the
//! resource that it matched.
//!
//! ```
//! use actix_web::{App, web};
//! use tracium::actix::TenantMiddleware;
//! use tracium::tenant::{self, Policies, Policy, Tenants};
//!
//! // A header is a hint: see `tracium::tenant` for tenants that a token proves.
//! let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
//! let tenants = Tenants::new(tenant::header("x-tenant-id"), policies).exempt("/health");
//! let middleware = TenantMiddleware::new(tenants).trace("chat-api");
//!
//! async fn chat() -> String {
//!     tracium::current_tenant().unwrap().to_string()
//! }
//! let app = App::new().wrap(middleware).route("/chat/{room}", web::get().to(chat));
//! # drop(app);
//! ```
//!
//! What is rejected has an empty body and never reaches the application. actix runs the middleware that was wrapped last
//! first: an authentication whose [`extension`](crate::tenant::extension) names the tenant is wrapped after this one.
//!
//! A trace fails with a status of 500 and above, a panic (which passes through), and, as `cancelled`, where the client
//! leaves before the answer's end. Tasks of the worker's `LocalSet` take the context along by `tracium::spawn_local`, or
//! [`ContextExt`](crate::ContextExt); a WebSocket's is such a task.

mod body;
mod middleware;

pub use self::body::ResponseBody;
pub use self::middleware::{ResponseFuture, TenantMiddleware, TenantService};
#[cfg(doc)]
use crate::tenant::Tenants;
