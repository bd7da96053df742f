//! A server on loopback that answers as providers of models do, and what tests ask of the spans that calls of it become.

mod server;
mod shapes;

use std::pin::Pin;
use std::time::{Duration, Instant};

use tracium::testing::{RecordedSpan, Recorder};

pub use self::server::{Seen, Server, events, json, paced, raw};
pub use self::shapes::{bedrock_stream, chat, chat_stream, error, tool_stream};

/// A key that must never be seen anywhere.
pub const KEY: &str = "sk-q7Zt5vKp9wXy3LmN8rBd";
/// What is asked, and answered, and must be nowhere where content is not captured.
pub const PROMPT: &str = "which teapot did Ottilie break";
/// See [`PROMPT`].
pub const REPLY: &str = "the celadon one, on a Tuesday";

/// `work` in a trace of `tenant`.
pub fn traced<F: Future>(tenant: &str, work: F) -> Pin<Box<impl Future<Output = F::Output> + use<F>>> {
    Box::pin(tracium::start_trace("test").tenant(tenant).scope(work))
}

/// The spans of models' calls, by their start, once `count` of them have ended. A client that reads its stream in a task
/// of its own may give the last piece before that task has let go of the rest.
///
/// # Panics
/// Where they have not after half a minute.
pub async fn calls(recorder: &Recorder, count: usize) -> Vec<RecordedSpan> {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let mut spans = recorder.spans();
        spans.retain(|span| matches!(span.kind.as_str(), "llm" | "embedding"));
        if spans.len() >= count {
            assert_eq!(spans.len(), count, "{spans:#?}");
            spans.sort_by_key(|span| span.started_at);
            return spans;
        }
        assert!(Instant::now() < patience, "not {count} calls ended: {spans:#?}");
        tokio::task::yield_now().await;
    }
}
