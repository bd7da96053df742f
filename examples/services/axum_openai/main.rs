//! A chat service for many tenants with axum and async-openai: a verified token says whose request it is, the model may
//! look into the stock with a tool, and its answer is streamed. Each request is a trace of its tenant, and each call of
//! the model a span of it, though no line of the service says so but the one that builds the client.
//!
//! ```sh
//! cargo run --example axum_openai
//! ```
//!
//! With `OPENAI_API_KEY` it asks OpenAI, with `OPENAI_BASE_URL` whoever speaks its protocol there, and for the model of
//! `OPENAI_MODEL`; with neither, a stub that it starts itself. Then, in another terminal:
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/health
//! curl -iN -H 'x-tenant-id: globex' -d 'Hello!' http://127.0.0.1:3000/chat
//! curl -iN -H 'authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0ZW5hbnRfaWQiOiJhY21lIiwiZXhwIjo0MTAyNDQ0ODAwfQ.5FvHp8LUypTBHiHojALbeN7FdpdQWlAVTaewhGE6WqQ' -d 'Is there tea in stock?' http://127.0.0.1:3000/chat
//! curl -i -d 'Hello!' http://127.0.0.1:3000/chat
//! curl -i -H 'x-tenant-id: globex' -d ' ' http://127.0.0.1:3000/chat
//! curl -i -H 'x-tenant-id: globex' -d 'Please fail.' http://127.0.0.1:3000/chat
//! ```
//!
//! The answers are 200; 200 and events for `globex`; the same for `acme`, by a token that is good until 2100, with what
//! the tool found; 401 without a tenant; 400 without a question; and 502, since the stub refuses the last one.

pub(crate) mod stub;

use std::convert::Infallible;
use std::env;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionMessageToolCall, ChatCompletionMessageToolCallChunk, ChatCompletionRequestAssistantMessage,
    ChatCompletionRequestMessage, ChatCompletionRequestSystemMessage, ChatCompletionRequestToolMessage,
    ChatCompletionRequestUserMessage, ChatCompletionResponseStream, ChatCompletionTool, ChatCompletionTools,
    CreateChatCompletionRequest, FunctionObject,
};
use axum::Router;
use axum::extract::{MatchedPath, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use futures::{Stream, StreamExt, stream};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use tracium::async_openai::LlmLayer;
use tracium::tenant::{self, Policies, Policy, Tenants};
use tracium::tower::TenantLayer;

/// How often one question may ask for tools.
const MOST_ROUNDS: usize = 4;

#[tracium::main]
#[tokio::main]
async fn main() -> std::io::Result<()> {
    let config = if env::var_os("OPENAI_API_KEY").is_some() || env::var_os("OPENAI_BASE_URL").is_some() {
        OpenAIConfig::new()
    } else {
        stub::config().await?
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(config)).await
}

pub(crate) fn app(config: OpenAIConfig) -> Router {
    let key = DecodingKey::from_secret(b"only for this example, known to all");
    // The claim is proof. The header is a hint, which this example takes so that it can be tried out by hand: a service
    // that others can reach leaves the second line out.
    let resolver = tenant::claim("tenant_id", key, Validation::new(Algorithm::HS256)).or(tenant::header("x-tenant-id"));
    let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
    let tenants = Tenants::new(resolver, policies).exempt("/health");
    let layer = TenantLayer::new(tenants)
        .trace("chat-api", |parts| parts.extension(|path: &MatchedPath| path.as_str().to_owned()));

    // This is all that makes its calls seen. Streams are asked for their tokens, so that some chunks have no choices.
    let service = LlmLayer::new().openai_include_usage().service(reqwest::Client::new());
    let client = Client::with_config(config).with_http_service(service);

    Router::new()
        .route("/health", get(|| async { "well\n" }))
        .route("/chat", post(chat))
        .layer(layer)
        .with_state(client)
}

/// Answers while the model is still writing. Until it begins to, what goes wrong has a status of its own.
async fn chat(
    State(client): State<Client<OpenAIConfig>>,
    question: String,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, (StatusCode, String)> {
    if question.trim().is_empty() {
        return Err((StatusCode::BAD_REQUEST, "there is no question\n".to_owned()));
    }
    let conversation = Conversation::open(client, question)
        .await
        .map_err(|error| (StatusCode::BAD_GATEWAY, format!("the model does not answer: {error}\n")))?;
    let events = stream::unfold(Some(conversation), |conversation| async {
        let (event, rest) = conversation?.next().await?;
        Some((Ok(event), rest))
    });
    Ok(Sse::new(events))
}

/// A question, what was said about it so far, and what is being said now.
struct Conversation {
    client: Client<OpenAIConfig>,
    messages: Vec<ChatCompletionRequestMessage>,
    answer: ChatCompletionResponseStream,
    /// Tools that are being asked for, as far as they have come.
    calls: Vec<ChatCompletionMessageToolCall>,
    rounds: usize,
}

impl Conversation {
    async fn open(client: Client<OpenAIConfig>, question: String) -> Result<Self, OpenAIError> {
        let messages = vec![
            ChatCompletionRequestSystemMessage::from("You sell tea. Look into the stock before you promise any.")
                .into(),
            ChatCompletionRequestUserMessage::from(question).into(),
        ];
        let answer = ask(&client, &messages).await?;
        Ok(Self { client, messages, answer, calls: Vec::new(), rounds: 1 })
    }

    /// The next piece of the answer, and the conversation unless it is over.
    async fn next(mut self) -> Option<(Event, Option<Self>)> {
        loop {
            match self.answer.next().await {
                Some(Ok(chunk)) => {
                    // The last chunk has the tokens, and no choice.
                    let Some(choice) = chunk.choices.into_iter().next() else { continue };
                    choice.delta.tool_calls.into_iter().flatten().for_each(|piece| self.add(piece));
                    if let Some(text) = choice.delta.content.filter(|text| !text.is_empty()) {
                        return Some((Event::default().data(text), Some(self)));
                    }
                }
                Some(Err(error)) => return Some((failure(&error), None)),
                None if self.calls.is_empty() || self.rounds == MOST_ROUNDS => return None,
                None => {
                    if let Err(error) = self.use_tools().await {
                        return Some((failure(&error), None));
                    }
                }
            }
        }
    }

    fn add(&mut self, piece: ChatCompletionMessageToolCallChunk) {
        let at = piece.index as usize;
        if at >= self.calls.len() {
            self.calls.resize_with(at + 1, Default::default);
        }
        let call = &mut self.calls[at];
        call.id.push_str(&piece.id.unwrap_or_default());
        if let Some(function) = piece.function {
            call.function.name.push_str(&function.name.unwrap_or_default());
            call.function.arguments.push_str(&function.arguments.unwrap_or_default());
        }
    }

    /// Gives the model what it asked for, and asks on.
    async fn use_tools(&mut self) -> Result<(), OpenAIError> {
        let calls = std::mem::take(&mut self.calls);
        self.messages.push(
            ChatCompletionRequestAssistantMessage {
                tool_calls: Some(calls.iter().cloned().map(Into::into).collect()),
                ..Default::default()
            }
            .into(),
        );
        for call in calls {
            let arguments: Value = serde_json::from_str(&call.function.arguments).unwrap_or_default();
            let found = match (call.function.name.as_str(), arguments["item"].as_str()) {
                ("stock", Some(item)) => stock(item).await,
                _ => "there is no such tool".to_owned(),
            };
            self.messages
                .push(ChatCompletionRequestToolMessage { content: found.into(), tool_call_id: call.id }.into());
        }
        self.answer = ask(&self.client, &self.messages).await?;
        self.rounds += 1;
        Ok(())
    }
}

async fn ask(
    client: &Client<OpenAIConfig>,
    messages: &[ChatCompletionRequestMessage],
) -> Result<ChatCompletionResponseStream, OpenAIError> {
    let stock = FunctionObject {
        name: "stock".to_owned(),
        description: Some("How much of an item is in stock.".to_owned()),
        parameters: Some(json!({
            "type": "object",
            "properties": {"item": {"type": "string"}},
            "required": ["item"],
        })),
        strict: None,
    };
    let request = CreateChatCompletionRequest {
        model: env::var("OPENAI_MODEL").unwrap_or_else(|_| "gpt-4o-mini".to_owned()),
        messages: messages.to_vec(),
        tools: Some(vec![ChatCompletionTools::Function(ChatCompletionTool { function: stock })]),
        ..Default::default()
    };
    client.chat().create_stream(request).await
}

/// What is in stock: each tenant's own, as everywhere beneath a request.
#[tracium::tool(capture(item), output)]
async fn stock(item: &str) -> String {
    let boxes = match tracium::current_tenant() {
        Some(tenant) if tenant == "acme" => 12,
        _ => 0,
    };
    format!("{boxes} boxes of {item}")
}

fn failure(error: &OpenAIError) -> Event {
    Event::default().event("error").data(error.to_string().replace(['\r', '\n'], " "))
}
