//! A backend for tests: HTTP/1.1 with keep-alive on loopback, which keeps what it was sent and answers as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// What is JSON, as JSON; else null.
    pub(crate) body: Value,
    pub(crate) raw: Vec<u8>,
    pub(crate) at: Instant,
    /// The backend has what it was sent: it answered, in full, that it does.
    pub(crate) taken: bool,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Written before the body and its declared length are complete, the connection is closed.
    pub(crate) truncated: bool,
    pub(crate) delay: Duration,
    /// What becomes of the connection; it is kept without.
    pub(crate) fault: Option<Fault>,
}

/// What else than an answer a connection may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No answer, until whoever waits for it has gone.
    Hang,
    /// The head, half of the body, and no more until whoever waits for it has gone.
    Stall,
    /// It is reset without an answer.
    Reset,
    /// It is closed after the answer, which does not say so.
    Close,
}

impl Response {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.as_bytes().to_vec(),
            truncated: false,
            delay: Duration::ZERO,
            fault: None,
        }
    }

    pub(crate) fn with(self, fault: Fault) -> Self {
        Self { fault: Some(fault), ..self }
    }

    fn is_taken(&self) -> bool {
        let whole = !self.truncated && matches!(self.fault, None | Some(Fault::Close));
        whole && (200..300).contains(&self.status)
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::json(status, "{}")
    }
}

/// What Tracium answers when all is well.
pub(crate) fn accept(request: &Request) -> Response {
    match request.body.get("trace_id") {
        Some(id) => Response::json(201, &serde_json::json!({ "id": id }).to_string()),
        None => Response::status(200),
    }
}

type Answer = Box<dyn Fn(&Request) -> Response + Send + Sync>;

#[derive(Debug, Clone)]
pub(crate) struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    /// A server at an address where there was none.
    pub(crate) fn start_at(address: SocketAddr, answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind(address).unwrap(), answer)
    }

    fn on(listener: TcpListener, answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let answer: Arc<Answer> = Arc::new(Box::new(answer));
        let server = Self { address, log: Arc::clone(&log) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &log, &answer));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// The requests of the trace of `agent`, its create first.
    pub(crate) fn trace(&self, agent: &str) -> Vec<Request> {
        let all = self.requests();
        let Some(create) = all.iter().find(|request| request.body["agent_name"] == agent) else { return Vec::new() };
        let id = create.body["trace_id"].as_str().unwrap().to_owned();
        all.into_iter().filter(|request| request.body["agent_name"] == agent || request.path.contains(&id)).collect()
    }

    /// The spans of the trace of `agent` as the backend knows them at the end: a later one of an id replaces an earlier.
    pub(crate) fn spans(&self, agent: &str) -> Vec<Value> {
        let mut spans: Vec<Value> = Vec::new();
        for request in self.trace(agent) {
            for span in request.body["spans"].as_array().into_iter().flatten() {
                match spans.iter_mut().find(|known| known["id"] == span["id"]) {
                    Some(known) => *known = span.clone(),
                    None => spans.push(span.clone()),
                }
            }
        }
        spans
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Request>>, answer: &Answer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(mut request) = read(&mut reader) {
        let response = answer(&request);
        request.taken = response.is_taken();
        log.lock().unwrap().push(request);
        thread::sleep(response.delay);
        match response.fault {
            Some(Fault::Reset) => {
                drop(reader);
                reset(writer);
                return;
            }
            Some(Fault::Hang) => return wait_for_the_end(reader),
            _ => {}
        }
        let mut head = format!("HTTP/1.1 {} status\r\ncontent-length: {}\r\n", response.status, response.body.len());
        for (name, value) in &response.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let cut = response.truncated || response.fault == Some(Fault::Stall);
        let body = if cut { &response.body[..response.body.len() / 2] } else { &response.body };
        if writer.write_all(&[head.as_bytes(), body].concat()).is_err() {
            return;
        }
        match response.fault {
            Some(Fault::Stall) => return wait_for_the_end(reader),
            Some(_) => return,
            None if response.truncated => return,
            None => {}
        }
    }
}

/// Until the client closes the connection.
fn wait_for_the_end(mut reader: BufReader<TcpStream>) {
    let _ = reader.read(&mut [0; 1]);
}

/// Closes so that the other side gets a reset, and no end.
#[allow(deprecated)] // It may block where it waits; nobody waits for zero seconds.
fn reset(stream: TcpStream) {
    let socket = tokio::net::TcpSocket::from_std_stream(stream);
    let _ = socket.set_linger(Some(Duration::ZERO));
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ")?;
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut raw = vec![0; length];
    reader.read_exact(&mut raw).ok()?;
    let is_json = headers.iter().any(|(name, value)| name == "content-type" && value == "application/json");
    let body = if is_json { serde_json::from_slice(&raw).expect("what says that it is JSON is") } else { Value::Null };
    Some(Request { path, headers, body, raw, at: Instant::now(), taken: false })
}
