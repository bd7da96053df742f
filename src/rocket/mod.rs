//! Routes of [Rocket](https://docs.rs/rocket) 0.5 that give each request its tenant.
//!
//! Rocket's fairings cannot wrap a handler, so it is routes that are wrapped, as they are mounted. The handler with its
//! request guards, and a streamed body until its end, run under the tenant that [`Tenants`] finds. Where asked for, each
//! request is a trace, named after its method and the route.
//!
//! ```
//! use rocket::{get, routes};
//! use tracium::rocket::TenantRoutes;
//! use tracium::tenant::{self, Policies, Policy, Tenants};
//!
//! #[get("/chat/<room>")]
//! fn chat(room: &str) -> String {
//!     format!("{room} of {}", tracium::current_tenant().unwrap())
//! }
//!
//! // A header is a hint: see `tracium::tenant` for tenants that a token proves.
//! let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
//! let tenants = Tenants::new(tenant::header("x-tenant-id"), policies);
//! let of_tenants = TenantRoutes::new(tenants).trace("chat-api");
//!
//! let app = rocket::build().mount("/", of_tenants.wrap(routes![chat]));
//! # drop(app);
//! ```
//!
//! What is rejected is answered by the catcher of its status; one for 401 should add `WWW-Authenticate`. Catchers and fairings run outside: they have no tenant. A
//! route that is not wrapped has none either, which makes [`Tenants::exempt`] a thing of whole applications rather than of
//! this one.
//!
//! A trace fails with a status of 500 and above, a panic (which Rocket catches), and, as `cancelled`, where a client
//! leaves a stream. A route that forwards ends its trace, and the one that it forwards to opens the next. The bytes of a
//! body with a known size are there when the handler returns, and the trace ends with it; no code runs for them under
//! the tenant.

mod body;
mod route;
mod view;

pub use self::route::TenantRoutes;
pub(crate) use self::view::View;
pub use self::view::attach;
#[cfg(doc)]
use crate::tenant::Tenants;
