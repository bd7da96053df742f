//! Values that misbehave, hooks that panic and more than fits into memory: what is sent then, on REST and on OTLP, and what
//! the process occupies. Each runs in a process of its own, which is this program again.

#[allow(dead_code)]
#[path = "support/otlp.rs"]
mod otlp;
#[allow(dead_code)]
#[path = "support/server.rs"]
mod server;

use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde::ser::{Error as _, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use tracium::{Builder, DropReason, ExporterKind, OnFull, Sampler, current_span};

use self::server::Server;

const SCENARIO: &str = "TRACIUM_TEST_SCENARIO";

/// Runs `scenario` for each exporter, in a process of its own each.
fn run_apart(scenario: &str) {
    for exporter in ["rest", "otlp"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "apart", "--nocapture"])
            .env(SCENARIO, format!("{scenario} {exporter}"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{scenario} {exporter}: {text}");
    }
}

/// What the other process runs; nothing in this one.
#[test]
fn apart() {
    let Ok(scenario) = std::env::var(SCENARIO) else { return };
    let (scenario, exporter) = scenario.split_once(' ').unwrap();
    let backend = Backend { is_otlp: exporter == "otlp" };
    match scenario {
        "values" => values(backend),
        "hooks" => hooks(backend),
        "memory" => memory(backend),
        "waits" => waits(backend),
        other => panic!("{other} is none"),
    }
}

#[derive(Clone, Copy)]
struct Backend {
    is_otlp: bool,
}

impl Backend {
    fn start(self) -> Server {
        if self.is_otlp { Server::start(otlp::accept) } else { Server::start(server::accept) }
    }

    fn settings(self, url: String) -> Builder {
        let builder = tracium::builder().api_key("trc_test").capture_content(true);
        if self.is_otlp {
            builder.exporter(ExporterKind::Otlp).otlp_endpoint(url)
        } else {
            builder.exporter(ExporterKind::Rest).base_url(url)
        }
    }

    /// The input and the output of the span `name`, as the backend got them.
    fn values(self, server: &Server, name: &str) -> [Value; 2] {
        if self.is_otlp {
            let spans = otlp::spans(server);
            let is_it = |span: &&opentelemetry_proto::tonic::trace::v1::Span| span.name.ends_with(name);
            let attributes = otlp::attributes(&spans.iter().find(is_it).unwrap().attributes);
            ["input.value", "output.value"].map(|key| {
                let text = attributes.get(key).and_then(Value::as_str).unwrap_or("null");
                serde_json::from_str(text).unwrap_or_else(|_| json!(text))
            })
        } else {
            let requests = server.requests();
            let mut spans = requests.iter().flat_map(|request| request.body["spans"].as_array().into_iter().flatten());
            let span = spans.find(|span| span["name"] == name).unwrap();
            [span["input"].clone(), span["output"].clone()]
        }
    }
}

fn flush() -> tracium::Stats {
    let report = tracium::flush(Duration::from_secs(60));
    assert!(report.complete, "{report:?}");
    at_rest()
}

/// The accounting, with what must hold once nobody emits and the export thread has seen all.
fn at_rest() -> tracium::Stats {
    let began = Instant::now();
    loop {
        let stats = tracium::stats();
        if stats.emitted == stats.acknowledged + stats.dropped + stats.queued {
            return stats;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{stats:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A `Serialize` that gives up half way.
struct Fails;
impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        seq.serialize_element("half")?;
        Err(S::Error::custom("on purpose"))
    }
}

struct Panics;
impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("on purpose")
    }
}

/// So many arrays inside each other.
struct Deep(usize);
impl Serialize for Deep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(1))?;
        if self.0 > 0 {
            seq.serialize_element(&Deep(self.0 - 1))?;
        }
        seq.end()
    }
}

#[test]
fn of_a_value_only_the_field_that_misbehaves_is_replaced_and_it_says_so_on_every_wire() {
    run_apart("values");
}

fn values(backend: Backend) {
    #[derive(Serialize)]
    struct Hostile<'a> {
        before: &'a str,
        nan: f64,
        large: String,
        fails: Fails,
        panics: Panics,
        deep: Deep,
        after: u32,
    }
    let server = backend.start();
    let _guard = backend.settings(server.url()).init().unwrap();
    let hostile = || Hostile {
        before: "kept",
        nan: f64::NAN,
        large: "word ".repeat(10_000_000),
        fails: Fails,
        panics: Panics,
        deep: Deep(10_000),
        after: 7,
    };
    tracium::start_trace("bot").tenant("acme").run(|| {
        tracium::start_span("chain", "hostile").run(|| {
            current_span().record_input(&hostile()).record_output("well");
        });
        tracium::start_span("chain", "alone").run(|| {
            current_span().record_input(&Panics).record_output(&f64::INFINITY);
        });
    });
    assert_eq!(flush().acknowledged, 3);
    let [input, output] = backend.values(&server, "hostile");
    let input = if let Value::String(text) = &input { serde_json::from_str(text).unwrap() } else { input };
    assert_eq!(
        (&input["before"], &input["after"], output),
        (&json!("kept"), &json!(7), json!("well")),
        "{input:.2000}"
    );
    let says = |of: &Value, what: &str| assert!(of.to_string().contains(what), "{what:?} in {of:.500}");
    says(&input["nan"], "NaN");
    says(&input["large"], "bytes cut");
    says(&input["fails"], "[not serializable: on purpose");
    says(&input["panics"], "[not serializable: ");
    says(&input["deep"], "[depth limit]");
    assert!(input.to_string().len() < 110_000, "{}", input.to_string().len());
    let [input, output] = backend.values(&server, "alone");
    says(&input, "[not serializable: ");
    says(&output, "Infinity");
}

#[test]
fn hooks_that_panic_withhold_the_value_and_break_nothing_on_every_wire() {
    run_apart("hooks");
}

fn hooks(backend: Backend) {
    let server = backend.start();
    let sampler = Sampler::ratio(0.0).by_agent(|_| panic!("a sampler's"));
    let _guard = backend
        .settings(server.url())
        .mask(|_, text| assert!(!text.contains("secret"), "a mask's"))
        .sampler(sampler)
        .capture_content_for(|tenant| tenant.is_some_and(|tenant| tenant.as_str() == "acme") || panic!("a rule's"))
        .init()
        .unwrap();
    for tenant in ["acme", "bank"] {
        tracium::start_trace("bot").tenant(tenant).run(|| {
            tracium::start_span("chain", tenant).run(|| {
                current_span().record_input("a secret").record_output("public");
            });
        });
    }
    // A sampler that panics leaves nothing out.
    let stats = flush();
    assert_eq!((stats.acknowledged, stats.dropped), (4, 0), "{stats:?}");
    assert_eq!(backend.values(&server, "acme"), [json!("[withheld: the mask failed]"), json!("public")]);
    assert_eq!(backend.values(&server, "bank"), [Value::Null, Value::Null]);
    for request in server.requests() {
        let text = if backend.is_otlp { format!("{:?}", otlp::decode(&request)) } else { request.body.to_string() };
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn memory_stays_within_its_bound_whatever_is_captured_while_the_backend_is_dead() {
    run_apart("memory");
}

/// What the system says that the process occupies, in bytes; 0 where it does not.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages * 4_096
}

fn memory(backend: Backend) {
    const MOST: u64 = 32 << 20;
    let dead = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let _guard = std::mem::ManuallyDrop::new(backend.settings(dead).max_bytes(MOST as usize).init().unwrap());
    let before = resident();
    let threads = ["acme", "globex"].map(|tenant| {
        thread::spawn(move || {
            let value = "many words ".repeat(1_000);
            // Some 400 MB in all.
            for _ in 0..180 {
                tracium::start_trace("bot").tenant(tenant).run(|| {
                    for _ in 0..100 {
                        tracium::start_span("chain", "step").run(|| {
                            current_span().record_input(&value);
                        });
                    }
                });
                assert!(tracium::stats().buffered_bytes <= MOST + MOST / 7, "{:?}", tracium::stats());
            }
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    tracium::flush(Duration::from_millis(100));
    let stats = at_rest();
    assert_eq!((stats.emitted, stats.max_bytes), (2 * 180 * 101, MOST), "{stats:?}");
    assert!(stats.queued > 0 && stats.buffered_bytes <= MOST + MOST / 7, "{stats:?}");
    assert_eq!(stats.dropped, stats.dropped_by(DropReason::QueueFull), "{stats:?}");
    let grown = resident().saturating_sub(before);
    println!("{} MiB buffered, {} MiB more resident", stats.buffered_bytes >> 20, grown >> 20);
    // Beside them the process has what allocators keep, requests under way and the threads' own.
    assert!(grown < 2 * MOST + (64 << 20), "{grown}: {stats:?}");
}

#[test]
fn who_may_wait_for_room_loses_nothing() {
    run_apart("waits");
}

fn waits(backend: Backend) {
    let server = backend.start();
    let on_full = OnFull::Block(Duration::from_secs(60));
    let _guard = backend.settings(server.url()).max_records(1_000).on_full(on_full).init().unwrap();
    tracium::start_trace("bot").run(|| (0..5_000).for_each(|_| tracium::start_span("chain", "step").run(|| ())));
    let stats = flush();
    assert_eq!((stats.emitted, stats.acknowledged, stats.max_records), (5_001, 5_001, 1_000), "{stats:?}");
}
