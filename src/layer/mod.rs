//! Spans of libraries that are instrumented with [`tracing`](https://docs.rs/tracing), as spans of the current trace.
//!
//! ```
//! use tracing_subscriber::prelude::*;
//!
//! let subscriber = tracing_subscriber::registry().with(tracium::layer()); // in a program: `.init()`
//! # let recorder = tracium::testing::Recorder::install();
//! # tracing::subscriber::with_default(subscriber, || {
//! tracium::start_trace("support-bot").tenant("acme").run(|| {
//!     // What a client does that follows OpenTelemetry's conventions:
//!     let span = tracing::info_span!(
//!         "chat",
//!         gen_ai.operation.name = "chat",
//!         gen_ai.request.model = "gpt-4o",
//!         gen_ai.usage.input_tokens = tracing::field::Empty,
//!         gen_ai.usage.output_tokens = tracing::field::Empty,
//!     );
//!     span.in_scope(|| { /* the request */ });
//!     span.record("gen_ai.usage.input_tokens", 812).record("gen_ai.usage.output_tokens", 64);
//! });
//! # });
//!
//! let span = &recorder.spans()[0];
//! assert_eq!((span.kind.as_str(), span.name.as_str()), ("llm", "chat gpt-4o"));
//! assert_eq!(span.usage, Some(tracium::TokenUsage::new(812, 64)));
//! assert_eq!(span.tenant.as_ref().unwrap(), "acme");
//! ```
//!
//! # Which spans
//!
//! | span | of |
//! |---|---|
//! | with any field `gen_ai.*` | rig, genai, and whoever else follows the conventions for generative AI |
//! | with any field `langfuse.*` | swiftide with its feature `langfuse`; its events of that name are read too |
//! | `llm.generate`, `embed.*`, `chain.call`, `agent.run`, `agent.plan`, `tool.call` | langchain-rust |
//! | `agent.*`, `tool`, calls of models, `embed`, `retrieve`, pipelines | swiftide |
//! | that a filter of yours takes, see [`layer_with`] | anything |
//!
//! They become spans of the kinds that tracium has, whatever they are called: `gen_ai.operation.name` tells the kind, a
//! tool, an agent or a workflow is named by its own name, the old names of fields count as the new ones, and lists that
//! come as JSON or as Rust's debug output in a string are lists again. What has no place of its own is metadata under the
//! conventions' name. Other fields are left out, but those of spans that your filter takes: numbers and booleans as
//! metadata, texts where content is captured.
//!
//! Messages, arguments and results are content: where that is not captured for the tenant, they are not even kept. Most
//! libraries have a switch of their own, which is off (rig's `record_telemetry_content`, genai's
//! `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`): without it they record none.
//!
//! A span fails with a field `error`, with `otel.status_code` or `error.type`, and with an event of level `ERROR` inside
//! it. Tokens are noted on calls of models only: what an agent or a chain says of its own is a sum, which would be counted
//! twice.
//!
//! A call of a model that tracium's own adapters see on its way, beneath its library's span with nothing between, is one
//! call: what they see is said of that span, which fills in the rest. Where a span for a call is inside another one
//! (`#[tracium::llm]` around it, or a library's own), the tokens count once, on the inner.
//!
//! # Where they hang, and whose they are
//!
//! A span opens under what is current in the scope of the code that makes it, and under that scope's tenant. Outside any
//! trace nothing is recorded, as everywhere. While a span is entered, it is itself what is current: functions with
//! [`#[tracium::span]`](macro@crate::span) and calls that are seen beneath it are its children.
//!
//! That is no context that is entered: `tracing` enters and leaves where it is told to, and guards are held over awaits,
//! forgotten, dropped out of order. So entering one swaps nothing. It is noted *in the scope* of the code that enters it,
//! counts there only while scope and span are of the same trace and tenant, and is gone with the scope. Another task on
//! the same thread has a scope of its own, or none. The tenant is always the scope's, never one that `tracing` knew:
//!
//! - In a scope of another trace or tenant, a span that is still entered is nobody's parent, and what is recorded on
//!   `Span::current()` or logged as an error there is not taken for it.
//! - In code outside any scope (a plain `tokio::spawn` of a library's) no span is recorded, whatever is entered: there is
//!   no tenant. A span that names a `parent:` is, unless that parent is entered on the same thread; and what is recorded
//!   on a span there counts unless it is.
//!
//! A span ends where `tracing` closes it: when its last handle is dropped, on whatever thread. `follows_from` says what
//! came before, and is no parent. A future that is dropped before its end closes its span like any other; `tracing` cannot
//! tell that it was cancelled.
//!
//! # Beside other layers
//!
//! The layer has a filter of its own and asks for nothing but those spans, and events of level `ERROR` or with fields of
//! the conventions. A filter for the whole subscriber, such as an `EnvFilter` that is added like a layer, holds for it too:
//! most libraries' spans are of level `INFO`. What tracium logs (target `tracium`) and what its export thread does is
//! never recorded: there is no scope on it.

mod facts;
mod fields;
mod kind;
mod libraries;
mod messages;
mod values;
mod wanted;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use self::facts::Class;
use self::fields::Fields;
use self::kind::Kind;
use self::messages::Messages;
use self::wanted::Source;
pub use self::wanted::Wanted;
use crate::__private::{BridgedContent, BridgedSpan};

/// The bridge behind its filter: a layer for any subscriber with a registry.
pub type TracingLayer<S> = Filtered<Bridge, Wanted, S>;

/// Spans of instrumented libraries become spans of the current trace. See the [module](mod@crate::layer).
pub fn layer<S>() -> TracingLayer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Bridge(Wanted::default()).with_filter(Wanted::default())
}

/// [`layer()`], for other spans as well: those for which `filter` says so, once a callsite.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let layer = tracium::layer_with(|metadata| metadata.target().starts_with("search_engine"));
/// let subscriber = tracing_subscriber::registry().with(layer);
/// # let recorder = tracium::testing::Recorder::install();
/// # tracing::subscriber::with_default(subscriber, || {
/// tracium::start_trace("support-bot").run(|| {
///     tracing::info_span!(target: "search_engine", "lookup", hits = 3).in_scope(|| ());
/// });
/// # });
/// let span = &recorder.spans()[0];
/// assert_eq!((span.kind.as_str(), span.name.as_str()), ("span", "lookup"));
/// assert_eq!(span.metadata, [("hits".to_owned(), serde_json::json!(3))]);
/// ```
pub fn layer_with<S>(filter: impl Fn(&Metadata<'_>) -> bool + Send + Sync + 'static) -> TracingLayer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let wanted = Wanted::asked(filter);
    Bridge(wanted.clone()).with_filter(wanted)
}

/// The layer behind the filter; made by [`layer()`].
#[derive(Clone, Debug)]
pub struct Bridge(Wanted);

/// A span of `tracing`'s that is one of ours.
#[derive(Debug)]
struct Bridged {
    span: BridgedSpan,
    source: Source,
    /// The name that the code has for it.
    name: &'static str,
    captures: bool,
    said: Mutex<Said>,
}

/// What was said of a span so far.
#[derive(Debug, Default)]
struct Said {
    fields: Fields,
    /// Messages that were events each.
    messages: Messages,
}

impl<S> Layer<S> for Bridge
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let metadata = attributes.metadata();
        let (Some(source), Some(made)) = (self.0.span(metadata), ctx.span(id)) else { return };
        let all = visited(|fields| attributes.record(fields));
        let mut fields = Fields::default();
        // Who it is must be known to open it; what it may keep is known then.
        let library = source.library.map_or(&[][..], |library| library.fields);
        fields.add(all, |name, value| Some((libraries::conventional(library, name), value)));
        // The nearest of ours: spans between that are not wanted are not seen here.
        let outer = || made.scope().skip(1).find_map(|span| bridged(Some(&span)));
        let parent = attributes.parent().and_then(|_| outer());
        let kind = facts::kind(&source, &fields);
        let name = facts::name(kind, &fields, metadata.name());
        let Some(span) =
            BridgedSpan::open(kind.name(), &name, kind.is_inference(), parent.as_ref().map(|parent| &parent.span))
        else {
            return;
        };
        let captures = span.captures();
        let bridged = Bridged { span, source, name: metadata.name(), captures, said: Mutex::default() };
        bridged.keep(fields);
        made.extensions_mut().replace(Arc::new(bridged));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        if let Some(bridged) = bridged(ctx.span(id).as_ref())
            && bridged.span.may_record()
        {
            bridged.keep(visited(|fields| values.record(fields)));
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let Some(bridged) = ctx.event_span(event).as_ref().and_then(nearest) else { return };
        // Without a parent that it names, it is the span's only where that is sure.
        if !(if event.parent().is_some() { bridged.span.may_record() } else { bridged.span.is_here() }) {
            return;
        }
        let metadata = event.metadata();
        let fields = visited(|fields| event.record(fields));
        if *metadata.level() == Level::ERROR {
            let text = fields.text(&["error", "err", "exception.message", "message"]);
            bridged.span.fail("error".into(), text.unwrap_or(metadata.name()));
        }
        match messages::of_event(metadata.name(), &fields) {
            Some((message, is_answer)) if bridged.captures => {
                bridged.said().messages.put(message, is_answer, |bytes| bridged.span.hold(bytes));
            }
            Some(_) => {}
            None => bridged.keep_telling(fields),
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        if let Some(bridged) = bridged(ctx.span(id).as_ref()) {
            bridged.span.enter();
        }
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        if let Some(bridged) = bridged(ctx.span(id).as_ref()) {
            bridged.span.leave();
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        // Taken out first: nothing of ours runs behind the registry's locks.
        let closed = ctx.span(&id).and_then(|span| span.extensions_mut().remove::<Arc<Bridged>>());
        if let Some(bridged) = closed {
            bridged.tell();
            bridged.span.end();
        }
    }
}

/// What is recorded; where a value's own `Debug` panics, what came before it.
fn visited(record: impl FnOnce(&mut Fields)) -> Fields {
    let mut fields = Fields::default();
    let _ = catch_unwind(AssertUnwindSafe(|| record(&mut fields)));
    fields
}

fn bridged<'a, S: LookupSpan<'a>>(span: Option<&SpanRef<'a, S>>) -> Option<Arc<Bridged>> {
    span?.extensions().get::<Arc<Bridged>>().cloned()
}

/// The innermost span of ours, from `span` on outwards.
fn nearest<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> Option<Arc<Bridged>> {
    span.scope().find_map(|span| bridged(Some(&span)))
}

impl Bridged {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was recorded, as far as it may be.
    fn keep(&self, fields: Fields) {
        let library = self.source.library.map_or(&[][..], |library| library.fields);
        let mut said = self.said();
        for (name, value) in fields.into_values() {
            let name = libraries::conventional(library, name);
            let keep = match Class::of(name) {
                Class::Fact => true,
                Class::Content => self.captures,
                // Texts of spans that were asked for are arguments as often as not.
                Class::Other => self.source.asked && (self.captures || !value.is_string()),
            };
            if !keep {
                continue;
            }
            let (before, bytes) = said.fields.put(name, value);
            self.span.let_go(before);
            if bytes > 0 && !self.span.hold(bytes) {
                said.fields.put(name, fields::left_out(bytes));
            }
        }
    }

    /// Keeps what an event says of the span: the rest of it is the event's own.
    fn keep_telling(&self, fields: Fields) {
        let mut telling = Fields::default();
        let tells = |name: &str| name.starts_with("gen_ai.") || name.starts_with("langfuse.");
        telling.add(fields, |name, value| tells(name).then_some((name, value)));
        self.keep(telling);
    }

    /// Says of our span what was said of theirs. What was seen of the call itself, on its way, stands.
    fn tell(&self) {
        let Said { fields, messages } = std::mem::take(&mut *self.said());
        let (asked, answered) = messages.into_lists();
        let (span, source) = (&self.span, &self.source);
        let kind = facts::kind(source, &fields);
        span.rename(kind.name(), &facts::name(kind, &fields, self.name));
        if let Some(model) = facts::asked_model(&fields) {
            span.fill_model(model);
        }
        for (key, value) in facts::metadata(source, kind, &fields) {
            span.handle().add_metadata(key, &value);
        }
        match facts::provider(source, &fields) {
            Some(Ok(provider)) => span.note_call(|call| {
                call.provider.get_or_insert(provider);
            }),
            Some(Err(provider)) => {
                span.handle().add_metadata("gen_ai.provider.name", provider);
            }
            None => {}
        }
        if kind.is_inference() {
            span.note_call(|call| facts::tell_call(&fields, call));
            if let Some((usage, cached_apart)) = facts::usage(&fields) {
                span.fill_usage(usage, cached_apart);
            }
        }
        let (input, output) = if kind == Kind::Tool {
            let of = |names: &[&str]| messages::first(&fields, names);
            (of(&["gen_ai.tool.call.arguments", "langfuse.input"]), of(&["gen_ai.tool.call.result", "langfuse.output"]))
        } else {
            (messages::input(&fields, &asked), messages::output(&fields, &answered))
        };
        let tools =
            messages::first(&fields, &["gen_ai.tool.definitions", "gen_ai.request.tools", "gen_ai.request.functions"]);
        for (content, value) in
            [(BridgedContent::Input, input), (BridgedContent::Output, output), (BridgedContent::Tools, tools)]
        {
            if let Some(value) = value {
                span.fill(content, &value);
            }
        }
        if let Some((kind, text)) = facts::failure(&fields) {
            span.fail(kind.map_or("error".into(), Cow::Owned), &text);
        }
    }
}
