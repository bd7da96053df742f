//! Traces, spans, tokens and tenants for LLM services: annotate a function, see what each tenant's agents did.
//!
//! ```
//! #[tracium::trace(agent = "support-bot", model = "gpt-4o", tags = ["prod"])]
//! #[tracium::tenant_scope(from = tenant)]
//! async fn answer(tenant: &str, question: &str) -> Result<String, std::io::Error> {
//!     let documents = search(question).await?;
//!     complete(&documents).await
//! }
//!
//! #[tracium::retrieval(capture(question), output)]
//! async fn search(question: &str) -> Result<Vec<String>, std::io::Error> {
//!     Ok(vec![format!("all about {question}")])
//! }
//!
//! #[tracium::llm]
//! async fn complete(documents: &[String]) -> Result<String, std::io::Error> {
//!     let reply = documents.join("\n"); // your model's client goes here
//!     tracium::current_span().record_output(&reply).set_token_usage(tracium::TokenUsage::new(812, 64));
//!     Ok(reply)
//! }
//!
//! # #[cfg(feature = "collect")]
//! # let recorder = tracium::testing::Recorder::install();
//! # assert_eq!(tracium::block_on(answer("acme", "tea")).unwrap(), "all about tea");
//! # #[cfg(feature = "collect")] {
//! # assert_eq!(recorder.traces()[0].tenant.as_ref().unwrap(), "acme");
//! # assert_eq!(recorder.spans()[0].input, Some(serde_json::json!({"question": "tea"})));
//! # assert_eq!(recorder.spans()[1].usage, Some(tracium::TokenUsage::new(812, 64)));
//! # }
//! ```
//!
//! An application puts [`#[tracium::main]`](macro@main) on its `main`, above the runtime's attribute; it starts the
//! export as the environment says (see [`init()`]) and flushes at the end. With nothing set, traces are printed.
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | recording calls | [`trace`](macro@trace), [`span`](macro@span), [`llm`](macro@llm), [`tool`](macro@tool), [`retrieval`](macro@retrieval) |
//! | saying more of them | [`current_span`], [`current_trace`], [`TokenUsage`] |
//! | recording without attributes | [`start_trace`], [`start_span`] |
//! | calls of models, as an HTTP client sees them | the module `llm`; without, [`SpanHandle::record_response`] |
//! | tenants | [`tenant_scope`](macro@tenant_scope), [`TenantId`], [`set_tenant`], [`current_tenant`], [`ResolveTenant`] |
//! | taking the context along | [`Context`], [`ContextExt`], [`thread::spawn`], [`block_on`]; with the feature `tokio`, `spawn`, `spawn_blocking` and `spawn_local`; with `rayon`, `tracium::rayon` |
//! | services | the modules `tenant`, `tower`, `actix`, `rocket`, `apalis`, `reqwest_middleware`, by their features |
//! | libraries that use `tracing`, and lines of logs | `layer()` and the modules `layer` and `logs`, by the feature `tracing` |
//! | calls of models, seen without being asked | the modules `reqwest_middleware`, `async_openai`, `rig`, `bedrock`, by their features |
//! | calls of clients that have no place for an adapter, such as genai and langchain-rust | [`SpanHandle::record_response`] |
//! | settings | [`init()`]; by code `builder`, with `Sampler` and `Destination` |
//! | contexts in headers | [`Context::inject`], [`Context::extract`], [`Injector`], [`Extractor`] |
//! | delivery and its accounting | `flush`, `flush_async`, `shutdown`, `stats`, `usage` |
//! | tests | `testing::Recorder` |
//!
//! # Tenants
//!
//! Everything runs under one tenant or under none. A scope (a trace, a span, a `tenant_scope`, a future or closure under
//! a [`Context`]) takes its tenant from the scope around it or names its own, and what it sets ends with it. Work that
//! leaves the scope without its context has no tenant; it never has that of whoever ran on its thread before. None of
//! this depends on whether anything is exported.
//!
//! # Spawned work
//!
//! In the body of an annotated function, what these calls are given keeps trace and tenant by itself; `propagate = false`
//! turns that off:
//!
//! | recognized, where it is spelled out like this | |
//! |---|---|
//! | `tokio::spawn`, `tokio::task::{spawn, spawn_local, spawn_blocking}` | also with `::` before |
//! | `.spawn`, `.spawn_local`, `.spawn_blocking` on a `JoinSet` | that is a local or an argument and declared as one |
//! | `std::thread::spawn` | |
//! | `rayon::spawn`, `rayon::join`, `rayon::scope` and `.spawn` on what its closure is given | while the thread waits it runs under no tenant, as it runs others' jobs then |
//!
//! They are recognized in closures and blocks of the body too, and in `join!`, `try_join!`, `select!` and `vec!`.
//!
//! | not recognized | use |
//! |---|---|
//! | imported names: `spawn(..)`, `task::spawn(..)`, `thread::spawn(..)` | the full path, or `tracium::spawn`, [`thread::spawn`] |
//! | `Builder::spawn`, `std::thread::scope`, `Handle::spawn`, a `JoinSet` in a field, parallel iterators, other runtimes and pools | [`Context`], [`ContextExt`] |
//! | other macros, functions and other items in the body | attributes of their own |
//! | arguments of `get_or_init`, `get_or_try_init`, `call_once`, `call_once_force`, `LazyLock::new`, `LazyCell::new` | nothing: they run once for all tenants |
//!
//! Where the argument is no future or closure after all, since the path is another's, it is left as it is.
//!
//! One thing cannot be seen from inside a scope: sync code that drives the work of others, such as a runtime's own
//! `block_on`, runs that work under the caller's tenant. Use [`block_on`] or [`Context::unscoped`] there.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `console` (default) | traces as trees on standard error |
//! | `rest` (default) | export to Tracium's REST API |
//! | `otlp` (default) | export to OpenTelemetry backends, Tracium's open-source one among them |
//! | `signal` | `Builder::flush_on_terminate`: on `SIGTERM`, what ended is sent |
//! | `tokio` (default) | `spawn`, `spawn_blocking`, `spawn_local` |
//! | `rayon` | `rayon::join`, `rayon::scope`, `rayon::spawn` |
//! | `http` | contexts in `http::HeaderMap` |
//! | `tenant` | tenants of requests: the module `tenant` |
//! | `jwt` | tenants from claims of tokens |
//! | `tower` | a layer for axum, tonic, warp and other tower services |
//! | `actix` | middleware for actix-web 4 |
//! | `rocket` | routes of Rocket 0.5 |
//! | `apalis` | jobs of apalis 1.0 |
//! | `tracing` | `layer()`: spans of libraries instrumented with `tracing`; `logs`: the context in lines of logs |
//! | `reqwest-middleware` | calls of models by clients of reqwest-middleware; the context in requests on their way out |
//! | `async-openai` | calls of models by async-openai 0.43 |
//! | `rig` | calls of models by rig 0.44 to 0.46 |
//! | `bedrock` | calls of models by the AWS SDK's Bedrock client |
//! | `collect` | collection alone: the exporter `discard` and `testing::Recorder`; every exporter turns it on |
//!
//! A library depends on this crate with `default-features = false`: attributes, tenants and context work in full, and
//! recording does nothing until an application turns collection on.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "actix")]
#[cfg_attr(docsrs, doc(cfg(feature = "actix")))]
pub mod actix;
#[cfg(feature = "apalis")]
#[cfg_attr(docsrs, doc(cfg(feature = "apalis")))]
pub mod apalis;
#[cfg(feature = "async-openai")]
#[cfg_attr(docsrs, doc(cfg(feature = "async-openai")))]
pub mod async_openai;
#[cfg(feature = "bedrock")]
#[cfg_attr(docsrs, doc(cfg(feature = "bedrock")))]
pub mod bedrock;
#[cfg(any(feature = "async-openai", feature = "bedrock", feature = "reqwest-middleware", feature = "rig"))]
mod calls;
#[cfg(any(feature = "actix", feature = "rocket", feature = "tower"))]
mod edge;
#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
pub mod layer;
#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
pub mod logs;
#[cfg(feature = "rayon")]
pub mod rayon;
#[cfg(any(feature = "actix", feature = "apalis", feature = "rocket", feature = "tower"))]
mod request;
#[cfg(feature = "reqwest-middleware")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest-middleware")))]
pub mod reqwest_middleware;
#[cfg(feature = "rig")]
#[cfg_attr(docsrs, doc(cfg(feature = "rig")))]
pub mod rig;
#[cfg(feature = "rocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "rocket")))]
pub mod rocket;
#[cfg(feature = "tenant")]
#[cfg_attr(docsrs, doc(cfg(feature = "tenant")))]
pub mod tenant;
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub mod tower;

#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
pub use self::layer::{layer, layer_with};
pub use tracium_macros::{llm, main, retrieval, skip, span, tenant_scope, tool, trace};
#[doc(hidden)]
pub use tracium_runtime::private as __private;
pub use tracium_runtime::*;

#[cfg(all(doctest, feature = "console", feature = "otlp", feature = "rest", feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
