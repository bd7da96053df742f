//! What exporters that speak HTTP share: one client, its limits, and how fast to go on after a failure.

mod client;
mod gate;
mod retry_after;

pub(super) use self::client::{Answer, Client, Content, Reply, secret_header};
pub(super) use self::gate::Gate;
