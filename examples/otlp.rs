//! Sends traces to any OpenTelemetry backend that takes OTLP over HTTP: a collector, Phoenix, Grafana, Tracium's own.
//!
//! ```text
//! OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 cargo run --example otlp -- acme
//! ```
//!
//! The argument is the tenant. Without an endpoint it prints the traces.

use serde_json::{Value, json};
use tracium::{TokenUsage, current_span};

#[tracium::main]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tenant = std::env::args().nth(1).unwrap_or_else(|| "acme".to_owned());
    let answer = assist(&tenant, "How long do penguins live?")?;
    println!("{answer}");
    if let Err(error) = assist(&tenant, "And dragons?") {
        println!("failed, as it should: {error}");
    }
    let report = tracium::flush(std::time::Duration::from_secs(10));
    println!("all sent: {}", report.complete);
    Ok(())
}

#[tracium::trace(agent = "zoo-guide", model = "claude-sonnet-4-5", version = "1.0", session = "visit-7",
                 tags = ["example"], capture(question), output)]
#[tracium::tenant_scope(from = tenant)]
fn assist(tenant: &str, question: &str) -> Result<String, NotInTheBook> {
    plan(question);
    embed(question);
    let pages = search(question);
    let call = complete(question, &pages);
    let years = look_up("call_1", call["species"].as_str().unwrap_or_default())?;
    Ok(reflect(years))
}

#[tracium::span(kind = "plan", capture(question))]
fn plan(question: &str) {}

#[tracium::span(kind = "embedding", model = "text-embedding-3-small")]
fn embed(question: &str) {
    current_span().record_input(question).set_token_usage(TokenUsage::new(6, 0));
}

#[tracium::retrieval(capture(question), output)]
fn search(question: &str) -> Vec<&'static str> {
    vec!["Penguins are birds.", "Dragons are not in this book."]
}

/// Stands for a call of a model: what goes in and what comes out are its API's own.
#[tracium::llm]
fn complete(question: &str, pages: &[&str]) -> Value {
    let species = if question.contains("dragons") { "dragon" } else { "penguin" };
    let arguments = json!({ "species": species });
    current_span()
        .record_input(&json!({
            "model": "claude-sonnet-4-5",
            "system": format!("Answer from these pages: {}", pages.join(" ")),
            "messages": [{"role": "user", "content": question}],
            "tools": [{"name": "look_up", "description": "Years that a species lives.", "input_schema": {"type": "object"}}],
        }))
        .record_output(&json!({
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5-20250929",
            "content": [
                {"type": "text", "text": "Let me look that up."},
                {"type": "tool_use", "id": "call_1", "name": "look_up", "input": arguments},
            ],
            "stop_reason": "tool_use",
        }))
        .set_token_usage(TokenUsage::new(40, 25).cached_input(1_000).cache_creation_input(200));
    arguments
}

#[tracium::tool(capture(call_id, species), output)]
fn look_up(call_id: &str, species: &str) -> Result<u32, NotInTheBook> {
    if species == "penguin" { Ok(20) } else { Err(NotInTheBook(species.to_owned())) }
}

/// An agent that another one calls is a span of its trace.
#[tracium::trace(agent = "critic")]
fn reflect(years: u32) -> String {
    format!("About {years} years.")
}

#[derive(Debug)]
struct NotInTheBook(String);

impl std::fmt::Display for NotInTheBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} is not in the book", self.0)
    }
}

impl std::error::Error for NotInTheBook {}
