//! The export thread, and what the rest of the process holds of it.

use std::cell::Cell;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use tokio::sync::mpsc;

use super::restart::{Failures, Recipe, write_off};
use super::{Command, Exporter, Pipeline, Totals};
use crate::collect::{Collector, install_global, record_nothing_here};
use crate::config::InitError;
use crate::notice::say;
use crate::{id, panics};

/// The process's export.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) collector: &'static Collector,
    pub(crate) totals: Arc<Mutex<Totals>>,
    commands: mpsc::UnboundedSender<Command>,
    recipe: Arc<Recipe>,
    /// That of the process that was forked off this one's, there.
    next: OnceLock<&'static Self>,
}

/// The first; see [`Handle::next`].
static HANDLE: OnceLock<&'static Handle> = OnceLock::new();

/// The process's export; `None` where nothing was started.
pub(crate) fn handle() -> Option<&'static Handle> {
    let latest = latest()?;
    if !latest.collector.is_forked() {
        return Some(latest);
    }
    after_fork(latest.collector);
    self::latest().filter(|latest| !latest.collector.is_forked())
}

fn latest() -> Option<&'static Handle> {
    let mut latest = *HANDLE.get()?;
    while let Some(next) = latest.next.get() {
        latest = next;
    }
    Some(latest)
}

/// Starts the process's export with the exporters that `recipe` made; false where one runs already.
pub(crate) fn start(collector: &'static Collector, recipe: Arc<Recipe>, exporters: Vec<Box<dyn Exporter>>) -> bool {
    put(collector, || Handle::spawn_with(collector, recipe, exporters))
}

/// Makes the collector the process's, and then its export; false where there is one.
fn put(collector: &'static Collector, export: impl FnOnce() -> Handle) -> bool {
    if !install_global(collector) {
        return false;
    }
    let handle: &'static Handle = Box::leak(Box::new(export()));
    latest().map_or(&HANDLE, |before| &before.next).set(handle).is_ok()
}

fn failed(why: &str) -> InitError {
    InitError::Client { reason: why.to_owned() }
}

/// In a process that was forked off the one that `collector` is of: leaves that alone, whose locks may be held by threads
/// that do not exist here, and starts an export of its own by the same settings.
///
/// It is found out where a thread takes a segment, and where the export is asked for something. A thread that wrote when
/// the process was forked goes on in its segment until that is full.
#[cold]
pub(crate) fn after_fork(collector: &'static Collector) {
    thread_local! {
        static STARTS: Cell<bool> = const { Cell::new(false) };
    }
    collector.abandon();
    // What is called here may open spans of its own.
    if STARTS.replace(true) {
        return;
    }
    id::begin_anew();
    if let Some(before) = latest().filter(|latest| std::ptr::eq(latest.collector, collector)) {
        let (next, recipe) = (collector.anew(), Arc::clone(&before.recipe));
        let made = panics::contained(|| recipe.make_anew(next)).unwrap_or_else(|| Err(failed(&panics::last().message)));
        // Where another thread was first, it has started one.
        match made {
            Ok(exporters) => start(next, recipe, exporters),
            Err(error) => put(next, || {
                give_up(next, &error.to_string());
                Handle::new(next, Arc::default(), mpsc::unbounded_channel().0, recipe)
            }),
        };
    }
    STARTS.set(false);
}

impl Handle {
    /// Starts an export thread of its own for `collector`, with one exporter.
    #[cfg(test)]
    pub(crate) fn spawn(collector: &'static Collector, exporter: Box<dyn Exporter>) -> Self {
        Self::spawn_all(collector, vec![("tests", exporter)])
    }

    /// Starts an export thread of its own for `collector`.
    #[cfg(test)]
    pub(crate) fn spawn_all(collector: &'static Collector, exporters: Vec<(&'static str, Box<dyn Exporter>)>) -> Self {
        Self::spawn_by(collector, Recipe::of(exporters))
    }

    /// Starts an export thread of its own for `collector`, whose exporters are made as often as it takes.
    #[cfg(test)]
    pub(crate) fn spawn_by(collector: &'static Collector, recipe: Recipe) -> Self {
        let exporters = recipe.make().unwrap();
        Self::spawn_with(collector, Arc::new(recipe), exporters)
    }

    fn spawn_with(collector: &'static Collector, recipe: Arc<Recipe>, exporters: Vec<Box<dyn Exporter>>) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let totals = Arc::new(Mutex::new(Totals::default()));
        let exporter = recipe.combine(collector, exporters, &totals);
        let pipeline = Pipeline::new(collector, exporter, Arc::clone(&totals));
        let run = {
            let (recipe, totals) = (Arc::clone(&recipe), Arc::clone(&totals));
            // Here, so that a process that is forked off once this has returned finds what is made once for a process made.
            let first = Runtime::new();
            move || run(collector, pipeline, receiver, &recipe, &totals, first)
        };
        if let Err(error) = thread::Builder::new().name("tracium-export".to_owned()).spawn(run) {
            give_up(collector, &format!("its thread could not be started: {error}"));
        }
        #[cfg(all(unix, feature = "signal"))]
        if let Some(timeout) = recipe.on_terminate
            && let Err(error) = super::terminate::watch(timeout)
        {
            collector.ledger.note_error(&format!("SIGTERM is not watched for: {error}"));
        }
        Self::new(collector, totals, commands, recipe)
    }

    fn new(
        collector: &'static Collector,
        totals: Arc<Mutex<Totals>>,
        commands: mpsc::UnboundedSender<Command>,
        recipe: Arc<Recipe>,
    ) -> Self {
        Self { collector, totals, commands, recipe, next: OnceLock::new() }
    }

    /// Asks the export thread; false where it is gone.
    pub(crate) fn send(&self, command: Command) -> bool {
        self.commands.send(command).is_ok()
    }
}

/// Exports until somebody shuts it down, with other exporters where those before panicked.
fn run(
    collector: &'static Collector,
    mut pipeline: Pipeline,
    mut commands: mpsc::UnboundedReceiver<Command>,
    recipe: &Recipe,
    totals: &Arc<Mutex<Totals>>,
    mut runtime: std::io::Result<Runtime>,
) {
    record_nothing_here();
    let mut failures = Failures::default();
    loop {
        let done = match &runtime {
            Ok(Runtime(Some(runtime))) => panics::contained(|| runtime.block_on(pipeline.run(&mut commands))).is_some(),
            Ok(Runtime(None)) => true,
            Err(error) => return give_up(collector, &format!("it has no runtime: {error}")),
        };
        if done {
            return;
        }
        let mut why = panics::last().message.into_string();
        runtime = Runtime::new();
        match panics::contained(|| pipeline.write_off()) {
            Some(false) => {}
            Some(true) => return,
            None => return give_up(collector, &why),
        }
        loop {
            thread::sleep(failures.note(collector, &why));
            let made = || Ok::<_, InitError>(recipe.combine(collector, recipe.make_anew(collector)?, totals));
            match panics::contained(made) {
                Some(Ok(exporter)) => break pipeline.go_on_with(exporter),
                Some(Err(error)) => why = InitError::to_string(&error),
                None => why = panics::last().message.into_string(),
            }
        }
    }
}

/// There is no export thread, and not because it was asked to end: the program goes on, and what comes is counted as lost.
fn give_up(collector: &Collector, why: &str) {
    collector.fail();
    write_off(collector, 0, 0);
    let text = format!("nothing is exported: {why}");
    collector.ledger.note_error(&text);
    say(|| tracing::error!(target: "tracium", "{text}"));
}

/// What requests run on. It may be dropped anywhere, and does not wait for a lookup of a name.
struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    fn new() -> std::io::Result<Self> {
        // Its other threads look up names.
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().on_thread_start(record_nothing_here).build().map(|runtime| Self(Some(runtime)))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            panics::contained(|| runtime.shutdown_background());
        }
    }
}
