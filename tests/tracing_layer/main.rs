//! Spans of libraries that use `tracing`, as spans of the current trace; and lines of logs that carry the context.

mod context;
mod events;
mod lines;
mod once;
mod shapes;

use tracing::Subscriber;
use tracing_subscriber::prelude::*;

/// A subscriber with the bridge, as an application has one.
fn subscriber() -> impl Subscriber + Send + Sync {
    tracing_subscriber::registry().with(tracium::layer())
}

/// Runs `work` in a trace, recorded, with the bridge: the spans, in the order they ended.
fn recorded(work: impl FnOnce()) -> Vec<tracium::testing::RecordedSpan> {
    let recorder = tracium::testing::Recorder::install();
    tracing::subscriber::with_default(subscriber(), || {
        tracium::start_trace("agent").tenant("acme").run(work);
    });
    recorder.spans()
}

fn metadata(span: &tracium::testing::RecordedSpan, key: &str) -> serde_json::Value {
    span.metadata.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone()).unwrap_or_default()
}
