//! What the modules share.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use tracium::{Context, TenantId, current_tenant};

/// A test of the tenant alone, which `states` runs again.
pub(crate) type Rule = (&'static str, fn());

/// The tests of a module, by name.
macro_rules! rules {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => { &[$($(#[$meta])* (concat!(module_path!(), "::", stringify!($name)), $name)),*] };
}

pub(crate) fn tenant(id: &str) -> TenantId {
    TenantId::try_from(id).unwrap()
}

/// A context of this tenant and nothing else.
pub(crate) fn under(id: &str) -> Context {
    Context::root().with_tenant(tenant(id))
}

/// The tenant that holds here.
pub(crate) fn here() -> Option<String> {
    current_tenant().map(|tenant| tenant.to_string())
}

#[track_caller]
pub(crate) fn assert_here(expected: impl Into<Option<&'static str>>) {
    assert_eq!(here().as_deref(), expected.into());
}

/// Runs `future` on a runtime of this thread, which knows nothing of contexts.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Polls `future` once.
pub(crate) fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut TaskContext::from_waker(Waker::noop()))
}

/// Is pending once; whoever polls by hand polls again.
pub(crate) async fn pause() {
    let mut paused = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut paused, true) {
            Poll::Ready(())
        } else {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// The tenants seen before, between and after this many pauses.
pub(crate) async fn seen_over(pauses: usize) -> Vec<Option<String>> {
    let mut seen = vec![here()];
    for _ in 0..pauses {
        pause().await;
        seen.push(here());
    }
    seen
}

#[track_caller]
pub(crate) fn assert_all(seen: &[Option<String>], expected: impl Into<Option<&'static str>>) {
    let expected = expected.into();
    assert!(seen.iter().all(|seen| seen.as_deref() == expected), "{expected:?} was to be seen: {seen:?}");
}

/// The tenants that its notes were dropped under.
#[derive(Clone, Default)]
pub(crate) struct Ends(Arc<Mutex<Vec<Option<String>>>>);

impl Ends {
    /// Something that tells where it is dropped.
    pub(crate) fn note(&self) -> NotesItsEnd {
        NotesItsEnd(self.clone())
    }

    pub(crate) fn take(&self) -> Vec<Option<String>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    #[track_caller]
    pub(crate) fn assert(&self, expected: impl Into<Option<&'static str>>) {
        let ends = self.take();
        assert!(!ends.is_empty(), "nothing was dropped");
        assert_all(&ends, expected);
    }
}

/// Tells the tenant that it is dropped under.
pub(crate) struct NotesItsEnd(Ends);

impl Drop for NotesItsEnd {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().push(here());
    }
}

/// Names the state of telemetry that a test is run again in, in a process of its own.
pub(crate) const STATE: &str = "TRACIUM_TEST_STATE";

/// Runs the test `name` again, in a process of its own that knows the state from [`STATE`]; its output.
pub(crate) fn again(name: &str, state: &str, settings: &[(&str, &str)]) -> String {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    // Whoever runs the tests may have settings of their own.
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("TRACIUM_") || key.starts_with("OTEL_")) {
        command.env_remove(key);
    }
    let output = command
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(STATE, state)
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} in the state `{state}`:\n{text}");
    assert!(text.contains("1 passed"), "no test `{name}`:\n{text}");
    text
}

/// The state that this process is to be in; `None` where it is the one that was started first.
pub(crate) fn state() -> Option<String> {
    std::env::var(STATE).ok()
}
