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
//! What is rejected has an empty body and never reaches the application, nor layers inside this one.
//!
//! A trace fails with a status of 500 and above, an error of the service, a panic (which passes through), and, as
//! `cancelled`, where the client leaves before the answer's end.
//!
//! Code that spawns tasks takes the context along as everywhere: with `tracium::spawn`, or
//! [`ContextExt`](crate::ContextExt). An upgraded connection (a WebSocket) is such a task.
//!
//! # tonic
//!
//! The tenant is in the call's metadata, which are HTTP's headers. A method's path is its name; but callers may send any,
//! so that only those that there are become names of traces:
//!
//! ```
//! # use tracium::tenant::{self, Policies, Policy, Tenants};
//! # use tracium::tower::TenantLayer;
//! # let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
//! # let tenants = Tenants::new(tenant::header("x-tenant-id"), policies);
//! const METHODS: [&str; 2] = ["/chat.Chat/Say", "/chat.Chat/Tell"];
//!
//! let layer = TenantLayer::new(tenants).trace("chat", |parts| {
//!     METHODS.into_iter().find(|method| *method == parts.path()).map(str::to_owned)
//! });
//! // tonic::transport::Server::builder().layer(layer).add_service(ChatServer::new(Chat)).serve(address)
//! # drop(layer);
//! ```
//!
//! HTTP's status of a gRPC call (`content-type: application/grpc`) is 200 whatever becomes of it, so that `grpc-status`
//! is looked at, in headers and trailers. By OpenTelemetry's rule for servers the trace fails with `UNKNOWN`,
//! `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE` and `DATA_LOSS`; and where the call ends without a
//! status. Its message is not recorded. The number is the trace's metadata `rpc.grpc.status_code`.
//!
//! A gRPC call that is rejected is answered in gRPC's way: 401 is `UNAUTHENTICATED`, 403 `PERMISSION_DENIED`, 400
//! `INVALID_ARGUMENT`, 404 `NOT_FOUND`, 429 `RESOURCE_EXHAUSTED`, 503 `UNAVAILABLE`. gRPC-Web is answered as HTTP.
//!
//! # warp
//!
//! Filters become a service with `warp::service`, which hyper serves. They do not tell which of them
//! answered: the name comes from the path, by the patterns that there are.
//!
//! ```
//! # use tracium::tenant::{self, Policies, Policy, Tenants};
//! # use tracium::tower::TenantLayer;
//! # let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
//! # let tenants = Tenants::new(tenant::header("x-tenant-id"), policies);
//! let layer = TenantLayer::new(tenants).trace("front", |parts| {
//!     let is_chat = parts.path().strip_prefix("/chat/").is_some_and(|room| !room.contains('/'));
//!     is_chat.then(|| "/chat/{room}".to_owned())
//! });
//! // let service = TowerToHyperService::new(layer.layer(warp::service(filters)));
//! // http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
//! # drop(layer);
//! ```
//!
//! # Lambda
//!
//! `lambda_http` calls a service of [`http::Request`] as well. Lambda may stop the process as soon as the answer is given,
//! and sends nothing from then on: what a call recorded has to be sent before, when the answer's last byte is there.
//!
//! ```ignore
//! use lambda_http::{IntoResponse, Request, service_fn, tower::{Layer, ServiceExt}};
//!
//! let chat = layer.layer(service_fn(chat));
//! lambda_http::run(service_fn(move |request: Request| {
//!     let chat = chat.clone();
//!     async move {
//!         let response = match chat.oneshot(request).await {
//!             Ok(response) => Ok(response.into_response().await), // all of its body: the trace ends here
//!             Err(error) => Err(error),
//!         };
//!         tracium::flush_async(Duration::from_secs(2)).await; // at most so long, where the backend is away
//!         response
//!     }
//! }))
//! .await
//! ```

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
