//! Traces and spans without attributes, for code that an attribute does not fit.
//!
//! ```text
//! cargo run --example manual
//! ```
//!
//! 1. `start_trace` and `start_span`, around a closure or a future;
//! 2. `.open()`: a span to hold, for work whose beginning and end are in different callbacks;
//! 3. `Context` as data: a job that another worker, or another process, does for the same tenant and in the same trace.

use std::collections::HashMap;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tracium::{Context, OwnedSpan, TokenUsage, current_span, current_tenant, start_span, start_trace};

fn main() -> anyhow::Result<()> {
    // `#[tracium::main]` does this as well, and gives `main` a scope.
    let _guard = tracium::init()?;

    builders()?;
    callbacks();
    job_queue()
}

/// A trace around a closure; `try_run` looks at the result, as the attributes do. For futures there are `scope` and
/// `try_scope`.
fn builders() -> anyhow::Result<()> {
    let summary = start_trace("summarizer").tenant("acme").session("session-17").tag("example").try_run(|| {
        let text = start_span("retrieval", "load").run(|| "Tea is a drink. It is old.");
        start_span("llm", "summarize").model("extractive-1").try_run(|| {
            let summary = text.split_inclusive('.').next().context("there is nothing to summarize")?;
            current_span()
                .record_input(&text)
                .record_output(&summary)
                .set_token_usage(TokenUsage::new(text.len() as u64 / 4, summary.len() as u64 / 4));
            anyhow::Ok(summary)
        })
    })?;
    println!("summary: {summary}");
    Ok(())
}

/// An upload that reports by callbacks. Its spans are held by the handler and entered nowhere; what is done for one
/// of them runs under `span.context()`.
fn callbacks() {
    #[derive(Default)]
    struct Uploads(HashMap<u32, OwnedSpan>);

    impl Uploads {
        fn on_start(&mut self, id: u32, tenant: &str) {
            let upload = start_trace("uploader").tenant(tenant).metadata("upload", &id).open();
            self.0.insert(id, upload);
        }

        fn on_chunk(&mut self, id: u32, chunk: &[u8]) {
            let Some(upload) = self.0.get(&id) else {
                return;
            };
            upload.context().run(|| {
                start_span("tool", "checksum").run(|| {
                    let sum = chunk.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
                    current_span().record_output(&sum);
                });
            });
        }

        fn on_end(&mut self, id: u32, result: Result<(), &str>) {
            // Dropping the span would end it as well.
            let Some(upload) = self.0.remove(&id) else {
                return;
            };
            if let Err(reason) = result {
                upload.fail(reason);
            }
            upload.end();
        }
    }

    let mut uploads = Uploads::default();
    uploads.on_start(1, "acme");
    uploads.on_start(2, "globex");
    uploads.on_chunk(1, b"first");
    uploads.on_chunk(2, b"second");
    uploads.on_end(2, Err("the connection was reset"));
    uploads.on_chunk(1, b"third");
    uploads.on_end(1, Ok(()));
}

/// What lies in the queue: the job, and for whom it is.
#[derive(Serialize, Deserialize)]
struct Job {
    document: String,
    /// The tenant and the ids of trace and span; nothing that was captured.
    context: Context,
}

/// The context in a job's payload.
fn job_queue() -> anyhow::Result<()> {
    let payload = start_trace("importer").tenant("globex").try_run(|| {
        start_span("action", "enqueue").try_run(|| {
            serde_json::to_string(&Job { document: "contract.txt".to_owned(), context: Context::current() })
        })
    })?;
    println!("queued: {payload}");

    // Later, on a worker: `payload` is all that it has. A queue that others can write to must be trusted as much as
    // they are, since the tenant is what the payload says.
    let job: Job = serde_json::from_str(&payload)?;
    job.context.run(|| {
        start_span("tool", "import").metadata("document", &job.document).run(|| {
            println!("imported {} for {}", job.document, current_tenant().map_or("nobody".into(), |t| t.to_string()));
        });
    });
    assert_eq!(current_tenant(), None);
    Ok(())
}
