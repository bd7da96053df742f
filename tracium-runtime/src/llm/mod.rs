//! Calls of models, seen from the side of their client.
//!
//! An HTTP client's adapter hands over what passes: the request's head and body to [`Exchange::begin`], the answer's head
//! to [`Exchange::answered`], its body to [`Exchange::chunk`], in whatever pieces it comes. The call becomes a span of
//! kind `llm` or `embedding` under the current one: the model that was asked and the one that answered, messages in and
//! out, tools offered and called, tokens, why the model stopped, when its first token came, and what went wrong. Nothing
//! is held back, copied or changed on its way.
//!
//! Known are the APIs of `OpenAI` (chat, completions, responses, embeddings, images, audio, moderation) and of whoever
//! speaks them, of Anthropic, of Google (Gemini and Vertex), of Amazon Bedrock (converse and invoke), of Cohere and of
//! Ollama; whole answers, server-sent events, lines of JSON and AWS event streams. A body that none of them has still
//! gives a span, with what is known. Clients without a place for an adapter hand their response to
//! [`SpanHandle::record_response`](crate::SpanHandle::record_response), which is read by the same rules.
//!
//! Prompts, answers, arguments of tools and texts of errors are content: where content is not captured, none of them
//! reaches the span.
//!
//! | file | what |
//! |---|---|
//! | `exchange` | the public page: a call from its request to its answer's last byte |
//! | `request`, `provider` | which call a request is, by its host and path, and what it asks |
//! | `body` | an answer's body: which framing it has, and the values in it |
//! | `framing/` | server-sent events, AWS event streams, and JSON in pieces, all cut anywhere |
//! | `fold/` | a stream's events as the answer that would have come whole, a file per API |
//! | `answer`, `tokens` | what a whole answer says: model, tokens, reasons, tools, errors |
//! | `input`, `output`, `message`, `parts`, `tools` | messages as the GenAI conventions have them |
//! | `families` | answers that are a text with its reason: Cohere's first version, Ollama's, those of families on Bedrock |
//! | `model` | what a model's name tells |
//!
//! All but `exchange` are pure functions over bytes and JSON. What has a shape that none of the known APIs has is shown
//! as it is, and never left out.

mod answer;
mod body;
mod exchange;
mod families;
mod fold;
mod framing;
mod input;
mod message;
mod model;
mod output;
mod parts;
mod provider;
mod request;
#[cfg(test)]
mod tests;
mod tokens;
mod tools;

pub use self::exchange::Exchange;
pub use self::request::Request;

pub(crate) use self::answer::record;
pub(crate) use self::input::Input;
pub(crate) use self::model::{inclusive_input, provider};
pub(crate) use self::output::{Output, normal_reason};
pub(crate) use self::tools::definitions;
