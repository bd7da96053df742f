//! The spool, where only processes show it: those that are killed, those that start, and several at once.

#[allow(dead_code)]
#[path = "support/otlp.rs"]
mod otlp;
#[allow(dead_code)]
#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use self::server::{Request, Response, Server};

/// A directory for a test, which goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tracium-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One of the programs below, while it runs.
struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(case: &str, exporter: &str, url: &str, spool: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", case, "--nocapture", "--ignored"])
            .env("TRACIUM_EXPORTER", exporter)
            .env("TRACIUM_API_KEY", "trc_test")
            .env("TRACIUM_BASE_URL", url)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", url)
            .env("TRACIUM_SPOOL_DIR", spool)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Waits for a line that begins with `what`; the number behind it.
    fn says(&mut self, what: &str) -> u64 {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "it never said {what:?}: {all}");
            // The harness says the test's name before, on the same line.
            if let Some((_, number)) = line.split_once(what) {
                return number.trim().parse().unwrap_or_else(|_| panic!("{line}"));
            }
            all.push_str(&line);
        }
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn ends(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

fn start() -> tracium::Guard {
    tracium::init().unwrap()
}

/// A trace of so many spans, with the trace's own outcome.
fn emit(spans: usize) {
    tracium::start_trace("bot").tenant("acme").run(|| {
        (1..spans).for_each(|_| tracium::start_span("tool", "step").run(|| ()));
    });
}

fn until(mut is_so: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < patience, "{:?}", tracium::stats());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

fn check(stats: &tracium::Stats) {
    assert_eq!(
        stats.emitted + stats.recovered,
        stats.acknowledged + stats.dropped + stats.queued + stats.spooled,
        "{stats:?}"
    );
}

#[test]
#[ignore = "a program that the tests below run"]
fn program_that_spools_and_waits_for_its_end() {
    let _guard = start();
    (0..10).for_each(|_| emit(10));
    until(|| tracium::stats().spooled == 100);
    check(&tracium::stats());
    println!("spooled {}", tracium::stats().spooled);
    for_ever();
}

#[test]
#[ignore = "a program that the tests below run"]
fn program_that_spools_more_and_more() {
    let _guard = start();
    loop {
        (0..20).for_each(|_| emit(10));
        // No faster than the disk, so that what the next start sends is not without end.
        until(|| tracium::stats().buffered_records < 5_000);
        println!("spooled {}", tracium::stats().spooled);
    }
}

#[test]
#[ignore = "a program that the tests below run"]
fn program_that_ends_as_usual() {
    let _guard = start();
    (0..10).for_each(|_| emit(10));
}

#[test]
#[ignore = "a program that the tests below run"]
fn program_that_sends_what_it_finds() {
    let _guard = start();
    let report = tracium::flush(Duration::from_secs(30));
    let stats = tracium::stats();
    assert!(report.complete && report.spooled == 0, "{report:?} {stats:?}");
    check(&stats);
    println!("recovered {}", stats.recovered);
}

#[test]
#[ignore = "a program that the tests below run"]
fn program_that_waits_for_an_orphan() {
    let _guard = start();
    assert_eq!(tracium::flush(Duration::from_secs(10)).spooled, 0);
    println!("found {}", tracium::stats().recovered);
    until(|| tracium::stats().recovered > 0);
    tracium::flush(Duration::from_secs(30));
    check(&tracium::stats());
    println!("recovered {}", tracium::stats().recovered);
}

#[test]
#[ignore = "a program that the tests below run"]
fn program_that_says_what_is_wrong() {
    let error = tracium::init().unwrap_err().to_string();
    println!("error: {} 1", error.replace('\n', " "));
}

/// An address that nobody answers at.
fn nobody() -> String {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", dead.local_addr().unwrap())
}

fn accept(request: &Request) -> Response {
    if request.path == "/v1/traces" { otlp::accept(request) } else { server::accept(request) }
}

/// How often each span came. Of REST the traces' ends count, as OTLP has a root for each.
fn arrived(server: &Server) -> BTreeMap<String, usize> {
    let mut spans = BTreeMap::new();
    let mut came = |id: String| *spans.entry(id).or_default() += 1;
    for request in server.requests() {
        if request.path == "/v1/traces" {
            otlp::spans_of(&request).iter().for_each(|span| came(format!("{:?}", span.span_id)));
        } else if request.path.ends_with("/complete") {
            came(request.path.clone());
        }
        for span in request.body["spans"].as_array().into_iter().flatten() {
            came(span["id"].as_str().unwrap().to_owned());
        }
    }
    spans
}

fn assert_each_once(server: &Server, count: usize) {
    let spans = arrived(server);
    assert_eq!(spans.len(), count);
    assert!(spans.values().all(|times| *times == 1), "some came more than once");
}

/// What the next start sends to a server of its own.
fn next_start(exporter: &str, scratch: &Scratch) -> (Server, u64) {
    let server = Server::start(accept);
    let mut program = Program::start("program_that_sends_what_it_finds", exporter, &server.url(), &scratch.spool());
    let recovered = program.says("recovered ");
    program.ends();
    (server, recovered)
}

#[test]
fn what_was_spooled_before_a_sigkill_is_sent_by_the_next_start_once() {
    for exporter in ["rest", "otlp"] {
        let scratch = Scratch::new(&format!("killed-{exporter}"));
        let case = "program_that_spools_and_waits_for_its_end";
        let mut program = Program::start(case, exporter, &nobody(), &scratch.spool());
        assert_eq!(program.says("spooled "), 100);
        program.kill();
        let (server, recovered) = next_start(exporter, &scratch);
        assert_eq!(recovered, 100);
        assert_each_once(&server, 100);
        let (server, recovered) = next_start(exporter, &scratch);
        assert_eq!((recovered, server.requests().len()), (0, 0), "and no other start");
    }
}

#[test]
fn a_sigkill_in_the_middle_of_writing_leaves_files_that_are_whole() {
    for exporter in ["rest", "otlp"] {
        let scratch = Scratch::new(&format!("amid-{exporter}"));
        let mut program = Program::start("program_that_spools_more_and_more", exporter, &nobody(), &scratch.spool());
        let mut spooled = 0;
        while spooled < 20_000 {
            spooled = program.says("spooled ");
        }
        program.kill();
        let (server, recovered) = next_start(exporter, &scratch);
        assert!(recovered >= spooled, "{recovered} of at least {spooled}");
        assert_each_once(&server, usize::try_from(recovered).unwrap());
        let left = std::fs::read_dir(scratch.spool()).unwrap().count();
        assert_eq!(left, 0, "neither damaged nor unfinished files");
    }
}

#[test]
fn what_is_left_when_the_guard_is_dropped_goes_to_disk_and_is_sent_by_the_next_start_once() {
    for exporter in ["rest", "otlp"] {
        let scratch = Scratch::new(&format!("left-{exporter}"));
        // One that never answers: what is under way then is saved as well.
        let hangs = Server::start(|request| {
            let mut answer = accept(request);
            answer.delay = Duration::from_secs(3_600);
            answer
        });
        Program::start("program_that_ends_as_usual", exporter, &hangs.url(), &scratch.spool()).ends();
        let (server, recovered) = next_start(exporter, &scratch);
        assert_eq!(recovered, 100);
        assert_each_once(&server, 100);
    }
}

#[test]
fn several_processes_on_one_directory_send_each_span_once() {
    for exporter in ["rest", "otlp"] {
        let scratch = Scratch::new(&format!("several-{exporter}"));
        let start = |case, url: &str| Program::start(case, exporter, url, &scratch.spool());
        let mut spooling: Vec<_> =
            (0..4).map(|_| start("program_that_spools_and_waits_for_its_end", &nobody())).collect();
        spooling.iter_mut().for_each(|program| assert_eq!(program.says("spooled "), 100));
        spooling.into_iter().for_each(Program::kill);
        let server = Server::start(accept);
        let mut sending: Vec<_> = (0..3).map(|_| start("program_that_sends_what_it_finds", &server.url())).collect();
        let recovered: u64 = sending.iter_mut().map(|program| program.says("recovered ")).sum();
        sending.into_iter().for_each(Program::ends);
        assert_eq!(recovered, 400);
        assert_each_once(&server, 400);
    }
}

#[test]
fn what_a_process_spooled_is_its_own_while_it_lives_and_then_another_ones() {
    for exporter in ["rest", "otlp"] {
        let scratch = Scratch::new(&format!("lives-{exporter}"));
        let case = "program_that_spools_and_waits_for_its_end";
        let mut first = Program::start(case, exporter, &nobody(), &scratch.spool());
        assert_eq!(first.says("spooled "), 100);
        let server = Server::start(accept);
        let case = "program_that_waits_for_an_orphan";
        let mut second = Program::start(case, exporter, &server.url(), &scratch.spool());
        assert_eq!(second.says("found "), 0);
        first.kill();
        assert_eq!(second.says("recovered "), 100);
        second.ends();
        assert_each_once(&server, 100);
    }
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_what_is_spooled() {
    use std::os::unix::fs::PermissionsExt;
    fn modes(directory: &Path, found: &mut Vec<(bool, u32)>) {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            let metadata = entry.metadata().unwrap();
            found.push((metadata.is_dir(), metadata.permissions().mode() & 0o777));
            if metadata.is_dir() {
                modes(&entry.path(), found);
            }
        }
    }
    let scratch = Scratch::new("modes");
    let case = "program_that_spools_and_waits_for_its_end";
    let mut program = Program::start(case, "rest", &nobody(), &scratch.spool());
    program.says("spooled ");
    let mut found = Vec::new();
    modes(&scratch.0, &mut found);
    program.kill();
    assert!(found.len() > 3, "{found:?}");
    assert!(found.iter().all(|(is_dir, mode)| *mode == if *is_dir { 0o700 } else { 0o600 }), "{found:?}");
}

#[test]
fn a_directory_that_cannot_be_is_said_at_init_by_its_path() {
    let scratch = Scratch::new("cannot-be");
    let file = scratch.0.join("file");
    std::fs::write(&file, "in the way").unwrap();
    for (exporter, path, what) in
        [("rest", file.join("spool"), file.to_str().unwrap()), ("console", scratch.spool(), "TRACIUM_SPOOL_DIR")]
    {
        let mut program = Program::start("program_that_says_what_is_wrong", exporter, &nobody(), &path);
        let mut line = String::new();
        while !line.contains("error: ") {
            line.clear();
            assert!(program.output.read_line(&mut line).unwrap() > 0);
        }
        assert!(line.contains(what), "{line}");
        program.ends();
    }
}
