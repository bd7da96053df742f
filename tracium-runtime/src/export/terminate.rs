//! SIGTERM, where the application asks for it: what ended is sent, and the process dies of the signal as it would have.

use std::io;
use std::thread;
use std::time::Duration;

use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::panics::contained;
use crate::stats::shutdown;

/// Watches for the signal on a thread of its own. Handlers that others have set go on to be called.
pub(super) fn watch(timeout: Duration) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM])?;
    let wait = move || {
        for signal in signals.forever() {
            contained(|| shutdown(timeout));
            // Nothing is left to be done where even that fails.
            let _ = emulate_default_handler(signal);
        }
    };
    thread::Builder::new().name("tracium-signals".to_owned()).spawn(wait).map(drop)
}
