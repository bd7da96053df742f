//! Each scenario in a process of its own, since a process has one export: the test runs itself once more.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Says in which test a process is to do what the test is about.
const INSIDE: &str = "TRACIUM_FAULT";

/// Runs `scenario` in a process of its own, for the test whose path, crate included, is `path`.
pub(crate) fn in_own_process(path: &str, scenario: impl FnOnce()) {
    let (_, name) = path.split_once("::").unwrap();
    if std::env::var_os(INSIDE).is_some_and(|inside| inside == name) {
        return scenario();
    }
    let (status, output) = Program::start(&mut command(name)).end();
    assert!(status.success(), "{name} as a process of its own: {status}\n{output}");
    assert!(output.contains("1 passed"), "no test is called {name}: {output}");
}

/// The test `name` as a program.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"]).env(INSIDE, name);
    command
}

/// A process, and what it prints.
pub(crate) struct Program {
    pub(crate) child: Child,
    texts: Vec<JoinHandle<String>>,
    deadline: Instant,
}

impl Program {
    /// Its standard input and output are for whoever runs it, if `command` says so; else what it prints is kept.
    pub(crate) fn start(command: &mut Command) -> Self {
        fn text(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = from.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let texts = vec![text(child.stdout.take().unwrap()), text(child.stderr.take().unwrap())];
        Self { child, texts, deadline: Instant::now() + Duration::from_secs(120) }
    }

    /// How it ended, and what it printed. One that does not end is killed.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > self.deadline {
                let _ = self.child.kill();
            }
            thread::sleep(Duration::from_millis(5));
        };
        (status, self.texts.into_iter().map(|text| text.join().unwrap()).collect())
    }
}

/// A scenario for both protocols, as two tests.
macro_rules! faults {
    ($($(#[$doc:meta])* fn $name:ident($with:pat_param) $body:block)*) => {$(
        $(#[$doc])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn scenario($with: crate::faults::Protocol) $body

            #[test]
            fn rest() {
                crate::own_process::in_own_process(concat!(module_path!(), "::rest"), || {
                    scenario(crate::faults::Protocol::Rest);
                });
            }

            #[test]
            fn otlp() {
                crate::own_process::in_own_process(concat!(module_path!(), "::otlp"), || {
                    scenario(crate::faults::Protocol::Otlp);
                });
            }
        }
    )*};
}
pub(crate) use faults;
