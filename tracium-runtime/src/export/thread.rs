//! The export thread, and what the rest of the process holds of it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use tokio::sync::mpsc;

use super::discard::Discard;
use super::{Account, Command, Exporter, Fanout, Pipeline, Sampling, Totals};
use crate::collect::ledger::{DropReason, Ledger};
use crate::collect::{Collector, install_global};
use crate::panics;

/// The process's export.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) collector: &'static Collector,
    pub(crate) totals: Arc<Mutex<Totals>>,
    commands: mpsc::UnboundedSender<Command>,
}

static HANDLE: OnceLock<Handle> = OnceLock::new();

/// The process's export; `None` where nothing was started.
pub(crate) fn handle() -> Option<&'static Handle> {
    HANDLE.get()
}

/// Starts the process's export; false where one runs already.
pub(crate) fn start(collector: &'static Collector, exporters: Vec<(&'static str, Box<dyn Exporter>)>) -> bool {
    if !install_global(collector) {
        return false;
    }
    HANDLE.set(Handle::spawn_all(collector, exporters)).is_ok()
}

impl Handle {
    /// Starts an export thread of its own for `collector`, with one exporter.
    #[cfg(test)]
    pub(crate) fn spawn(collector: &'static Collector, exporter: Box<dyn Exporter>) -> Self {
        Self::spawn_all(collector, vec![("tests", exporter)])
    }

    /// Starts an export thread of its own for `collector`.
    pub(crate) fn spawn_all(collector: &'static Collector, exporters: Vec<(&'static str, Box<dyn Exporter>)>) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let totals = Arc::new(Mutex::new(Totals::default()));
        let exporter = Sampling::new(collector, beside_each_other(collector, exporters, &totals));
        let pipeline = Pipeline::new(collector, Box::new(exporter), Arc::clone(&totals));
        let run = move || {
            let ended = match runtime() {
                Ok(runtime) => {
                    panics::contained(|| runtime.block_on(pipeline.run(receiver))).ok_or("it panicked".to_owned())
                }
                Err(error) => Err(format!("it has no runtime: {error}")),
            };
            if let Err(why) = ended {
                give_up(collector, &why);
            }
        };
        if let Err(error) = thread::Builder::new().name("tracium-export".to_owned()).spawn(run) {
            give_up(collector, &format!("it could not be started: {error}"));
        }
        Self { collector, totals, commands }
    }

    /// Asks the export thread; false where it is gone.
    pub(crate) fn send(&self, command: Command) -> bool {
        self.commands.send(command).is_ok()
    }
}

/// The exporters as one, each with an accounting of its own.
fn beside_each_other(
    collector: &'static Collector,
    exporters: Vec<(&'static str, Box<dyn Exporter>)>,
    totals: &Arc<Mutex<Totals>>,
) -> Box<dyn Exporter> {
    let mut ledgers = Vec::new();
    let mut first: Option<Box<dyn Exporter>> = None;
    let mut beside = Vec::new();
    for (name, exporter) in exporters {
        if first.is_none() {
            ledgers.push((name, &collector.ledger));
            first = Some(exporter);
        } else {
            // For as long as the process lives, like the collector's.
            let ledger: &'static Ledger = Box::leak(Box::default());
            ledgers.push((name, ledger));
            beside.push((exporter, Account::beside(collector, ledger, Arc::clone(totals))));
        }
    }
    let _ = collector.exporters.set(ledgers);
    let first = first.unwrap_or_else(|| Box::new(Discard));
    if beside.is_empty() { first } else { Box::new(Fanout::new(first, beside)) }
}

/// The export thread is gone, and not because it was asked to: the program goes on, what the thread held and what comes
/// is counted as lost.
fn give_up(collector: &Collector, why: &str) {
    collector.close();
    let beside = collector.exporters.get().into_iter().flatten().map(|(_, ledger)| *ledger);
    let undecided = collector.ledger.undecided.swap(0, Ordering::Relaxed);
    collector.ledger.drop_unseen(DropReason::ExportThread, undecided);
    collector.ledger.held.fetch_sub(undecided, Ordering::Relaxed);
    collector.shares.lose_held(DropReason::ExportThread);
    for ledger in beside {
        let held = ledger.held.swap(0, Ordering::Relaxed);
        ledger.drop(DropReason::ExportThread, held);
    }
    let text = format!("the export thread ended, and nothing is exported: {why}");
    collector.ledger.note_error(&text);
    // A subscriber of the user's may be what panicked.
    panics::contained(|| tracing::error!(target: "tracium", "{text}"));
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
