//! A chat service on actix-web for many tenants, whose reply is streamed by the worker that took the request.
//!
//! ```sh
//! cargo run --example actix_chat --features actix
//! ```
//!
//! Then, in another terminal:
//!
//! ```sh
//! curl -i http://127.0.0.1:3001/chat/tea
//! curl -i -H 'x-tenant-id: acme' http://127.0.0.1:3001/chat/tea
//! curl -i -H 'x-tenant-id: 50%' http://127.0.0.1:3001/chat/tea
//! ```
//!
//! The answers are 401, 200 for `acme`, and 403: an id with `%` is sent as `50%25`.

use std::convert::Infallible;

use actix_web::{App, HttpResponse, HttpServer, web};
use futures::{Stream, StreamExt, stream};
use tracium::actix::TenantMiddleware;
use tracium::tenant::{self, Policies, Policy, Tenants};

#[tracium::main]
fn main() -> std::io::Result<()> {
    actix_web::rt::System::new().block_on(serve(std::net::TcpListener::bind("127.0.0.1:3001")?))
}

pub(crate) async fn serve(listener: std::net::TcpListener) -> std::io::Result<()> {
    // A header is a hint; `examples/axum_chat.rs` shows the claim of a token, which proves the tenant.
    let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
    let middleware = TenantMiddleware::new(Tenants::new(tenant::header("x-tenant-id"), policies)).trace("chat-api");
    HttpServer::new(move || App::new().wrap(middleware.clone()).route("/chat/{topic}", web::get().to(chat)))
        .workers(2)
        .listen(listener)?
        .run()
        .await
}

async fn chat(topic: web::Path<String>) -> HttpResponse {
    let words = complete(topic.into_inner()).map(|word| Ok::<_, Infallible>(web::Bytes::from(word)));
    HttpResponse::Ok().streaming(Box::pin(words))
}

#[tracium::llm(model = "gpt-4o")]
fn complete(topic: String) -> impl Stream<Item = String> {
    let tenant = tracium::current_tenant().map(|tenant| tenant.to_string()).unwrap_or_default();
    let words = ["Dear ".to_owned(), tenant, ", here is all about ".to_owned(), topic, "\n".to_owned()];
    stream::iter(words).then(|word| async move {
        actix_web::rt::task::yield_now().await;
        word
    })
}
