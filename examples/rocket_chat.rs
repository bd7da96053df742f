//! A chat service on Rocket for many tenants, whose reply is a stream.
//!
//! ```sh
//! cargo run --example rocket_chat --features rocket
//! ```
//!
//! Then, in another terminal:
//!
//! ```sh
//! curl -i http://127.0.0.1:3002/chat/tea
//! curl -i -H 'x-tenant-id: acme' http://127.0.0.1:3002/chat/tea
//! curl -i -H 'x-tenant-id: 50%' http://127.0.0.1:3002/chat/tea
//! ```
//!
//! The answers are 401, 200 for `acme`, and 403: an id with `%` is sent as `50%25`.

use rocket::response::stream::TextStream;
use rocket::{Build, Config, Rocket, get, routes};
use tracium::rocket::TenantRoutes;
use tracium::tenant::{self, Policies, Policy, Tenants};

#[tracium::main]
#[tokio::main]
async fn main() -> Result<(), Box<rocket::Error>> {
    app(3002).launch().await?;
    Ok(())
}

pub(crate) fn app(port: u16) -> Rocket<Build> {
    // A header is a hint; `examples/axum_chat.rs` shows the claim of a token, which proves the tenant.
    let policies = Policies { missing: Policy::reject(401), invalid: Policy::reject(403) };
    let of_tenants = TenantRoutes::new(Tenants::new(tenant::header("x-tenant-id"), policies)).trace("chat-api");
    rocket::custom(Config { port, ..Config::default() }).mount("/", of_tenants.wrap(routes![chat]))
}

#[get("/chat/<topic>")]
fn chat(topic: String) -> TextStream![String] {
    TextStream! {
        let tenant = tracium::current_tenant().map(|tenant| tenant.to_string()).unwrap_or_default();
        for word in ["Dear ".to_owned(), tenant, ", here is ".to_owned(), complete(&topic).await, "\n".to_owned()] {
            yield word;
        }
    }
}

#[tracium::llm(model = "gpt-4o")]
async fn complete(topic: &str) -> String {
    tokio::task::yield_now().await;
    format!("all about {topic}")
}
