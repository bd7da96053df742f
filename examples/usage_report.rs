//! What each tenant used of each model: as a table of one's own, and as data.
//!
//! ```text
//! cargo run --example usage_report
//! ```
//!
//! `tracium::usage()` counts model calls as the export thread sees them, whatever exporter there is and whether content is
//! captured or not. This example collects and throws away; with `TRACIUM_EXPORTER=console` the same table, as tracium
//! prints it, is beneath the traces.

use std::time::Duration;

use tracium::{ExporterKind, TenantUsage, TokenUsage, start_span, start_trace};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let builder = tracium::builder();
    let guard = match std::env::var_os("TRACIUM_EXPORTER") {
        Some(_) => builder.init()?,
        None => builder.exporter(ExporterKind::Discard).init()?,
    };

    a_day_of_work();

    // Counted is what has ended, once the export thread has seen it.
    tracium::flush(Duration::from_secs(5));
    let usage = tracium::usage();

    println!("{:<10}{:<24}{:>7}{:>8}{:>10}{:>9}{:>9}", "tenant", "model", "calls", "errors", "input", "output", "time");
    for row in &usage.rows {
        print(row);
    }
    for tenant in ["acme", "globex"] {
        let rows = usage.rows.iter().filter(|row| row.tenant.as_ref().is_some_and(|id| id == tenant));
        let tokens: u64 = rows.map(|row| row.input_tokens + row.output_tokens).sum();
        println!("{tenant} used {tokens} tokens");
    }

    println!("\n{}", serde_json::to_string_pretty(&usage)?);
    drop(guard);
    Ok(())
}

fn print(row: &TenantUsage) {
    println!(
        "{:<10}{:<24}{:>7}{:>8}{:>10}{:>9}{:>6} ms",
        row.tenant.as_ref().map_or("-", |tenant| tenant.as_str()),
        row.model.as_deref().unwrap_or("-"),
        row.calls,
        row.errors,
        row.input_tokens,
        row.output_tokens,
        row.time.as_millis(),
    );
}

/// Requests of some tenants, and what their models did.
fn a_day_of_work() {
    for request in 0..40_u64 {
        let (tenant, model) = match request % 5 {
            0 => ("globex", "claude-sonnet-4-5"),
            1 => ("initech", "gpt-4o-mini"),
            2 => ("acme", "gpt-4o-mini"),
            _ => ("acme", "gpt-4o"),
        };
        start_trace("support-bot").tenant(tenant).run(|| {
            start_span("embedding", "embed").model("text-embedding-3-small").run(|| {
                tracium::current_span().set_token_usage(TokenUsage::new(12, 0));
            });
            start_span("llm", "answer").model(model).run(|| complete(request));
        });
    }
    // Work of nobody's in particular.
    start_trace("warm-up").run(|| start_span("llm", "hello").model("gpt-4o-mini").run(|| complete(1)));
}

/// Your model's client goes here.
fn complete(request: u64) {
    let span = tracium::current_span();
    if request % 8 == 7 {
        span.fail("429 Too Many Requests");
        return;
    }
    std::thread::sleep(Duration::from_millis(2));
    span.set_token_usage(TokenUsage::new(400 + request * 10, 60 + request).cached_input(256));
}
