//! What becomes of spans when something fails: a row of the matrix of faults each, on REST and on OTLP, with the accounting
//! at the end and a look at it all the time.
//!
//! A backend on loopback fails as it is told; what it has in the end is compared with what was made, span by span. Each
//! scenario is a process of its own. A trace counts as one more than its spans: its outcome.

#[allow(dead_code)]
#[path = "../support/faults.rs"]
mod faults;
#[allow(dead_code)]
#[path = "../support/otlp.rs"]
mod otlp;
#[allow(dead_code)]
#[path = "../support/server.rs"]
mod server;

mod own_process;

mod answers;
mod endings;
mod flush;
#[cfg(unix)]
mod fork;
mod hooks;
mod memory;
#[cfg(unix)]
mod process;
mod refusing;
mod values;
