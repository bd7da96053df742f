//! Export: one background thread takes what was collected and hands it to an exporter.
//!
//! REST, OTLP and console differ in encoding and delivery only, behind [`Exporter`].

mod account;
#[cfg(feature = "console")]
mod console;
mod discard;
mod fanout;
#[cfg(feature = "client")]
mod http;
mod item;
#[cfg(feature = "client")]
mod mask;
#[cfg(feature = "otlp")]
pub(crate) mod otlp;
#[cfg(all(test, feature = "otlp", feature = "rest"))]
mod overload;
mod pipeline;
#[cfg(feature = "rest")]
pub(crate) mod rest;
mod restart;
mod sampling;
#[cfg(all(test, feature = "client"))]
#[allow(dead_code)]
#[path = "../../../tests/support/server.rs"]
mod server;
#[cfg(feature = "client")]
pub(crate) mod spool;
#[cfg(all(unix, feature = "signal"))]
mod terminate;
#[cfg(feature = "client")]
mod text;
mod thread;
#[cfg(any(feature = "rest", feature = "otlp"))]
pub mod throughput;
mod timer;
mod usage;
mod view;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

pub(crate) use self::account::Account;
pub(crate) use self::fanout::Fanout;
pub(crate) use self::item::{SpanItem, SpanRecord, TraceItem, Tracked};
pub(crate) use self::pipeline::{Answer, Command, Pipeline};
pub(crate) use self::restart::Recipe;
pub(crate) use self::sampling::Sampling;
pub(crate) use self::thread::{Handle, after_fork, handle, start};
pub(crate) use self::timer::Timer;
pub(crate) use self::usage::Totals;
pub use self::usage::{TenantUsage, Usage};
pub(crate) use self::view::View;
use crate::collect::ledger::DropReason;
use crate::collect::shares::Excess;
use crate::config::{InitError, Mask, SpoolSettings, Target};

/// A way out. All calls come from the export thread; none may block.
pub(crate) trait Exporter: Send {
    /// A trace opened.
    fn trace_started(&mut self, trace: &Arc<Tracked>);
    /// A span of `trace` is open for longer than a short one.
    fn span_open(&mut self, trace: &Arc<Tracked>, span: &SpanRecord);
    /// Spans of `trace` ended, to be taken out of `spans`. They are the exporter's now, until it tells `account` what
    /// became of each.
    fn spans_ended(&mut self, trace: &Arc<Tracked>, spans: &mut Vec<SpanItem>, account: &mut Account);
    /// A trace ended; spans of it may follow.
    fn trace_ended(&mut self, trace: &Arc<Tracked>, end: TraceItem, account: &mut Account);
    /// A trace was opened and refused at once: it never was.
    fn trace_discarded(&mut self, trace: &Arc<Tracked>, account: &mut Account);
    /// The trace has ended, and nobody is left who could add to it.
    fn trace_gone(&mut self, trace: &Arc<Tracked>, account: &mut Account);
    /// Sends what is due; with `all`, everything.
    fn dispatch(&mut self, now: Instant, all: bool, account: &mut Account);
    /// Lets go of what is in excess, where it holds any and it is not under way, and counts it as lost.
    fn evict(&mut self, _excess: &mut Excess, _account: &mut Account) {}
    /// Takes an answer to something that was sent; pending where none has come.
    fn poll_progress(&mut self, cx: &mut Context<'_>, account: &mut Account) -> Poll<()>;
    /// When `dispatch` should be called next, if not before.
    fn next_due(&self) -> Option<Instant>;
    /// The guard was dropped: what a person should see at the end.
    fn finish(&mut self, account: &mut Account);
    /// Lets go of everything, for `reason`.
    fn drop_all(&mut self, reason: DropReason, account: &mut Account);
    /// The process may end now: what is left goes where it lasts, if there is such a place.
    fn save(&mut self, _account: &mut Account) {}
    /// Something is on its way to a place where it lasts, or from there.
    fn is_writing(&self) -> bool {
        false
    }
    /// Of `sweep` and before, how many are held that the account handed in does not count: other exporters' copies.
    fn held_beside(&self, _sweep: u32) -> usize {
        0
    }
}

/// The exporter for `target`.
#[cfg_attr(
    not(all(feature = "console", feature = "rest", feature = "otlp")),
    allow(clippy::needless_pass_by_value, unused_variables)
)]
fn prepare(target: &Target, mask: Option<Mask>, spool: Option<&SpoolSettings>) -> Result<Box<dyn Exporter>, InitError> {
    match target {
        Target::Discard => Ok(Box::new(discard::Discard)),
        #[cfg(feature = "console")]
        Target::Console => Ok(Box::new(console::Console::new(mask))),
        #[cfg(not(feature = "console"))]
        Target::Console => Err(InitError::NotBuiltIn { exporter: "console" }),
        #[cfg(feature = "rest")]
        Target::Rest(endpoint) => Ok(Box::new(rest::Rest::new(endpoint, mask)?.with_spool(endpoint, spool)?)),
        #[cfg(not(feature = "rest"))]
        Target::Rest(_) => Err(InitError::NotBuiltIn { exporter: "rest" }),
        #[cfg(feature = "otlp")]
        Target::Otlp(target) => Ok(Box::new(otlp::Otlp::new(target, mask)?.with_spool(target, spool)?)),
        #[cfg(not(feature = "otlp"))]
        Target::Otlp(_) => Err(InitError::NotBuiltIn { exporter: "otlp" }),
    }
}
