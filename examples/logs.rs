//! Logs and traces that know of each other: what a library records with `tracing` becomes a span of the trace, and each
//! line of the logs names the tenant, the trace and the span that it was written in.
//!
//! ```text
//! cargo run --example logs --features tracing
//! cargo run --example logs --features tracing -- json
//! ```
//!
//! 1. `tracium::layer()`: the client below is none of ours; its `chat` span is in the tree, with model and tokens;
//! 2. `tracium::logs::with_context`: the same lines, text or JSON, with `tenant`, `trace_id` and `span_id`;
//! 3. two tenants at once, on the same threads: each line has its own.

use std::io::IsTerminal;
use std::time::Duration;

use tracing::{info, warn};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, Registry};
use tracium::logs::with_context;

#[tracium::main]
#[tokio::main]
async fn main() {
    // Where the traces are printed as well; without a terminal there are no colours.
    let lines = || tracing_subscriber::fmt::layer().without_time().with_target(false).with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if std::env::args().any(|argument| argument == "json") {
        Box::new(lines().json().with_current_span(false).with_span_list(false).map_event_format(with_context))
    } else {
        Box::new(lines().compact().with_ansi(std::io::stderr().is_terminal()).map_event_format(with_context))
    };
    tracing_subscriber::registry().with(lines.with_filter(LevelFilter::INFO)).with(tracium::layer()).init();

    info!("nobody's line");
    let acme = answer("acme", "Where is my order?");
    let globex = answer("globex", "Can I return this?");
    let (first, second) = tokio::join!(acme, globex);
    info!("answered {} and {} characters", first.len(), second.len());
}

#[tracium::trace(agent = "support-bot")]
#[tracium::tenant_scope(from = tenant)]
async fn answer(tenant: &str, question: &str) -> String {
    let orders = look_up(question).await;
    info!(orders, "looked up");
    let reply = client::chat("gpt-4o-mini", question).await;
    info!("answered");
    reply
}

#[tracium::retrieval]
async fn look_up(question: &str) -> usize {
    tokio::time::sleep(Duration::from_millis(20)).await;
    if question.contains("order") {
        warn!("the index is a minute behind");
    }
    2
}

/// A client of somebody else's, which knows `tracing` and OpenTelemetry's names, and nothing of tracium.
mod client {
    use std::time::Duration;

    use tracing::Instrument;
    use tracing::field::Empty;

    pub(crate) async fn chat(model: &str, prompt: &str) -> String {
        let span = tracing::info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = "openai",
            gen_ai.request.model = model,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
        );
        let request = async {
            tokio::time::sleep(Duration::from_millis(40)).await;
            tracing::info!(status = 200, "POST /v1/chat/completions");
            format!("About \"{prompt}\": yes.")
        };
        let reply = request.instrument(span.clone()).await;
        span.record("gen_ai.usage.input_tokens", prompt.len() / 4 + 40);
        span.record("gen_ai.usage.output_tokens", reply.len() / 4);
        reply
    }
}
