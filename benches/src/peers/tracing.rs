//! tracing with tracing-opentelemetry, as its documentation sets it up.

use std::hint::black_box;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::instrument;
use tracing_subscriber::layer::SubscriberExt;

use super::opentelemetry::{provider, settle};
use super::{Account, Peer, Ran, Yield, block_on, text, traces};
use crate::work::{Kind, Work};

#[derive(Debug)]
pub(crate) struct Tracing {
    provider: SdkTracerProvider,
}

impl Tracing {
    pub(crate) fn start() -> Self {
        Self::with(provider(false))
    }

    pub(crate) fn with(provider: SdkTracerProvider) -> Self {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
        let subscriber = tracing_subscriber::registry().with(layer);
        // Set once a process; a second one would be a mistake of this program, and measure nothing.
        tracing::subscriber::set_global_default(subscriber).expect("no other subscriber is set in this process");
        Self { provider }
    }
}

#[instrument(level = "info", name = "bench", skip_all)]
pub(crate) fn sync_trace(leaves: u64) {
    for i in 0..leaves {
        leaf(black_box(i));
    }
}

#[instrument(level = "info", skip_all)]
#[inline(never)]
pub(crate) fn leaf(i: u64) {
    black_box(i);
}

#[instrument(level = "info", name = "bench", skip_all)]
fn fallible_trace(leaves: u64) {
    for i in 0..leaves {
        black_box(fallible_leaf(black_box(i)).is_ok());
    }
}

#[instrument(level = "info", skip_all, err)]
#[inline(never)]
fn fallible_leaf(i: u64) -> Result<u64, std::fmt::Error> {
    if black_box(i) == u64::MAX { Err(std::fmt::Error) } else { Ok(i) }
}

#[instrument(level = "info", name = "bench", skip_all)]
async fn async_trace(leaves: u64) {
    for i in 0..leaves {
        async_leaf(black_box(i)).await;
    }
}

#[instrument(level = "info", skip_all)]
async fn async_leaf(i: u64) {
    black_box(i);
}

#[instrument(level = "info", name = "bench", skip_all)]
async fn yielding_trace(leaves: u64) {
    for i in 0..leaves {
        yielding_leaf(black_box(i)).await;
    }
}

#[instrument(level = "info", skip_all)]
async fn yielding_leaf(i: u64) {
    Yield::default().await;
    black_box(i);
}

#[instrument(level = "info", name = "bench", skip_all)]
fn capture_trace(value: &str, leaves: u64) {
    for _ in 0..leaves {
        capture_leaf(black_box(value));
    }
}

#[instrument(level = "info")]
#[inline(never)]
fn capture_leaf(value: &str) {
    black_box(value);
}

impl Peer for Tracing {
    fn run(&self, work: &Work) -> Option<Ran> {
        Some(match work.kind {
            Kind::Sync => traces(work, sync_trace),
            Kind::Fallible => traces(work, fallible_trace),
            Kind::Async => traces(work, |leaves| block_on(async_trace(leaves))),
            Kind::Yielding => traces(work, |leaves| block_on(yielding_trace(leaves))),
            Kind::Capture => {
                let value = text(work.extra);
                traces(work, |leaves| capture_trace(&value, leaves))
            }
            _ => return None,
        })
    }

    fn settle(&self) -> Result<Account, String> {
        settle(&self.provider)
    }
}
