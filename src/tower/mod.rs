//! A [tower](https://docs.rs/tower) layer that gives each request its tenant: for axum, tonic, warp, `lambda_http` and
//! every other service over [`http::Request`] and [`http::Response`].
//!
//! The call, its future and the response's body, until its last frame, run under the tenant that [`Tenants`] finds; so a
//! stream of events has it too. Where asked for, each request is a trace, which the spans of the handler are part of.
//!
//! ```
//! use axum::extract::MatchedPath;
//! use axum::{Router, routing::get};
//! use tracium::tenant::{self, Policies, Policy, Tenants};
//! use tracium::tower::TenantLayer;
//!
//! // A header is a hint: see `tracium::tenant` for tenants that a token proves.
//! let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
//! let tenants = Tenants::new(tenant::header("x-tenant-id"), policies).exempt("/health");
//!
//! let layer = TenantLayer::new(tenants)
//!     .trace("chat-api", |parts| parts.extension(|path: &MatchedPath| path.as_str().to_owned()));
//!
//! let app: Router = Router::new()
//!     .route("/chat/{room}", get(|| async { tracium::current_tenant().unwrap().to_string() }))
//!     .layer(layer); // after the routes: axum knows the matched path then
//! ```
//!
//! What is rejected has an empty body and never reaches the application, nor layers inside this one. A gRPC client reads
//! 401 as `UNAUTHENTICATED` and 403 as `PERMISSION_DENIED`.
//!
//! A trace fails with a status of 500 and above, an error of the service, a panic (which passes through), and, as
//! `cancelled`, where the client leaves before the answer's end. A gRPC status in trailers is not looked at.
//!
//! Code that spawns tasks takes the context along as everywhere: with `tracium::spawn`, or
//! [`ContextExt`](crate::ContextExt). An upgraded connection (a WebSocket) is such a task.

mod body;
mod future;
mod grpc;
mod layer;
mod service;

pub use self::body::ResponseBody;
pub use self::future::ResponseFuture;
pub use self::layer::TenantLayer;
pub use self::service::TenantService;
#[cfg(doc)]
use crate::tenant::Tenants;
