//! Examples that are services: started, and sent what their heads say.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::web::Client;

/// Sends what the `curl` lines of `source` send, to `address`: the statuses and bodies.
pub(crate) fn curl(source: &str, address: SocketAddr) -> Vec<(u16, String)> {
    let mut client = Client::new(address);
    let lines = source.lines().filter_map(|line| line.strip_prefix("//! curl -i "));
    lines
        .map(|line| {
            let header = line.split('\'').nth(1).map(|header| header.split_once(": ").unwrap());
            let path = line.rsplit_once("127.0.0.1:").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
            let answer = client.get(path.unwrap(), &header.into_iter().collect::<Vec<_>>()).unwrap();
            (answer.status, answer.body)
        })
        .collect()
}

/// An address where `serve` runs, for as long as the process does.
pub(crate) fn started<F: Future>(serve: impl FnOnce(TcpListener) -> F + Send + 'static) -> SocketAddr {
    let (started, starts) = mpsc::channel();
    thread::spawn(move || {
        Runtime::new().unwrap().block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            started.send(listener.local_addr().unwrap()).unwrap();
            serve(listener).await;
        });
    });
    starts.recv_timeout(Duration::from_secs(30)).unwrap()
}
