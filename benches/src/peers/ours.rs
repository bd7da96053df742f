//! Ourselves, with everything thrown away behind the export thread.

use std::cell::RefCell;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tracium::{ExporterKind, Guard, Stats};

use super::{Account, Peer, Ran, Yield, block_on, text, traces};
use crate::work::{Kind, Work};

#[derive(Debug)]
pub(crate) struct Ours {
    _guard: Guard,
}

impl Ours {
    pub(crate) fn start() -> Result<Self, String> {
        let builder = tracium::builder().exporter(ExporterKind::Discard).capture_content(true);
        Ok(Self { _guard: builder.init().map_err(|error| error.to_string())? })
    }
}

#[tracium::trace(agent = "bench")]
pub(crate) fn trace(leaves: u64) {
    for i in 0..leaves {
        leaf(black_box(i));
    }
}

#[tracium::span(kind = "tool")]
#[inline(never)]
pub(crate) fn leaf(i: u64) {
    black_box(i);
}

#[tracium::trace(agent = "bench")]
fn fallible_trace(leaves: u64) {
    for i in 0..leaves {
        black_box(fallible_leaf(black_box(i)).is_ok());
    }
}

#[tracium::span(kind = "tool")]
#[inline(never)]
fn fallible_leaf(i: u64) -> Result<u64, std::fmt::Error> {
    if black_box(i) == u64::MAX { Err(std::fmt::Error) } else { Ok(i) }
}

#[tracium::trace(agent = "bench")]
async fn async_trace(leaves: u64) {
    for i in 0..leaves {
        async_leaf(black_box(i)).await;
    }
}

#[tracium::span(kind = "tool")]
async fn async_leaf(i: u64) {
    black_box(i);
}

#[tracium::trace(agent = "bench")]
async fn yielding_trace(leaves: u64) {
    for i in 0..leaves {
        yielding_leaf(black_box(i)).await;
    }
}

#[tracium::span(kind = "tool")]
async fn yielding_leaf(i: u64) {
    Yield::default().await;
    black_box(i);
}

#[tracium::trace(agent = "bench")]
#[tracium::tenant_scope(from = tenant)]
fn tenant_trace(tenant: &str, leaves: u64) {
    for i in 0..leaves {
        leaf(black_box(i));
    }
}

#[tracium::trace(agent = "bench")]
fn capture_trace(value: &str, leaves: u64) {
    for _ in 0..leaves {
        capture_leaf(black_box(value));
    }
}

#[tracium::span(kind = "tool", capture(value))]
#[inline(never)]
fn capture_leaf(value: &str) {
    black_box(value);
}

#[tracium::trace(agent = "bench")]
#[tracium::tenant_scope(from = "acme")]
fn ask_for_tenant(times: u64) {
    for _ in 0..times {
        black_box(tracium::current_tenant());
    }
}

#[tracium::trace(agent = "bench")]
fn deep_trace(depth: usize, leaves: u64) -> Duration {
    descend(depth, leaves)
}

#[tracium::span(kind = "tool")]
fn descend(depth: usize, leaves: u64) -> Duration {
    if depth > 1 {
        return descend(depth - 1, leaves);
    }
    let started = Instant::now();
    for i in 0..leaves {
        leaf(black_box(i));
    }
    started.elapsed()
}

fn deep(work: &Work) -> Ran {
    let mut ran = Ran { took: Duration::ZERO, emitted: 0 };
    for _ in 0..work.traces {
        ran.took += deep_trace(work.extra, work.spans as u64);
        ran.emitted += (1 + work.extra + work.spans) as u64;
    }
    ran
}

#[derive(Default)]
struct Tenants {
    ids: Vec<String>,
    next: usize,
}

thread_local! {
    static TENANTS: RefCell<Tenants> = RefCell::default();
    static LIVE: RefCell<Vec<Pin<Box<dyn Future<Output = ()>>>>> = RefCell::default();
}

/// Traces of tenants by turns. All of them have been seen when the time begins.
fn tenants(work: &Work) -> Option<Ran> {
    TENANTS.with_borrow_mut(|tenants| {
        let Tenants { ids, next } = tenants;
        let mut primed = 0;
        if ids.len() != work.extra {
            *ids = (0..work.extra).map(|i| format!("tenant-{i}")).collect();
            ids.iter().for_each(|id| tenant_trace(id, 0));
            primed = ids.len();
            settled()?;
        }
        let ran = traces(work, |leaves| {
            *next = (*next + 1) % ids.len();
            tenant_trace(&ids[*next], leaves);
        });
        Some(Ran { emitted: ran.emitted + primed as u64, ..ran })
    })
}

#[tracium::trace(agent = "bench")]
async fn open_trace() {
    std::future::pending().await
}

/// Plain traces while others are open; how many those are changes outside the time.
fn live(work: &Work) -> Option<Ran> {
    let mut closed = 0;
    LIVE.with_borrow_mut(|live| {
        while live.len() > work.extra {
            live.pop();
            closed += 1;
        }
        live.reserve_exact(work.extra - live.len());
        while live.len() < work.extra {
            let mut future: Pin<Box<dyn Future<Output = ()>>> = Box::pin(open_trace());
            let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            live.push(future);
        }
    });
    settled()?;
    let ran = traces(work, trace);
    Some(Ran { emitted: ran.emitted + closed, ..ran })
}

impl Peer for Ours {
    fn run(&self, work: &Work) -> Option<Ran> {
        Some(match work.kind {
            Kind::Sync => traces(work, trace),
            Kind::Fallible => traces(work, fallible_trace),
            Kind::Async => traces(work, |leaves| block_on(async_trace(leaves))),
            Kind::Yielding => traces(work, |leaves| block_on(yielding_trace(leaves))),
            Kind::Tenant => traces(work, |leaves| tenant_trace("acme", leaves)),
            Kind::Capture => {
                let value = text(work.extra);
                traces(work, |leaves| capture_trace(&value, leaves))
            }
            Kind::CurrentTenant => {
                let ran = traces(work, ask_for_tenant);
                Ran { emitted: work.traces as u64, ..ran }
            }
            Kind::Depth => deep(work),
            Kind::Tenants => tenants(work)?,
            Kind::Live => live(work)?,
        })
    }

    fn settle(&self) -> Result<Account, String> {
        let stats = settled().ok_or("tracium: a flush was not complete within 20 s")?;
        check(&stats)?;
        Ok(Account { delivered: stats.acknowledged, dropped: stats.dropped })
    }
}

fn settled() -> Option<Stats> {
    tracium::flush(Duration::from_secs(20)).complete.then(tracium::stats)
}

/// The promise that every span is accounted for, at rest.
pub(crate) fn check(stats: &Stats) -> Result<(), String> {
    if stats.emitted == stats.acknowledged + stats.dropped + stats.queued {
        return Ok(());
    }
    Err(format!(
        "tracium: {} were emitted, but {} acknowledged + {} dropped + {} queued",
        stats.emitted, stats.acknowledged, stats.dropped, stats.queued
    ))
}
