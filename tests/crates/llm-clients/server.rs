//! The server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;

/// A request as it came.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Seen {
    /// How many came before.
    pub number: usize,
    /// Path and query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Seen {
    /// The body, as JSON; else null.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A server that keeps what it was sent and answers as its script says.
#[derive(Clone, Debug)]
pub struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Starts it, on the caller's runtime.
    ///
    /// # Panics
    /// Where loopback has no port left.
    pub async fn start(script: impl Fn(Seen) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let server = Self { address, log: Arc::clone(&log) };
        let script = Arc::new(script);
        let app = Router::new().fallback(move |request: Request| {
            let (log, script) = (Arc::clone(&log), Arc::clone(&script));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap();
                let seen = {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    let path = parts.uri.to_string();
                    let number = log.len();
                    log.push(Seen { number, path, headers: parts.headers, body });
                    log.last().cloned().unwrap()
                };
                script(seen)
            }
        });
        tokio::spawn(async { axum::serve(listener, app).await });
        server
    }

    /// `http://127.0.0.1:port` and `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it was sent.
    pub fn seen(&self) -> Vec<Seen> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A whole answer.
///
/// # Panics
/// Where `status` is none.
pub fn json(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(CONTENT_TYPE, "application/json"), ("x-request-id".parse().unwrap(), "req-7")], body.to_string())
        .into_response()
}

/// A whole answer of any kind.
pub fn raw(kind: &'static str, body: impl Into<Body>) -> Response {
    ([(CONTENT_TYPE, kind)], body.into()).into_response()
}

/// Server-sent events, each in a chunk of its own.
pub fn events(events: Vec<String>) -> Response {
    raw("text/event-stream", Body::from_stream(stream::iter(events.into_iter().map(Ok::<_, Infallible>))))
}

/// Chunks that are sent as the test lets them; an error cuts the connection.
pub fn paced(kind: &'static str, chunks: UnboundedReceiver<Result<Bytes, std::io::Error>>) -> Response {
    let chunks = stream::unfold(chunks, |mut chunks| async { chunks.recv().await.map(|chunk| (chunk, chunks)) });
    raw(kind, Body::from_stream(chunks))
}
