//! A backend that is not there, or says no.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tracium::DropReason;

use crate::faults::{Protocol, assert_all_arrived, assert_lost, at_rest, flush, made, watch, work};
use crate::otlp::spans_of;
use crate::own_process::faults;
use crate::server::{Request, Response, Server};

/// An address where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Nothing is lost while nobody answers, and all of it is counted when the export stops.
fn holds_all_and_then_counts() {
    let _watch = watch();
    work(9);
    let report = tracium::flush(Duration::from_millis(1_500));
    assert_eq!((report.complete, report.queued), (false, 10), "{report:?}");
    let stats = at_rest();
    assert_eq!((stats.queued, stats.dropped), (10, 0), "{stats:?}");
    assert!(stats.last_error.is_some(), "it says why");
    tracium::shutdown(Duration::from_millis(100));
    let stats = at_rest();
    assert_eq!((stats.queued, stats.dropped_by(DropReason::Shutdown)), (0, 10), "{stats:?}");
}

/// A backend that is down for `outage` from the first request, which `builder` sends to.
fn is_down_for(with: Protocol, outage: Duration, patient: bool) {
    let first = std::sync::OnceLock::new();
    let server = with.serve(move |_| (first.get_or_init(Instant::now).elapsed() < outage).then(|| with.answer(503)));
    let builder = if patient { with.to_patiently(&server.url()) } else { with.to(&server.url()) };
    let guard = builder.init().unwrap();
    let watch = watch();
    (0..20).for_each(|_| work(10));
    assert_all_arrived(with, &server);
    assert!(server.requests().iter().any(|request| !request.taken), "it was down");
    drop((watch, guard));
}

fn of(request: &Request) -> &str {
    request.path.rsplit('/').next().unwrap()
}

/// The refused part of a REST or OTLP request: the spans that it carries.
fn spans_in(with: Protocol, request: &Request) -> usize {
    match with {
        Protocol::Rest => request.body["spans"].as_array().map_or(0, Vec::len),
        Protocol::Otlp => spans_of(request).len(),
    }
}

faults! {
    /// Row 1: connections are refused, and later they are not.
    fn a_backend_that_comes_up_late_gets_everything(with) {
        let address = nobody();
        let _guard = with.to(&format!("http://{address}")).init().unwrap();
        let watch = watch();
        (0..20).for_each(|_| work(9));
        let report = tracium::flush(Duration::from_millis(300));
        assert_eq!((report.complete, report.queued), (false, 200), "{report:?}");
        assert_eq!(at_rest().queued, 200);
        let server = Server::start_at(address, move |request| with.accept(request));
        assert_all_arrived(with, &server);
        drop(watch);
    }

    /// Row 1: a name that is nobody's.
    fn where_a_name_is_not_found_all_is_held_and_then_counted(with) {
        let _guard = with.to("http://backend.invalid").allow_http_host("backend.invalid").init().unwrap();
        holds_all_and_then_counts();
    }

    /// Row 1: what listens does not speak TLS.
    fn where_tls_fails_all_is_held_and_then_counted(with) {
        let server = with.serve(|_| None);
        let _guard = with.to(&server.url().replace("http://", "https://")).init().unwrap();
        holds_all_and_then_counts();
    }

    /// Row 2, in real time.
    fn two_seconds_of_503_lose_nothing(with) {
        is_down_for(with, Duration::from_secs(2), true);
    }

    /// Row 2: 60 seconds, where all waits are a fortieth of the usual.
    fn what_a_minute_of_503_comes_to_loses_nothing(with) {
        is_down_for(with, Duration::from_millis(1_500), false);
    }

    /// Row 2: what ended in the meantime, too.
    fn a_backend_that_fails_every_other_time_loses_nothing(with) {
        let count = AtomicUsize::new(0);
        let server = with.serve(move |_| {
            // REST has some more that pass.
            let passing = if with == Protocol::Rest { &[408, 425, 429, 502, 503, 504][..] } else { &[429, 502, 503, 504] };
            let at = count.fetch_add(1, Ordering::Relaxed);
            at.is_multiple_of(2).then(|| with.answer(passing[at / 2 % passing.len()]))
        });
        let _guard = with.to(&server.url()).init().unwrap();
        let watch = watch();
        for _ in 0..20 {
            work(10);
            tracium::flush(Duration::from_millis(5));
        }
        assert_all_arrived(with, &server);
        drop(watch);
    }

    /// Row 3; that it is capped is a test of `export::http::gate`.
    fn retry_after_is_waited_for_in_seconds_and_as_a_date(with) {
        let in_two_seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 2;
        let later = |value: String| {
            let mut answer = with.answer(429);
            answer.headers.push(("retry-after", value));
            answer
        };
        let server = with.scripted(vec![later("1".to_owned()), later(http_date(in_two_seconds))]);
        let _guard = with.to(&server.url()).init().unwrap();
        work(3);
        assert_all_arrived(with, &server);
        let requests = server.requests();
        assert!(requests[1].at - requests[0].at >= Duration::from_secs(1), "{requests:?}");
        // The second that it names had begun, or not.
        let until_date = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(until_date >= in_two_seconds, "{requests:?}");
    }

    /// Row 4: a 500 is the end of an OTLP request; REST tries a bounded time.
    fn a_500_is_counted_after_no_retry_or_a_bounded_number(with) {
        let server = with.serve(move |_| Some(with.answer(500)));
        let _guard = with.to(&server.url()).init().unwrap();
        let watch = watch();
        work(2);
        let stats = assert_lost(with, &server, DropReason::ServerError, 3);
        assert!(stats.last_error.unwrap().1.contains("500"));
        assert_eq!(server.requests().len(), if with == Protocol::Rest { 5 } else { 1 });
        drop(watch);
    }

    /// Row 4: what REST tries again arrives.
    fn two_times_500_cost_rest_nothing_and_otlp_what_was_sent(with) {
        let server = with.scripted(vec![with.answer(500), with.answer(500)]);
        let _guard = with.to(&server.url()).init().unwrap();
        for _ in 0..3 {
            work(2);
            flush();
        }
        match with {
            Protocol::Rest => assert_all_arrived(with, &server),
            Protocol::Otlp => drop(assert_lost(with, &server, DropReason::ServerError, 6)),
        }
    }

    /// Row 5.
    fn a_400_or_403_is_counted_at_once_and_costs_no_other(with) {
        let server = with.scripted(vec![with.answer(400), with.answer(403)]);
        let _guard = with.to(&server.url()).init().unwrap();
        for _ in 0..3 {
            work(4);
            flush();
        }
        assert_lost(with, &server, DropReason::Rejected, 10);
        let refused = server.requests().iter().filter(|request| !request.taken).count();
        assert_eq!(refused, 2, "nothing of what was refused is sent again");
    }

    /// Row 5: the backend's own check of a key may be down.
    fn a_401_that_passes_costs_nothing(with) {
        let server = with.scripted(vec![with.answer(401), with.answer(401)]);
        let _guard = with.to(&server.url()).init().unwrap();
        work(2);
        assert_all_arrived(with, &server);
    }

    /// Row 5.
    fn a_wrong_key_is_tried_a_bounded_time_and_then_counted(with) {
        let server = with.serve(move |_| Some(with.answer(401)));
        let _guard = with.to(&server.url()).init().unwrap();
        let watch = watch();
        work(2);
        let stats = assert_lost(with, &server, DropReason::Unauthorized, 3);
        assert_eq!(server.requests().len(), 5);
        let text = format!("{stats:?}");
        assert!(!text.contains("trc_secret"), "{text}");
        drop(watch);
    }

    /// Row 6: a deploy forgets a trace once. OTLP knows no traces: a 404 is a refusal, and the next request is sent.
    fn a_trace_that_was_forgotten_is_created_again_and_no_other_suffers(with) {
        let forgot = AtomicBool::new(false);
        let server = with.serve(move |request| {
            let hit = with == Protocol::Otlp || of(request) == "spans";
            (hit && !forgot.swap(true, Ordering::Relaxed)).then(|| with.answer(404))
        });
        let _guard = with.to(&server.url()).init().unwrap();
        for _ in 0..2 {
            work(3);
            flush();
        }
        match with {
            Protocol::Rest => {
                assert_all_arrived(with, &server);
                let requests = server.requests();
                let calls: Vec<_> = requests.iter().map(of).collect();
                let first = ["traces", "spans", "traces", "spans", "complete"];
                assert_eq!(calls, [&first[..], &["traces", "spans", "complete"]].concat());
            }
            Protocol::Otlp => drop(assert_lost(with, &server, DropReason::Rejected, 4)),
        }
    }

    /// Row 7.
    fn too_much_at_once_is_split_and_only_what_cannot_be_is_lost(with) {
        let server = with.serve(move |request| {
            let huge = match with {
                Protocol::Rest => request.raw.len() > 20_000,
                Protocol::Otlp => spans_of(request).iter().any(|span| format!("{span:?}").len() > 10_000),
            };
            (huge || spans_in(with, request) > 40).then(|| with.answer(413))
        });
        let _guard = with.to(&server.url()).init().unwrap();
        let watch = watch();
        work(100);
        tracium::start_trace("bot").run(|| {
            let step = |name: &'static str, input: &str| {
                tracium::start_span("plan", name).run(|| {
                    tracium::current_span().record_input(input);
                    crate::faults::note(&tracium::current_span(), name);
                });
            };
            step("small", "x");
            step("huge", &"x ".repeat(20_000));
            step("small", "x");
            crate::faults::note_end(tracium::current_span().trace_id());
        });
        let stats = assert_lost(with, &server, DropReason::TooLarge, 1);
        assert_eq!(stats.emitted, 105);
        let arrived = with.arrived(&server);
        let names: Vec<&String> = arrived.0.values().flat_map(|trace| trace.spans.values()).collect();
        assert!(!names.iter().any(|name| *name == "huge"));
        assert_eq!(names.iter().filter(|name| **name == "small").count(), 2);
        assert_eq!(made().count(), 105);
        drop(watch);
    }
}

/// A date as HTTP has it.
fn http_date(unix: u64) -> String {
    // Days since 1970-01-01, in years of the Gregorian calendar.
    let (mut year, mut day) = (1970, unix / 86_400);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (unix / 3_600 % 24, unix / 60 % 60, unix % 60);
    // Nobody reads the day of the week.
    format!("Sat, {:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT", day + 1, names[month])
}

/// An answer that `with` gives, with another type of content.
pub(crate) fn typed(with: Protocol, content_type: &str, body: &str) -> Response {
    let mut response = with.answer(200);
    content_type.clone_into(&mut response.headers[0].1);
    response.body = body.as_bytes().to_vec();
    response
}
