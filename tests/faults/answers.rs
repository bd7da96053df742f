//! A backend whose answer breaks off, does not come, or is none.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use tracium::DropReason;

use crate::faults::{Protocol, assert_all_arrived, assert_lost, flush, watch, work};
use crate::own_process::{faults, in_own_process};
use crate::refusing::typed;
use crate::server::{Fault, Response, Server};
use crate::{otlp, server};

/// Row 8. REST has no such answer.
#[test]
fn a_partial_success_is_counted_exactly_and_never_sent_again() {
    in_own_process(concat!(module_path!(), "::a_partial_success_is_counted_exactly_and_never_sent_again"), || {
        let server = Server::start(|request| {
            let rejected_spans = i64::from(otlp::spans_of(request).len() > 1) * 3;
            let partial = ExportTracePartialSuccess { rejected_spans, error_message: "too old".to_owned() };
            otlp::answer(200, ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec())
        });
        let _guard = Protocol::Otlp.to(&server.url()).init().unwrap();
        let watch = watch();
        work(9);
        let stats = flush();
        assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::Rejected)), (7, 3), "{stats:?}");
        assert_eq!(otlp::spans(&server).len(), 10, "each was sent once");
        assert!(stats.last_error.unwrap().1.contains("too old"));
        drop(watch);
    });
}

/// An answer with something in it to break off from.
fn whole(with: Protocol) -> Response {
    match with {
        Protocol::Rest => Response::json(200, "{\"status\": \"0123456789\"}"),
        Protocol::Otlp => Response::json(200, "{\"partialSuccess\": {}}"),
    }
}

/// Each of the first requests comes to `fault`; and then, each other one while there are more.
fn meets(with: Protocol, fault: Fault) {
    let server = with.scripted(vec![
        whole(with).with(fault),
        whole(with).with(fault),
        with.answer(503),
        whole(with).with(fault),
    ]);
    let _guard = with.to(&server.url()).request_timeout(Duration::from_millis(300)).init().unwrap();
    let watch = watch();
    for _ in 0..4 {
        work(5);
    }
    assert_all_arrived(with, &server);
    drop(watch);
}

faults! {
    /// Row 9.
    fn an_answer_that_never_comes_loses_nothing(with) {
        meets(with, Fault::Hang);
    }

    /// Row 9.
    fn an_answer_that_stalls_halfway_loses_nothing(with) {
        meets(with, Fault::Stall);
    }

    /// Row 9: what arrived before its answer was lost arrives again, under the same ids.
    fn what_is_sent_again_has_the_same_ids(with) {
        let server = with.serve({
            let lost = std::sync::atomic::AtomicBool::new(false);
            move |request| {
                let of_spans = with == Protocol::Otlp || request.path.ends_with("/spans");
                (of_spans && !lost.swap(true, std::sync::atomic::Ordering::Relaxed))
                    .then(|| whole(with).with(Fault::Hang))
            }
        });
        let _guard = with.to(&server.url()).request_timeout(Duration::from_millis(300)).init().unwrap();
        work(5);
        assert_all_arrived(with, &server);
        let sent: Vec<_> = server.requests().into_iter().filter(|request| !request.taken).collect();
        assert_eq!(sent.len(), 1);
        let again = server.requests().into_iter().find(|request| request.taken && request.path == sent[0].path);
        assert_eq!(again.unwrap().raw, sent[0].raw, "the same request, byte by byte");
    }

    /// Row 10.
    fn a_connection_that_is_reset_loses_nothing(with) {
        meets(with, Fault::Reset);
    }

    /// Row 10: closed between two requests, where the client kept it.
    fn a_kept_connection_that_is_closed_loses_nothing(with) {
        let server = with.serve(move |request| Some(with.accept(request).with(Fault::Close)));
        let _guard = with.to(&server.url()).init().unwrap();
        let watch = watch();
        for _ in 0..5 {
            work(3);
            flush();
        }
        assert_all_arrived(with, &server);
        drop(watch);
    }

    /// Row 11.
    fn a_truncated_answer_loses_nothing(with) {
        let mut truncated = whole(with);
        truncated.truncated = true;
        let server = with.scripted(vec![truncated.clone(), truncated]);
        let _guard = with.to(&server.url()).init().unwrap();
        work(3);
        assert_all_arrived(with, &server);
    }

    /// Row 11.
    fn a_slow_answer_is_waited_for_up_to_the_time_a_request_may_take(with) {
        let mut slow = with.answer(200);
        slow.delay = Duration::from_millis(200);
        let mut too_slow = slow.clone();
        too_slow.delay = Duration::from_secs(3);
        let server = with.scripted(vec![with.answer(503), too_slow]);
        let _guard = with.to(&server.url()).init().unwrap();
        work(3);
        let stats = flush();
        assert_eq!((stats.acknowledged, stats.dropped), (4, 0), "{stats:?}");
        assert!(server.requests().len() >= 3, "the one that was too slow is sent again");
    }

    /// Row 12.
    fn what_is_no_answer_of_the_api_is_never_counted_as_sent(with) {
        let page = "<html>please log in</html>";
        let script = [typed(with, "text/html", page), typed(with, "text/plain", "ok"), typed(with, "", page)];
        // None of it is the API's, whatever its status says.
        let server = Server::start({
            let next = std::sync::atomic::AtomicUsize::new(0);
            move |request| {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                script.get(at).cloned().unwrap_or_else(|| with.accept(request))
            }
        });
        let _guard = with.to(&server.url()).init().unwrap();
        for _ in 0..3 {
            work(3);
            let stats = flush();
            assert_eq!(stats.acknowledged, 0, "{stats:?}");
        }
        work(3);
        let stats = flush();
        assert_eq!((stats.acknowledged, stats.dropped_by(DropReason::BadResponse)), (4, 12), "{stats:?}");
        assert_eq!(stats.dropped, 12);
    }

    /// Row 12.
    fn a_redirect_is_not_followed_and_the_key_is_not_sent_on(with) {
        let other = Server::start(server::accept);
        let location = other.url();
        let server = with.serve(move |request| {
            let mut redirect = with.answer(307);
            redirect.headers.push(("location", format!("{location}{}", request.path)));
            Some(redirect)
        });
        let _guard = with.to(&server.url()).init().unwrap();
        work(3);
        assert_lost(with, &server, DropReason::BadResponse, 4);
        assert!(other.requests().is_empty());
    }
}
