//! What an answer means for what was sent.

use std::time::Duration;

use super::client::{Body, Reply};
use crate::collect::ledger::DropReason;

/// Which call of the API a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Create,
    Spans,
    /// Spans that are still open: worth one try, and counted nowhere.
    Announce,
    /// Complete or fail.
    End,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Delivered {
        /// The id under which the backend knows the trace, where it said one.
        id: Option<String>,
    },
    /// The same again, later; a `strike` is a failure that is not borne without end.
    Again { after: Option<Duration>, backend_down: bool, strike: bool },
    /// The same again, without what we add to the protocol.
    Plain,
    /// The backend does not know the trace: create it again.
    Recreate,
    /// The same in smaller pieces.
    Split,
    /// Never again.
    Drop(DropReason),
}

/// How often a failure that may be a passing one is tried again.
const BOUNDED: u32 = 4;

/// What happened to a lane before this answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    /// Failures that are not borne without end, since spans or the end were last delivered.
    pub(super) strikes: u32,
    /// This call may have reached the backend before.
    pub(super) resent: bool,
    /// The request had what we add to the protocol.
    pub(super) extras: bool,
}

pub(super) fn judge(call: Call, reply: &Reply, past: Past) -> Verdict {
    let Reply::Answer { status, retry_after, body } = reply else {
        // Nothing came back: the same ids make a resend harmless.
        return Verdict::Again { after: None, backend_down: true, strike: false };
    };
    let again = |backend_down| Verdict::Again { after: *retry_after, backend_down, strike: false };
    let bounded = |backend_down, reason| {
        if past.strikes < BOUNDED {
            Verdict::Again { after: *retry_after, backend_down, strike: true }
        } else {
            Verdict::Drop(reason)
        }
    };
    match (status, call) {
        // An end, or a create that was sent twice. One that was not is somebody else's trace of the same id.
        (409, Call::End) => Verdict::Delivered { id: None },
        (409, Call::Create) if past.resent => Verdict::Delivered { id: None },
        (200..=299, _) => match body {
            Body::Json(id) => Verdict::Delivered { id: id.clone() },
            Body::Empty if call != Call::Create => Verdict::Delivered { id: None },
            Body::Empty | Body::Other => Verdict::Drop(DropReason::BadResponse),
            Body::CutOff => again(false),
        },
        (300..=399, _) => Verdict::Drop(DropReason::BadResponse),
        (400 | 422, Call::Spans | Call::Announce) if past.extras => Verdict::Plain,
        (401, _) => bounded(true, DropReason::Unauthorized),
        (404, Call::Create) => bounded(true, DropReason::Rejected),
        (404, _) if past.strikes < BOUNDED => Verdict::Recreate,
        (404, _) => Verdict::Drop(DropReason::UnknownTrace),
        (413, Call::Spans) => Verdict::Split,
        (413, _) => Verdict::Drop(DropReason::TooLarge),
        (408 | 425, _) => again(false),
        (429 | 502 | 503 | 504, _) => again(true),
        (500..=599, _) => bounded(false, DropReason::ServerError),
        _ => Verdict::Drop(DropReason::Rejected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: Body) -> Reply {
        Reply::Answer { status, retry_after: None, body }
    }

    fn past(strikes: u32, extras: bool) -> Past {
        Past { strikes, resent: strikes > 0, extras }
    }

    fn empty(status: u16) -> Reply {
        answer(status, Body::Empty)
    }

    #[test]
    fn nothing_but_an_answer_of_the_api_counts_as_delivered() {
        let id = Some("t-1".to_owned());
        let created = judge(Call::Create, &answer(201, Body::Json(id.clone())), past(0, true));
        assert_eq!(created, Verdict::Delivered { id });
        assert_eq!(judge(Call::Spans, &empty(204), past(0, true)), Verdict::Delivered { id: None });
        let login = answer(200, Body::Other);
        assert_eq!(judge(Call::Spans, &login, past(0, true)), Verdict::Drop(DropReason::BadResponse));
        assert_eq!(judge(Call::Spans, &empty(302), past(0, true)), Verdict::Drop(DropReason::BadResponse));
    }

    #[test]
    fn passing_failures_are_tried_again_without_end_and_a_500_is_not() {
        for status in [429, 502, 503, 504] {
            assert!(matches!(judge(Call::Spans, &empty(status), past(99, true)), Verdict::Again { .. }), "{status}");
        }
        assert!(matches!(judge(Call::End, &empty(500), past(3, true)), Verdict::Again { .. }));
        assert_eq!(judge(Call::End, &empty(500), past(4, true)), Verdict::Drop(DropReason::ServerError));
        assert_eq!(judge(Call::End, &empty(401), past(4, true)), Verdict::Drop(DropReason::Unauthorized));
    }

    #[test]
    fn an_extra_never_costs_a_span() {
        assert_eq!(judge(Call::Spans, &empty(422), past(0, true)), Verdict::Plain);
        assert_eq!(judge(Call::Spans, &empty(422), past(0, false)), Verdict::Drop(DropReason::Rejected));
    }

    #[test]
    fn an_unknown_trace_is_created_again_a_bounded_time() {
        assert_eq!(judge(Call::Spans, &empty(404), past(0, true)), Verdict::Recreate);
        assert_eq!(judge(Call::Spans, &empty(404), past(4, true)), Verdict::Drop(DropReason::UnknownTrace));
    }

    #[test]
    fn a_create_or_end_that_was_there_already_is_delivered() {
        assert_eq!(judge(Call::Create, &empty(409), past(1, true)), Verdict::Delivered { id: None });
        assert_eq!(judge(Call::End, &empty(409), past(1, true)), Verdict::Delivered { id: None });
        let taken = judge(Call::Create, &empty(409), past(0, true));
        assert_eq!(taken, Verdict::Drop(DropReason::Rejected), "somebody else's trace of that id");
    }
}
