//! The attributes of [tracium](https://tracium.ai); use them through the `tracium` crate.
//!
//! | attribute | what it does |
//! |---|---|
//! | [`trace`](macro@trace) | a call is one run of an agent |
//! | [`span`](macro@span), [`llm`](macro@llm), [`tool`](macro@tool), [`retrieval`](macro@retrieval) | a call is one step of it |
//! | [`tenant_scope`](macro@tenant_scope) | a call works for one tenant |
//! | [`main`](macro@main) | the program starts and flushes the collection |
//! | [`skip`](macro@skip) | leaves a method of a marked `impl` block out |
//!
//! They go on functions of every kind: sync, `async`, methods, returning `impl Future`, `impl Stream` or boxed ones, under
//! `async_trait`. On an `impl` block they mark each of its functions but `const` ones. The signature stays as it is,
//! and so does the function's meaning: an argument is dropped when it was, a returned future is as `Send` as it was.

mod args;
mod borrow;
mod check;
mod errors;
mod expand;
mod function;
mod impl_block;
mod item;
mod layer;
mod main_fn;
mod nearest;
mod params;
mod returns;
mod spawned;

use args::Kind;
use proc_macro::TokenStream;

/// Makes each call of the function a trace: one run of an agent.
///
/// ```ignore
/// #[tracium::trace(agent = "support-bot", model = "gpt-4o", tags = ["prod"], capture(question), output)]
/// async fn answer(question: &str) -> Result<String, Error> {
///     let documents = search(question).await?;
///     complete(question, &documents).await
/// }
/// ```
///
/// Inside another trace it is a child span of kind `agent` of that one, unless `new_trace` is given.
///
/// # Options
/// | option | what |
/// |---|---|
/// | `agent = ..` | required: 1 to 256 letters, digits, spaces, `-`, `_`, `.` |
/// | `name = ..` | up to 512 characters; else the function's name |
/// | `model = ..` | up to 256 characters; spans without a model carry it |
/// | `version = ..`, `workspace = ..` | up to 128 and up to 256 characters |
/// | `tags = [..]` | up to 100, each of 1 to 128 characters |
/// | `metadata(key = value, "dotted.key" = value)` | anything that implements `Serialize` |
/// | `tenant = ..`, `session = ..`, `user = ..` | for whom it works |
/// | `trace_id = ..` | an id from outside |
/// | `new_trace` | a trace of its own even inside another |
///
/// and those that [`span`](macro@span) has too: `capture(..)`, `input`, `output`, `bind`, `propagate`, `crate`.
///
/// A string literal is checked while compiling. Any other expression may use the arguments by reference, and is
/// evaluated only when the trace is recorded (`tenant` always).
///
/// # Errors
/// A call that returns `Err` of any `Result` fails the trace with the error's message and its sources; so does a
/// panic, and an async call that is dropped before its end.
#[proc_macro_attribute]
pub fn trace(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Trace, &args.into(), &item.into()).into()
}

/// Makes each call of the function a span: one step of the trace around it. Outside any trace the function just runs.
///
/// ```ignore
/// #[tracium::span(kind = "embedding", model = "text-embedding-3-small", capture(text), bind = span)]
/// async fn embed(client: &Client, text: &str) -> Result<Vec<f32>, Error> {
///     let reply = client.embed(text).await?;
///     span.set_token_usage(TokenUsage::new(reply.tokens, 0));
///     Ok(reply.vector)
/// }
/// ```
///
/// On an `impl` block it marks each function of it:
///
/// ```ignore
/// #[tracium::span(kind = "tool")]
/// impl Tools {
///     pub async fn weather(&self, city: &str) -> Result<Weather, Error> { .. }
///
///     #[tracium::skip]
///     fn url(&self, city: &str) -> String { .. }
/// }
/// ```
///
/// # Options
/// | option | what |
/// |---|---|
/// | `kind = ..` | `agent`, `llm`, `tool`, `retrieval`, `embedding`, `plan`, `action`, `workflow`, or one of your own of up to 128 characters; `workflow` when not given |
/// | `name = ..` | up to 512 characters; else the function's name |
/// | `model = ..` | up to 256 characters; else the trace's |
/// | `tags = [..]` | up to 100, each of 1 to 128 characters |
/// | `metadata(key = value, "dotted.key" = value)` | anything that implements `Serialize` |
/// | `capture(question, ?options)` | arguments as the input, through `Serialize`, or with `?` through `Debug` |
/// | `input = ..` | any other expression as the input |
/// | `output` | the returned value as the output; of a `Result` its `Ok` |
/// | `bind = handle` | a variable for the span in the body |
/// | `propagate = false` | leaves spawned work without the context; on one of several attributes it holds for all |
/// | `crate = path` | where the `tracium` crate is, if not at `::tracium` |
///
/// Nothing is captured unless asked for.
///
/// # Streams
/// Where the function returns a stream (`impl Stream`, `Pin<Box<dyn Stream>>`, `BoxStream`, or a `Result` of one, async
/// or not), the span begins with the call and goes on until the stream ends. Every poll runs in it, under its tenant. It
/// records the number of items as the metadata `stream.items`, and the time from its beginning to the first of them, in
/// seconds, as `stream.time_to_first_item`. A stream whose last item is an `Err` fails the span, and one that is dropped
/// before its end fails it as cancelled.
///
/// # Spawned work
/// What the body spawns with `tokio::spawn`, `std::thread::spawn` and their like keeps trace and tenant by itself; the
/// documentation of `tracium` has the table of what is recognized.
#[proc_macro_attribute]
pub fn span(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Span, &args.into(), &item.into()).into()
}

/// [`span`](macro@span) with `kind = "llm"`: a call of a model.
///
/// ```ignore
/// #[tracium::llm(model = "gpt-4o")]
/// async fn complete(question: &str) -> Result<Answer, Error> {
///     let reply = client().chat(question).await?;
///     tracium::current_span().record_response(&reply);
///     Ok(reply.into())
/// }
/// ```
#[proc_macro_attribute]
pub fn llm(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Shorthand("llm"), &args.into(), &item.into()).into()
}

/// [`span`](macro@span) with `kind = "tool"`: something the agent does in the world.
///
/// ```ignore
/// #[tracium::tool(capture(city), output)]
/// async fn weather(city: &str) -> Result<Weather, Error> {
///     fetch(city).await
/// }
/// ```
#[proc_macro_attribute]
pub fn tool(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Shorthand("tool"), &args.into(), &item.into()).into()
}

/// [`span`](macro@span) with `kind = "retrieval"`: a search for what the model should know.
///
/// ```ignore
/// #[tracium::retrieval(capture(question))]
/// async fn search(question: &str) -> Result<Vec<Document>, Error> {
///     index().query(question).await
/// }
/// ```
#[proc_macro_attribute]
pub fn retrieval(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Shorthand("retrieval"), &args.into(), &item.into()).into()
}

/// Binds a tenant to everything that a call does: its spans, the work it spawns, `current_tenant()`.
///
/// ```ignore
/// #[tracium::trace(agent = "support-bot")]
/// #[tracium::tenant_scope(from = request.tenant_id, missing = reject)]
/// async fn answer(request: Request) -> Result<Answer, Error> {
///     complete(&request.question).await
/// }
/// ```
///
/// It works the same when nothing is collected, and in either order with [`trace`](macro@trace).
///
/// # Options
/// | option | what |
/// |---|---|
/// | `from = ..` | required: a tenant, or an `Option` or `Result` of one, from the arguments by reference. A `TenantId`, or text of 1 to 255 characters without control characters |
/// | `missing = none` | without a tenant the call runs for no tenant, never for the caller's; the default |
/// | `missing = reject` | without a tenant the call returns `Err(TenantError.into())` |
/// | `missing = "anonymous"` | without a tenant the call runs for this one |
/// | `crate = path` | where the `tracium` crate is, if not at `::tracium` |
///
/// An invalid id counts as a missing one. An async call takes its tenant when it is first polled.
#[proc_macro_attribute]
pub fn tenant_scope(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Tenant, &args.into(), &item.into()).into()
}

/// Starts the collection from the environment, gives `main` a scope of its own, and flushes when it is over.
///
/// It goes above the runtime's attribute:
///
/// ```ignore
/// #[tracium::main]
/// #[tokio::main]
/// async fn main() -> anyhow::Result<()> {
///     serve().await
/// }
/// ```
///
/// A wrong setting is printed and the program runs without export. Its one option is `crate = path`.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    main_fn::expand(args.into(), &item.into()).into()
}

/// Leaves a function out of what the attribute on its `impl` block marks; by itself it does nothing.
///
/// ```ignore
/// #[tracium::span(kind = "tool")]
/// impl Tools {
///     #[tracium::skip]
///     fn url(&self, city: &str) -> String {
///         format!("{}/{city}", self.base)
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn skip(_: TokenStream, item: TokenStream) -> TokenStream {
    item
}
