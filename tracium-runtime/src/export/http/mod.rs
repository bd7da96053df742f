//! What exporters that speak HTTP share: one client, its limits, and how fast to go on after a failure.

#[cfg(feature = "rest")]
mod body;
mod client;
mod gate;
mod retry_after;

#[cfg(feature = "rest")]
pub(super) use self::body::Bodies;
pub(super) use self::client::{Answer, Client, Content, Reply, secret_header};
pub(super) use self::gate::Gate;
use crate::collect::ledger::DropReason;
use crate::notice::{Minute, say};

/// Says that something was lost, and why, at most once a minute.
pub(super) fn warn_of_loss(reason: DropReason, what: &str) {
    static TURN: Minute = Minute::new();
    if TURN.is_due() {
        say(|| tracing::warn!(target: "tracium", %reason, "spans were lost: {what}"));
    }
}
