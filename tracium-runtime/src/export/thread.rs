//! The export thread, and what the rest of the process holds of it.

use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use tokio::sync::mpsc;

use super::{Command, Exporter, Pipeline, Totals};
use crate::collect::ledger::DropReason;
use crate::collect::{Collector, install_global};

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
pub(crate) fn start(collector: &'static Collector, exporter: Box<dyn Exporter>) -> bool {
    if !install_global(collector) {
        return false;
    }
    HANDLE.set(Handle::spawn(collector, exporter)).is_ok()
}

impl Handle {
    /// Starts an export thread of its own for `collector`.
    pub(crate) fn spawn(collector: &'static Collector, exporter: Box<dyn Exporter>) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let totals = Arc::new(Mutex::new(Totals::default()));
        let pipeline = Pipeline::new(collector, exporter, Arc::clone(&totals));
        let spawned = thread::Builder::new().name("tracium-export".to_owned()).spawn(move || match runtime() {
            Ok(runtime) => runtime.block_on(pipeline.run(receiver)),
            Err(error) => {
                tracing::error!(target: "tracium", %error, "the export thread has no runtime; nothing is exported");
            }
        });
        if let Err(error) = spawned {
            // The program goes on, and what it emits is counted as lost.
            collector.close();
            collector.ledger.note_error(&format!("{}: {error}", DropReason::ExportThread));
            tracing::error!(target: "tracium", %error, "the export thread could not be started; nothing is exported");
        }
        Self { collector, totals, commands }
    }

    /// Asks the export thread; false where it is gone.
    pub(crate) fn send(&self, command: Command) -> bool {
        self.commands.send(command).is_ok()
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
