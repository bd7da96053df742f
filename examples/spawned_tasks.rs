//! Context on tokio: tasks, blocking work, task sets, and streams.
//!
//! ```text
//! cargo run --example spawned_tasks
//! ```
//!
//! A research agent asks several sources at once, for two tenants at once. What is awaited where it is made (`join!`,
//! `FuturesUnordered`, a stream's adapters) is under the context by itself. A task is polled by the runtime, on any
//! thread, and takes its context along
//!
//! 1. by itself, where it is spawned in the body of an annotated function and by a call that is spelled out (elsewhere
//!    `tracium::spawn` and `tracium::spawn_blocking` stand in for tokio's);
//! 2. by `.in_current_context()`, on a future or stream that something else spawns, such as a library.

use std::time::Duration;

use futures::stream::{self, FuturesUnordered, StreamExt};
use tokio::task::JoinSet;
use tracium::{ContextExt, current_tenant};

#[tracium::main]
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (acme, globex) = tokio::join!(research("acme", "solar panels"), research("globex", "heat pumps"));
    println!("acme: {}\nglobex: {}", acme?, globex?);
    Ok(())
}

#[tracium::trace(agent = "research", tags = ["example"], capture(topic), output)]
#[tracium::tenant_scope(from = tenant)]
async fn research(tenant: &'static str, topic: &'static str) -> anyhow::Result<String> {
    let mut findings = Vec::new();

    // 1. Tasks of their own, work that blocks a thread, a set of tasks.
    let news = tokio::spawn(ask("news", topic));
    let archive = tokio::task::spawn_blocking(move || read_archive(topic));
    findings.push(news.await?);
    findings.push(archive.await?);
    let mut papers = JoinSet::new();
    for year in ["2023", "2024", "2025"] {
        papers.spawn(ask(year, topic));
    }
    while let Some(paper) = papers.join_next().await {
        findings.push(paper?);
    }

    // Futures that are polled here need nothing: they run where this function runs.
    let mut forums: FuturesUnordered<_> = ["installers", "owners"].into_iter().map(|forum| ask(forum, topic)).collect();
    while let Some(post) = forums.next().await {
        findings.push(post);
    }

    // 2. So do streams; one that is polled by another task takes its context along.
    let pages = stream::iter(["prices", "subsidies", "noise"]).map(move |page| ask(page, topic)).buffer_unordered(2);
    findings.extend(collect_elsewhere(pages.in_current_context()).await?);

    // A future that is dropped before its end, as `select!` and `timeout` do, is a cancelled span, not a lost one.
    let in_time =
        tokio::time::timeout(Duration::from_millis(5), ask_slowly("a source that never answers")).await.is_ok();

    anyhow::ensure!(current_tenant().is_some_and(|current| current == tenant), "the tenant is still {tenant}");
    let findings: usize = findings.iter().map(String::len).sum();
    Ok(format!(
        "{findings} characters on {topic}, and the slow source {}",
        if in_time { "too" } else { "was given up" }
    ))
}

#[tracium::retrieval(name = source, capture(topic), output)]
async fn ask(source: &'static str, topic: &'static str) -> String {
    tokio::time::sleep(Duration::from_millis(3)).await;
    let tenant = current_tenant().map_or("nobody".to_owned(), |tenant| tenant.to_string());
    format!("{source} on {topic}, for {tenant}")
}

#[tracium::retrieval(capture(topic), output)]
fn read_archive(topic: &str) -> String {
    std::thread::sleep(Duration::from_millis(3));
    format!("the archive on {topic}")
}

#[tracium::retrieval(capture(source))]
async fn ask_slowly(source: &str) {
    tokio::time::sleep(Duration::from_secs(3600)).await;
}

/// Stands for a library that polls what it is given in a task of its own.
async fn collect_elsewhere<S>(findings: S) -> anyhow::Result<Vec<String>>
where
    S: futures::Stream<Item = String> + Send + 'static,
{
    Ok(tokio::spawn(findings.collect()).await?)
}
