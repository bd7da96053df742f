//! A call of a model, from its request to the last byte of its answer.

#[cfg(test)]
mod tests;

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use serde_core::Serialize;

use super::body::{Body, Whole};
use super::framing::json;
use super::request::{Asked, Request, Route};
use crate::clock::Timestamp;
use crate::context::{Context, SpanRef, open};
use crate::panics::contained;
use crate::tenant::TenantId;
use crate::trace::details::{CallFacts, Error, SpanDetails};
use crate::trace::{OpenSpan, SpanMeta, TokenUsage, TraceCore};
use crate::{SpanId, notice};

/// One exchange with a model's API, observed from the side of the client.
///
/// It is a span of kind `llm` (of kind `embedding` where vectors were asked for) under the one that is current when it
/// begins, and ends with the answer: at the stream's own last event, at [`end`](Self::end), or where it is dropped.
/// Its tenant is the one that it began under, wherever the rest of it happens.
///
/// An adapter calls, in this order: [`begin`](Self::begin) before the request leaves, [`answered`](Self::answered) with
/// the answer's head, [`chunk`](Self::chunk) with each piece of its body as it hands it on, and [`end`](Self::end) or
/// [`failed`](Self::failed). None of them blocks, fails or panics, and none keeps the bytes it is given: of one answer, at
/// most 1 MiB of text is kept, however much passes; what a stream says beyond that is cut, and its tokens and its reason
/// to stop are still read.
///
/// Dropped before its answer's head came, the call counts as cancelled. Dropped while the body passes, it ends well with
/// what was seen, and says that its consumer stopped, which is no failure of the model.
///
/// ```
/// # use tracium_runtime as tracium;
/// use tracium::llm::{Exchange, Request};
/// # let recorder = tracium::testing::Recorder::install();
///
/// tracium::start_trace("support-bot").run(|| {
///     let body = br#"{"model": "gpt-4o", "messages": [{"role": "user", "content": "tea?"}]}"#;
///     let request = Request::new("POST", "api.openai.com", "/v1/chat/completions").body(body);
///     let Some(mut call) = Exchange::begin(&request) else { return };
///     // The request is sent here, in `call.context()`; then, as the answer comes:
///     call.answered(200, Some("application/json"), |_name| None);
///     call.chunk(br#"{"model": "gpt-4o-2024-08-06", "choices": [{"message": {"role": "assistant","#);
///     call.chunk(br#""content": "Earl Grey"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9,"#);
///     call.chunk(br#""completion_tokens": 2}}"#);
///     call.end();
/// });
///
/// let span = &recorder.spans()[0];
/// assert_eq!((span.kind.as_str(), span.name.as_str()), ("llm", "chat gpt-4o"));
/// assert_eq!(span.output, Some(serde_json::json!("Earl Grey")));
/// assert_eq!(span.usage, Some(tracium::TokenUsage::new(9, 2)));
/// ```
///
/// # Calls that are seen twice
///
/// An exchange beneath another one, with nothing between them, is the same call seen by two adapters (or a retry of it):
/// it opens no span, and what it sees is said of the outer one. The last answer wins, and the call has failed if its last
/// try did. Where a span of another library's has several exchanges one after the other, their tokens are added up.
///
/// Where an exchange runs beneath a span of kind `llm` that somebody opened around it, the tokens are counted once: on
/// the exchange, if it saw any. Vectors and moderation are calls of their own there.
///
/// All of this is within one tenant: what is called for another one has a span of its own.
#[must_use = "the exchange ends when it is dropped"]
pub struct Exchange(Box<Running>);

struct Running {
    call: Call,
    asked: Asked,
    body: Body,
    began: Timestamp,
    first_token: Option<Duration>,
    status: Option<u16>,
    request_id: Option<Box<str>>,
    /// The tokens that the answer's head tells.
    counted: Option<TokenUsage>,
    context: Context,
    /// It has not ended.
    open: bool,
}

/// The span that the call is seen on.
struct Call {
    trace: Arc<TraceCore>,
    span: SpanId,
    /// The exchange's own span; `None` where it fills one that claimed it.
    own: Option<OpenSpan>,
    /// The nearest span of kind `llm` above, of the same tenant, where this is its call.
    above: Option<SpanId>,
    /// An exchange that is said of that one ran when this one began.
    above_ran: bool,
    tenant: Option<TenantId>,
    captures: bool,
}

impl Exchange {
    /// Begins an exchange, in the current context. `None` where the request is no call of a model that we know, or where
    /// nothing records here (outside any trace): then the body was not looked at, and the request needs nothing more.
    pub fn begin(request: &Request<'_>) -> Option<Self> {
        let route = Route::of(request)?;
        let mut context = Context::current();
        let Some(current) = &context.span else {
            if !route.needs_body() {
                notice::orphan_span("tracium::llm");
            }
            return None;
        };
        let tenant = context.effective_tenant();
        let captures = current.trace.sink.captures(tenant.as_ref());
        let mut asked = Asked::read(&route, request, captures)?;
        let began = Timestamp::now();
        let call = Call::open(&mut context, &mut asked, tenant, captures)?;
        Some(Self(Box::new(Running {
            call,
            asked,
            body: Body::default(),
            began,
            first_token: None,
            status: None,
            request_id: None,
            counted: None,
            context,
            open: true,
        })))
    }

    /// The context of work under the exchange's span: what sends the request runs in it, so that spans of that are its
    /// children, and what it hands on to the server names it.
    pub fn context(&self) -> &Context {
        &self.0.context
    }

    /// The answer's head has come: its status, its content type, and its other headers by their names in lower case.
    ///
    /// Of those, the request's id is noted, which the provider's support asks for.
    pub fn answered(&mut self, status: u16, content_type: Option<&str>, header: impl Fn(&str) -> Option<String>) {
        const REQUEST_IDS: [&str; 5] =
            ["x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "x-goog-request-id"];
        let running = &mut *self.0;
        running.status = Some(status);
        running.body.begin(content_type, running.asked.is_transcription());
        let header = |name: &str| contained(|| header(name)).flatten();
        let count = |name: &str| header(name)?.parse().ok();
        // Bedrock counts beside the answer what models of some families do not say in it.
        running.counted = count("x-amzn-bedrock-input-token-count")
            .map(|input| TokenUsage::new(input, count("x-amzn-bedrock-output-token-count").unwrap_or(0)));
        running.request_id = REQUEST_IDS
            .iter()
            .find_map(|name| header(name))
            .filter(|id| !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic()))
            .map(String::into_boxed_str);
    }

    /// A piece of the answer's body, as it passes: any piece, cut anywhere.
    ///
    /// At a stream's own last event (`[DONE]`, `message_stop` and their like) and where a whole answer is complete, the
    /// span ends: a consumer may hold the rest for as long as it likes.
    pub fn chunk(&mut self, bytes: &[u8]) {
        let running = &mut *self.0;
        if !running.open {
            return;
        }
        let step = running.body.feed(bytes);
        if step.content && running.body.is_stream() && running.first_token.is_none() {
            running.first_token = Some(Timestamp::now().since(running.began));
        }
        if step.done {
            running.finish(&Ending::Complete);
        }
    }

    /// The whole answer as a value, from clients that hand over no bytes: in place of [`chunk`](Self::chunk).
    pub fn response(&mut self, value: &(impl Serialize + ?Sized)) {
        let running = &mut *self.0;
        if !running.open {
            return;
        }
        running.body.whole(json::of(value).unwrap_or_default());
        running.finish(&Ending::Complete);
    }

    /// The body is complete.
    pub fn end(mut self) {
        self.0.finish(&Ending::Complete);
    }

    /// The answer, or the rest of it, did not come: the connection failed, or was given up.
    pub fn failed(mut self, error: &dyn Display) {
        self.0.finish(&Ending::Failed(error));
    }
}

/// How an exchange ends.
enum Ending<'a> {
    Complete,
    Failed(&'a dyn Display),
    Dropped,
}

static CHAT: SpanMeta = SpanMeta::new("llm", "chat", "tracium::llm");
static EMBEDDING: SpanMeta = SpanMeta::new("embedding", "embeddings", "tracium::llm");

impl Call {
    /// Opens the exchange's span under `context`, which is its own from then on; or takes the one that claims it.
    fn open(context: &mut Context, asked: &mut Asked, tenant: Option<TenantId>, captures: bool) -> Option<Self> {
        let current = context.span.as_ref()?;
        let (trace, own, above) = if current.trace.claims(current.id, tenant.as_ref()) {
            (Arc::clone(&current.trace), None, current.trace.call_above(current.id))
        } else {
            let details = SpanDetails { name: Some(asked.name()), ..SpanDetails::default() };
            let meta = if asked.is_embedding() { &EMBEDDING } else { &CHAT };
            let (trace, own) = open::span_in(context, meta, Some(Box::new(details)))?;
            let above = current.llm.filter(|_| Arc::ptr_eq(&current.trace, &trace));
            let above = above.filter(|above| trace.is_of(*above, tenant.as_ref()));
            (trace, Some(own), above)
        };
        let above = above.filter(|_| asked.is_generation());
        let span = own.map_or(current.id, |own| own.id);
        if let Some(own) = own {
            context.span = Some(SpanRef { trace: Arc::clone(&trace), id: span, depth: own.depth, llm: Some(span) });
        }
        let mut call = Self { trace, span, own, above, above_ran: false, tenant, captures };
        call.begin(asked);
        Some(call)
    }

    /// Notes what was asked.
    fn begin(&mut self, asked: &mut Asked) {
        if let Some(above) = self.above {
            self.above_ran = self.trace.with_span(above, |details| {
                let facts = details.facts_mut();
                facts.call_below = true;
                facts.exchanges.are_running()
            });
        }
        let facts = asked.facts();
        self.trace.with_span(self.span, |details| {
            if self.own.is_some() || details.model.is_none() {
                details.model = asked.model().map(Into::into);
            }
            let facts_of_span = details.facts_mut();
            let known = std::mem::take(facts_of_span);
            *facts_of_span = CallFacts {
                claims: true,
                failed: known.failed,
                cached_apart: known.cached_apart,
                call_below: known.call_below,
                usage_below: known.usage_below,
                above: known.above.or(self.above.filter(|_| self.own.is_some())),
                exchanges: known.exchanges,
                ..facts
            };
            facts_of_span.exchanges.begin();
        });
        let (input, tools) = asked.take_content();
        if let Some(input) = input {
            self.trace.record(self.span, input, |details| &mut details.input);
        }
        if let Some(tools) = tools {
            self.trace.record(self.span, tools, |details| &mut details.tools);
        }
    }
}

impl Running {
    fn finish(&mut self, ending: &Ending<'_>) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let whole = self.body.end();
        let mut answer = self.body.answer(self.status);
        answer.usage = answer.usage.or(self.counted);
        let call = &self.call;
        let cut = whole == Whole::Not || (whole == Whole::Unsaid && !answer.has_ended());
        let dropped = matches!(ending, Ending::Dropped) && self.status.is_some();
        let stopped = dropped && (cut || whole == Whole::Unknown);
        let error = match ending {
            Ending::Failed(error) => Some(Error {
                type_name: "transport".into(),
                message: contained(|| error.to_string()).unwrap_or_default().into(),
            }),
            Ending::Dropped if self.status.is_none() => Some(Error::cancelled()),
            Ending::Complete | Ending::Dropped => {
                answer.error(self.status, self.body.text()).or_else(|| (cut && !stopped).then(Error::cut))
            }
        };
        let says = call.captures && (error.is_none() || answer.is_known());
        super::answer::note(&call.trace, call.span, says, &answer);
        call.trace.with_span(call.span, |details| {
            if let Some(usage) = answer.usage {
                details.count(usage, answer.cached_apart);
            }
            let facts = details.facts_mut();
            facts.first_token = self.first_token;
            facts.status = self.status;
            facts.request_id = self.request_id.take();
            facts.stopped = stopped && error.is_none();
            // A try before this one failed: what counts is the last.
            if std::mem::replace(&mut facts.failed, error.is_some()) {
                details.error = None;
            }
        });
        if let Some(error) = error {
            call.trace.set_error(call.span, error, call.tenant.as_ref());
        }
        if answer.usage.is_some()
            && let Some(above) = call.above
        {
            call.trace.with_span(above, |details| details.facts_mut().usage_is_below(call.above_ran));
        }
        let ending = call.trace.with_span(call.span, |details| details.facts_mut().exchanges.end());
        if let Some((open, failure)) = call.own.map(|own| (own, None)).or(ending) {
            open.end(&call.trace, failure);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.finish(&Ending::Dropped);
    }
}

impl Error {
    /// A stream that ended before its answer did.
    fn cut() -> Self {
        Self { type_name: "incomplete".into(), message: "the answer ended before it was complete".into() }
    }
}

/// Without content: what was asked and answered is the span's.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("trace_id", &self.0.call.trace.id)
            .field("id", &self.0.call.span)
            .field("operation", &self.0.asked.operation())
            .field("status", &self.0.status)
            .finish_non_exhaustive()
    }
}
