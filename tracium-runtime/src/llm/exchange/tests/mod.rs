//! Every provider's answers, whole and streamed, cut anywhere, as spans.

mod bounds;
mod content;
mod fixtures;
mod once;
mod outcomes;
mod providers;
mod robust;

use crate::llm::{Exchange, Request};
use crate::testing::{RecordedSpan, Recorder};
use crate::{start_trace, trace::OwnedSpan};

/// What a call looks like from its client.
#[derive(Clone, Copy, Debug)]
struct Seen<'a> {
    host: &'a str,
    path: &'a str,
    request: &'a [u8],
    status: u16,
    content_type: &'a str,
}

impl Seen<'_> {
    /// The span that the call becomes, where its answer comes in these pieces.
    fn in_pieces<'p>(&self, pieces: impl IntoIterator<Item = &'p [u8]>) -> RecordedSpan {
        let recorder = Recorder::install();
        self.run(pieces);
        let mut spans = recorder.spans();
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans.remove(0)
    }

    fn run<'p>(&self, pieces: impl IntoIterator<Item = &'p [u8]>) {
        let trace: OwnedSpan = start_trace("bot").tenant("acme").open();
        let call = trace.context().run(|| self.begin());
        let mut call = call.unwrap_or_else(|| panic!("{} {} is a model's call", self.host, self.path));
        call.answered(self.status, Some(self.content_type), |_| None);
        pieces.into_iter().for_each(|piece| call.chunk(piece));
        call.end();
    }

    fn begin(&self) -> Option<Exchange> {
        Exchange::begin(&Request::new("POST", self.host, self.path).body(self.request))
    }

    /// The span, whichever way the answer is cut: whole, byte by byte, and in two at every place.
    fn in_all_cuts(&self, answer: &[u8]) -> RecordedSpan {
        let whole = self.in_pieces([answer]);
        let bytes = self.in_pieces(answer.chunks(1));
        assert_eq!(said(&whole), said(&bytes), "byte by byte");
        for at in 1..answer.len() {
            let (first, second) = answer.split_at(at);
            assert_eq!(said(&whole), said(&self.in_pieces([first, second])), "cut at {at}");
        }
        whole
    }
}

/// All that a span says, but for what no two have in common.
fn said(span: &RecordedSpan) -> String {
    let mut call = span.call.clone();
    let has_first = call.time_to_first_token.take().is_some();
    format!(
        "{} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {call:?} {has_first}",
        span.name,
        span.status,
        span.error,
        span.error_type,
        span.model,
        span.input,
        span.output,
        span.tools,
        span.tool_calls,
        span.usage,
        span.metadata,
    )
}
