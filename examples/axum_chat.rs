//! A chat service for many tenants: a verified token says whose request it is, the reply is streamed, and each request is
//! a trace of its tenant.
//!
//! ```sh
//! cargo run --example axum_chat --features jwt,tower
//! ```
//!
//! Then, in another terminal:
//!
//! ```sh
//! curl -i http://127.0.0.1:3000/health
//! curl -i http://127.0.0.1:3000/chat/tea
//! curl -i -H 'x-tenant-id: globex' http://127.0.0.1:3000/chat/tea
//! curl -i -H 'authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0ZW5hbnRfaWQiOiJhY21lIiwiZXhwIjo0MTAyNDQ0ODAwfQ.5FvHp8LUypTBHiHojALbeN7FdpdQWlAVTaewhGE6WqQ' http://127.0.0.1:3000/chat/tea
//! curl -i -H 'authorization: Bearer forged.by.hand' http://127.0.0.1:3000/chat/tea
//! ```
//!
//! The answers are 200, 401, 200 for `globex`, 200 for `acme` by a token that is good until 2100, and 403.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Path};
use axum::routing::get;
use futures::{Stream, StreamExt, stream};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use tracium::TokenUsage;
use tracium::tenant::{self, Policies, Policy, Tenants};
use tracium::tower::TenantLayer;

#[tracium::main]
#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app()).await
}

pub(crate) fn app() -> Router {
    let key = DecodingKey::from_secret(b"only for this example, known to all");
    // The claim is proof. The header is a hint, which this example takes so that it can be tried out by hand: a service
    // that others can reach leaves the second line out.
    let resolver = tenant::claim("tenant_id", key, Validation::new(Algorithm::HS256)).or(tenant::header("x-tenant-id"));
    let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
    let tenants = Tenants::new(resolver, policies).exempt("/health");
    let layer = TenantLayer::new(tenants)
        .trace("chat-api", |parts| parts.extension(|path: &MatchedPath| path.as_str().to_owned()));

    Router::new().route("/health", get(|| async { "well\n" })).route("/chat/{topic}", get(chat)).layer(layer)
}

/// Answers while the model is still writing: each piece is sent as it comes, under the request's tenant.
async fn chat(Path(topic): Path<String>) -> Body {
    let documents = search(&topic).await;
    Body::from_stream(complete(&documents).map(Ok::<_, Infallible>))
}

#[tracium::retrieval(output)]
async fn search(topic: &str) -> Vec<String> {
    vec![format!("all about {topic}")]
}

#[tracium::llm(model = "gpt-4o")]
fn complete(documents: &[String]) -> impl Stream<Item = String> + use<> {
    tracium::current_span().set_token_usage(TokenUsage::new(12, 7));
    let tenant = tracium::current_tenant().map(|tenant| tenant.to_string()).unwrap_or_default();
    let words = ["Dear ".to_owned(), tenant, ", here is ".to_owned(), documents.join(", "), "\n".to_owned()];
    stream::iter(words).then(|word| async move {
        tokio::task::yield_now().await;
        word
    })
}
