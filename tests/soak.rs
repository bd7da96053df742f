//! Ten minutes of 20,000 spans a second, to REST and to OTLP beside each other, through a backend that fails at random:
//! nothing is unaccounted for, and memory stays flat.
//!
//! `TRACIUM_SOAK_SECONDS=60 cargo test --release --test soak -- --ignored --nocapture`

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tracium::{DropReason, ExporterKind, Stats};

const SPANS_A_SECOND: u64 = 20_000;
/// Of each trace, its root included.
const SPANS: u64 = 500;
const TENANTS: [&str; 5] = ["acme", "globex", "initech", "umbrella", "hooli"];

/// A backend that keeps nothing, and fails at so many of 1,000 requests.
struct Backend {
    is_otlp: bool,
    fails_of_1000: u64,
    requests: AtomicU64,
    faults: AtomicU64,
}

/// Always the same faults, in the order in which requests come.
fn random(of: u64) -> u64 {
    let mut x = of.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl Backend {
    fn start(is_otlp: bool, fails_of_1000: u64) -> (String, Arc<Self>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (requests, faults) = (AtomicU64::new(0), AtomicU64::new(0));
        let backend = Arc::new(Self { is_otlp, fails_of_1000, requests, faults });
        let serving = Arc::clone(&backend);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let backend = Arc::clone(&serving);
                thread::spawn(move || backend.serve(stream));
            }
        });
        (url, backend)
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut writer = stream;
        loop {
            let id = read(&mut reader)?;
            let chance = random(self.requests.fetch_add(1, Ordering::Relaxed));
            if chance % 1_000 >= self.fails_of_1000 {
                writer.write_all(self.accepted(&id).as_bytes()).ok()?;
                continue;
            }
            self.faults.fetch_add(1, Ordering::Relaxed);
            let answer = match chance / 1_000 % 7 {
                0 => head(503, "application/json", "", 2) + "{}",
                1 => head(429, "application/json", "retry-after: 1\r\n", 2) + "{}",
                // The connection is reset.
                2 => return None,
                // More than the time limit of a request.
                3 => {
                    thread::sleep(Duration::from_secs(3));
                    return None;
                }
                // Broken off in the body.
                4 => {
                    writer.write_all((head(200, "application/json", "", 20) + "{\"id\"").as_bytes()).ok()?;
                    return None;
                }
                5 => head(413, "application/json", "", 2) + "{}",
                // Of OTLP, the first span is rejected.
                _ if self.is_otlp => head(200, "application/x-protobuf", "", 4) + "\x0a\x02\x08\x01",
                _ => head(502, "text/html", "", 6) + "<html>",
            };
            writer.write_all(answer.as_bytes()).ok()?;
        }
    }

    fn accepted(&self, id: &str) -> String {
        match id {
            _ if self.is_otlp => head(200, "application/x-protobuf", "", 0),
            "" => head(200, "application/json", "", 2) + "{}",
            id => {
                let body = format!("{{\"id\":\"{id}\"}}");
                head(201, "application/json", "", body.len()) + &body
            }
        }
    }
}

fn head(status: u16, content_type: &str, more: &str, length: usize) -> String {
    format!("HTTP/1.1 {status} status\r\ncontent-type: {content_type}\r\n{more}content-length: {length}\r\n\r\n")
}

/// Reads a request; the trace's id where it creates one, else nothing. `None` where no more come.
fn read(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut line, mut length, mut creates) = (String::new(), 0, false);
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let text = line.trim_end().to_ascii_lowercase();
        creates |= text.starts_with("post /agents/traces http");
        if let Some(value) = text.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
        if text.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    if !creates {
        return Some(String::new());
    }
    let body: serde_json::Value = serde_json::from_slice(&body).ok()?;
    Some(body["trace_id"].as_str()?.to_owned())
}

#[tracium::span(kind = "tool")]
fn step() {}

#[tracium::span(kind = "llm", model = "gpt-4o")]
fn call(prompt: &str) {
    tracium::current_span().record_input(prompt).set_token_usage(tracium::TokenUsage::new(10, 5));
}

#[tracium::trace(agent = "soak", tenant = tenant)]
fn run(tenant: &str) {
    call("what is the weather like where you are, and will it stay like this until the end of the week?");
    (2..SPANS).for_each(|_| step());
}

/// What the system says that the process occupies, in MiB; `None` where it does not.
fn resident() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4_096 / (1 << 20))
}

fn assert_accounted(stats: &Stats) {
    for exporter in &stats.exporters {
        assert_eq!(stats.emitted, exporter.acknowledged + exporter.dropped + exporter.queued, "{stats:?}");
        // What the backend refused is counted as that, and nothing else is lost.
        let reasons = [DropReason::Rejected, DropReason::TooLarge];
        let lost = exporter.dropped_by_reason.iter().find(|(reason, _)| !reasons.contains(reason));
        assert_eq!(lost, None, "{stats:?}");
    }
}

#[test]
#[ignore = "ten minutes"]
fn ten_minutes_through_a_backend_that_fails_at_random_lose_nothing_uncounted_and_hold_no_memory() {
    let seconds = std::env::var("TRACIUM_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    let (rest_url, rest) = Backend::start(false, 10);
    let (otlp_url, otlp) = Backend::start(true, 50);
    let guard = tracium::builder()
        .exporter(ExporterKind::Rest)
        .api_key("trc_test")
        .base_url(rest_url)
        .add_exporter(ExporterKind::Otlp)
        .otlp_endpoint(otlp_url)
        .request_timeout(Duration::from_secs(2))
        .init()
        .unwrap();
    let began = Instant::now();
    let (mut traces, mut most_queued, mut early) = (0, 0, None);
    while began.elapsed() < Duration::from_secs(seconds) {
        run(TENANTS[traces as usize % TENANTS.len()]);
        traces += 1;
        let due = began + Duration::from_micros(traces * SPANS * 1_000_000 / SPANS_A_SECOND);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if traces % (10 * SPANS_A_SECOND / SPANS) == 0 {
            let stats = tracium::stats();
            most_queued = most_queued.max(stats.queued);
            let (at, exporters) = (began.elapsed().as_secs(), &stats.exporters);
            let faults = (rest.faults.load(Ordering::Relaxed), otlp.faults.load(Ordering::Relaxed));
            println!(
                "{at} s: emitted {}, queued {} and {}, {} MiB in {:?} MiB, faults {faults:?}",
                stats.emitted,
                exporters[0].queued,
                exporters[1].queued,
                stats.buffered_bytes >> 20,
                resident(),
            );
            // The first minute finds out how much is in use at a time.
            if at <= 60.max(seconds / 10) {
                early = early.max(resident());
            }
        }
    }
    let report = tracium::flush(Duration::from_secs(120));
    let stats = tracium::stats();
    println!("{report:?} {stats:#?}");
    assert!(report.complete, "{report:?}");
    assert_eq!(stats.emitted, traces * SPANS);
    assert_accounted(&stats);
    assert_eq!((stats.queued, stats.buffered_records, stats.buffered_bytes), (0, 0, 0), "{stats:?}");
    let requests = [&rest, &otlp].map(|backend| backend.requests.load(Ordering::Relaxed));
    let (faults, late) = ([&rest, &otlp].map(|backend| backend.faults.load(Ordering::Relaxed)), resident());
    println!(
        "{traces} traces, at most {most_queued} queued; {requests:?} requests, {faults:?} faults; {early:?}, then {late:?} MiB"
    );
    if let (Some(early), Some(late)) = (early, late) {
        assert!(late <= early * 3 / 2 + 64, "{early} MiB became {late} MiB");
    }
    drop(guard);
}
