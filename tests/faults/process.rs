//! Processes that end, are stopped, or cannot have a thread.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tracium::DropReason;

use crate::faults::{Protocol, Traces, at_rest, flush, made, until, work};
use crate::own_process::{Program, command};
use crate::refusing::nobody;
use crate::server::Server;

/// Runs the test `name` below as a program that exports to `url`.
fn program(name: &str, with: Protocol, url: &str) -> Command {
    let mut command = command(&format!("process::{name}"));
    command.env("FAULT_URL", url).env("FAULT_PROTOCOL", format!("{with:?}"));
    command
}

/// Inside a program: what its settings say.
fn settings() -> Option<(Protocol, tracium::Builder)> {
    let url = std::env::var("FAULT_URL").ok()?;
    let with = if std::env::var("FAULT_PROTOCOL").ok()? == "Rest" { Protocol::Rest } else { Protocol::Otlp };
    Some((with, with.to(&url)))
}

/// Tells whoever runs the program what it made.
fn tell_made() {
    // What tells of the test stands on this line.
    println!();
    for (id, trace) in made().0 {
        for (span, name) in trace.spans {
            println!("made {id} {span} {name}");
        }
        println!("ended {id}");
    }
    println!("told");
    std::io::stdout().flush().unwrap();
}

/// What a program said that it made.
fn told(output: &str) -> Traces {
    let mut told = Traces::default();
    for line in output.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["made", trace, span, name] => {
                told.0.entry(trace.to_owned()).or_default().spans.insert(span.to_owned(), name.to_owned());
            }
            ["ended", trace] => told.0.entry(trace.to_owned()).or_default().ended = true,
            _ => {}
        }
    }
    told
}

const BOTH: [Protocol; 2] = [Protocol::Rest, Protocol::Otlp];

#[test]
#[ignore = "a program that a test below runs"]
fn returns() {
    let Some((_, builder)) = settings() else { return };
    let guard = builder.init().unwrap();
    work(9);
    drop(guard);
    let stats = at_rest();
    assert_eq!((stats.emitted, stats.queued, stats.acknowledged), (10, 10, 0), "{stats:?}");
    assert!(stats.last_error.is_some());
    println!("counted");
}

/// Row 24: 5 seconds, in which it tries.
#[test]
fn main_returns_while_the_backend_is_dead_within_the_guards_five_seconds_and_all_is_counted() {
    std::thread::scope(|scope| {
        for with in BOTH {
            scope.spawn(move || {
                let before = Instant::now();
                let url = format!("http://{}", nobody());
                let (status, output) = Program::start(&mut program("returns", with, &url)).end();
                assert!(status.success() && output.contains("counted"), "{output}");
                assert!(before.elapsed() < Duration::from_secs(15), "{:?}", before.elapsed());
            });
        }
    });
}

#[test]
#[ignore = "a program that a test below runs"]
fn ends_at_once() {
    let Some((_, builder)) = settings() else { return };
    std::mem::forget(builder.init().unwrap());
    (0..3).for_each(|_| work(5));
    flush();
    println!("flushed");
    tell_made();
    (0..3).for_each(|_| work(5));
    tell_made();
    match std::env::var("FAULT_END").as_deref() {
        Ok("exit") => std::process::exit(7),
        Ok("abort") => std::process::abort(),
        _ => loop {
            std::thread::park();
        },
    }
}

/// Row 25: what was flushed has arrived, and of the rest at most what was made. Without a spool that is all.
#[test]
fn a_process_that_exits_aborts_or_is_killed_loses_no_more_than_what_was_not_flushed() {
    for with in BOTH {
        for end in ["exit", "abort", "kill"] {
            let server = with.serve(|_| None);
            let mut command = program("ends_at_once", with, &server.url());
            let mut child = command.env("FAULT_END", end).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
            let mut until_told = || lines.by_ref().take_while(|line| line != "told").collect::<Vec<_>>().join("\n");
            let flushed = told(&until_told());
            let all = told(&until_told());
            if end == "kill" {
                child.kill().unwrap();
            }
            let status = child.wait().unwrap();
            match end {
                "exit" => assert_eq!(status.code(), Some(7)),
                "abort" => assert_eq!(status.signal(), Some(libc::SIGABRT)),
                _ => assert_eq!(status.signal(), Some(libc::SIGKILL)),
            }
            assert_eq!((flushed.count(), all.count()), (18, 36));
            let arrived = with.arrived(&server).without_empty();
            assert!(flushed.is_in(&arrived) && arrived.is_in(&all), "{end}: {arrived:#?}");
        }
    }
}

#[cfg(feature = "signal")]
#[test]
#[ignore = "a program that a test below runs"]
fn waits_for_sigterm() {
    let Some((_, builder)) = settings() else { return };
    let _guard = builder.flush_on_terminate(Duration::from_secs(30)).init().unwrap();
    (0..3).for_each(|_| work(50));
    tell_made();
    loop {
        std::thread::park();
    }
}

/// Row 26: opt-in. The process dies of the signal, as it would have.
#[cfg(feature = "signal")]
#[test]
fn what_ended_before_a_sigterm_is_sent_before_the_process_dies_of_it() {
    for with in BOTH {
        let server = with.scripted(vec![with.answer(503), with.answer(503)]);
        let mut command = program("waits_for_sigterm", with, &server.url());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let told = told(&lines.take_while(|line| line != "told").collect::<Vec<_>>().join("\n"));
        signal("TERM", child.id());
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        assert_eq!(told.count(), 153);
        assert_eq!(with.arrived(&server), told);
    }
}

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args([format!("-{name}"), process.to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
#[ignore = "a program that a test below runs"]
fn flushes_per_invocation() {
    let Some((_, builder)) = settings() else { return };
    let _guard = builder.init().unwrap();
    for line in std::io::stdin().lines() {
        assert_eq!(line.unwrap(), "invoke");
        work(5);
        let report = tracium::flush(Duration::from_secs(20));
        assert!(report.complete, "{report:?}");
        at_rest();
        tell_made();
    }
}

/// Row 29: frozen between invocations, as functions are that somebody hosts, for longer than a connection is good for.
#[test]
fn a_frozen_process_that_flushes_per_invocation_loses_nothing() {
    std::thread::scope(|scope| {
        for with in BOTH {
            scope.spawn(move || {
                // Each connection is closed while the process is frozen.
                let server = with.serve(move |request| Some(with.accept(request).with(crate::server::Fault::Close)));
                let mut command = program("flushes_per_invocation", with, &server.url());
                let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
                let mut child = piped.spawn().unwrap();
                let mut stdin = child.stdin.take().unwrap();
                let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
                for invocation in 1..=4 {
                    writeln!(stdin, "invoke").unwrap();
                    let output = lines.by_ref().take_while(|line| line != "told").collect::<Vec<_>>().join("\n");
                    let told = told(&output);
                    assert_eq!(told.count(), 6 * invocation);
                    assert_eq!(with.arrived(&server), told);
                    signal("STOP", child.id());
                    std::thread::sleep(Duration::from_millis(700));
                    signal("CONT", child.id());
                }
                drop(stdin);
                assert!(child.wait().unwrap().success());
            });
        }
    });
}

#[test]
#[ignore = "a program that a test below runs"]
fn has_no_room_for_a_thread() {
    let Some((_, builder)) = settings() else { return };
    assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "nobody can have one");
    let guard = builder.init().unwrap();
    work(9);
    let report = tracium::flush(Duration::from_secs(20));
    assert!(report.complete, "{report:?}");
    until(|| tracium::stats().queued == 0);
    let stats = at_rest();
    assert_eq!((stats.emitted, stats.dropped_by(DropReason::ExportThread)), (10, 10), "{stats:?}");
    assert!(stats.last_error.unwrap().1.contains("could not be started"));
    drop(guard);
    assert!(tracium::shutdown(Duration::from_secs(20)).complete);
    println!("degraded");
}

/// Row 34: the stack that each thread is to have is more than there is memory.
#[test]
fn where_the_export_thread_cannot_be_started_the_program_runs_and_all_is_counted() {
    for with in BOTH {
        let server = Server::start(move |request| with.accept(request));
        let mut command = program("has_no_room_for_a_thread", with, &server.url());
        let (status, output) = Program::start(command.env("RUST_MIN_STACK", (1_u64 << 46).to_string())).end();
        assert!(status.success() && output.contains("degraded"), "{output}");
        assert!(server.requests().is_empty());
    }
}
