//! fastrace, with a reporter that counts.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrace::collector::{Config, Reporter, SpanContext, SpanRecord};
use fastrace::future::FutureExt;
use fastrace::local::LocalSpan;
use fastrace::{Span, trace};

use super::{Account, Peer, Ran, Yield, block_on, text, traces};
use crate::work::{Kind, Work};

static REPORTED: AtomicU64 = AtomicU64::new(0);

struct Count;

impl Reporter for Count {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        REPORTED.fetch_add(spans.len() as u64, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(crate) struct Fastrace;

impl Fastrace {
    pub(crate) fn start() -> Self {
        fastrace::set_reporter(Count, Config::default());
        Self
    }
}

fn root() -> Span {
    Span::root("bench", SpanContext::random())
}

pub(crate) fn sync_trace(leaves: u64) {
    let root = root();
    let _parent = root.set_local_parent();
    for i in 0..leaves {
        leaf(black_box(i));
    }
}

#[trace(name = "leaf")]
#[inline(never)]
pub(crate) fn leaf(i: u64) {
    black_box(i);
}

fn fallible_trace(leaves: u64) {
    let root = root();
    let _parent = root.set_local_parent();
    for i in 0..leaves {
        black_box(fallible_leaf(black_box(i)).is_ok());
    }
}

// It does not look at results.
#[trace(name = "leaf")]
#[inline(never)]
fn fallible_leaf(i: u64) -> Result<u64, std::fmt::Error> {
    if black_box(i) == u64::MAX { Err(std::fmt::Error) } else { Ok(i) }
}

async fn async_trace(leaves: u64) {
    let work = async {
        for i in 0..leaves {
            async_leaf(black_box(i)).await;
        }
    };
    work.in_span(root()).await;
}

#[trace(name = "leaf")]
async fn async_leaf(i: u64) {
    black_box(i);
}

async fn yielding_trace(leaves: u64) {
    let work = async {
        for i in 0..leaves {
            yielding_leaf(black_box(i)).await;
        }
    };
    work.in_span(root()).await;
}

#[trace(name = "leaf")]
async fn yielding_leaf(i: u64) {
    Yield::default().await;
    black_box(i);
}

fn capture_trace(value: &str, leaves: u64) {
    let root = root();
    let _parent = root.set_local_parent();
    for _ in 0..leaves {
        capture_leaf(black_box(value));
    }
}

#[trace(name = "leaf")]
#[inline(never)]
fn capture_leaf(value: &str) {
    LocalSpan::add_property(|| ("value", value.to_owned()));
    black_box(value);
}

impl Peer for Fastrace {
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
        fastrace::flush();
        Ok(Account { delivered: REPORTED.load(Ordering::Relaxed), dropped: 0 })
    }
}
