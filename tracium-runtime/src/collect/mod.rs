//! Where what happened goes: into the buffers of the collector, or into a test's recorder.

#[cfg(feature = "collect")]
mod budget;
#[cfg(feature = "collect")]
mod collector;
#[cfg(feature = "collect")]
mod cores;
#[cfg(feature = "collect")]
pub(crate) mod ledger;
#[cfg(feature = "collect")]
pub(crate) mod losses;
#[cfg(feature = "collect")]
pub(crate) mod policy;
#[cfg(feature = "collect")]
pub(crate) mod reader;
#[cfg(feature = "collect")]
pub(crate) mod room;
#[cfg(feature = "collect")]
pub(crate) mod sampler;
#[cfg(feature = "collect")]
pub(crate) mod segment;
#[cfg(feature = "collect")]
pub(crate) mod shares;
mod sink;
#[cfg(feature = "collect")]
pub(crate) mod thread;
mod ticket;

#[cfg(feature = "collect")]
pub(crate) use self::budget::Budget;
#[cfg(feature = "collect")]
pub(crate) use self::collector::Collector;
pub(crate) use self::sink::{Sink, current_sink};
#[cfg(feature = "collect")]
pub(crate) use self::sink::{global, set_global_recorder};
#[cfg(feature = "collect")]
pub(crate) use self::sink::{install_global, install_thread, record_nothing_here, uninstall_thread};
pub(crate) use self::ticket::Ticket;
