//! A client over real sockets, and the storm of requests that every framework has to stand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tracium::testing::{RecordedStatus, RecordedTrace, Recorder};

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// One connection, kept alive as long as the server does.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// The whole answer; `None` where the server closes the connection in place of one.
    pub(crate) fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Option<Answer> {
        self.send("GET", path, headers);
        let (answer, keep) = self.connection.as_mut().and_then(|reader| read(reader).ok())?;
        if !keep {
            self.connection = None;
        }
        Some(answer)
    }

    /// Asks, and leaves when the first piece of the answer's body is there.
    pub(crate) fn get_and_leave(&mut self, path: &str, headers: &[(&str, &str)]) {
        self.send("GET", path, headers);
        let mut reader = self.connection.take().unwrap();
        read_head(&mut reader).unwrap();
        reader.read_line(&mut String::new()).unwrap();
    }

    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        // A connection that the server has closed meanwhile, as after a panic, shows only now.
        for _ in 0..2 {
            let connection = self.connection.get_or_insert_with(|| {
                let stream = TcpStream::connect(self.address).unwrap();
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                BufReader::new(stream)
            });
            if connection.get_mut().write_all(request.as_bytes()).is_ok() {
                return;
            }
            self.connection = None;
        }
        panic!("{} takes no request", self.address);
    }
}

fn closed() -> std::io::Error {
    std::io::ErrorKind::UnexpectedEof.into()
}

fn read_head(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(closed());
        }
    }
    Ok(head)
}

/// The answer, and whether the connection can be used again.
fn read(reader: &mut impl BufRead) -> std::io::Result<(Answer, bool)> {
    let head = read_head(reader)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(closed)?;
    let mut answer = Answer { status, head, body: String::new() };
    if answer.header("transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = u64::from_str_radix(size.trim(), 16).map_err(|_| closed())?;
            reader.by_ref().take(size).read_to_string(&mut answer.body)?;
            reader.read_line(&mut String::new())?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = answer.header("content-length") {
        let length = length.parse().map_err(|_| closed())?;
        reader.by_ref().take(length).read_to_string(&mut answer.body)?;
    }
    let keep = answer.header("connection") != Some("close");
    Ok((answer, keep))
}

/// Where code that runs outside every request, on a worker of the server, saw a tenant.
pub(crate) static LEAKS: AtomicUsize = AtomicUsize::new(0);

/// To be called outside any request's scope.
pub(crate) fn expect_no_tenant() {
    if tracium::current_tenant().is_some() {
        LEAKS.fetch_add(1, Ordering::Relaxed);
    }
}

/// A step of a handler for `whose`, as the request itself says: it notes what it sees. Gives the current tenant.
pub(crate) fn step(whose: &str) -> String {
    tracium::start_span("tool", "step")
        .metadata("whose", whose)
        .run(|| tracium::current_tenant().map(|tenant| tenant.to_string()).unwrap_or_default())
}

/// A trace that callers say they are part of.
const FORGED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const REQUESTS: usize = 5_000;
const CONNECTIONS: usize = 64;
const TENANTS: usize = 100;

/// What was sent, by what should have become of it.
#[derive(Debug, Default)]
pub(crate) struct Storm {
    done: AtomicUsize,
    panicked: AtomicUsize,
    aborted: AtomicUsize,
    refused: AtomicUsize,
}

impl Storm {
    /// 5,000 requests on 64 connections: `/work`, `/stream` (five pieces), `/endless` (left after the first piece) and
    /// `/panic`. Tenants are in `x-tenant`, and for the handler to compare with in `x-whose`.
    pub(crate) fn over(address: SocketAddr) -> Self {
        let storm = Self::default();
        let next = AtomicUsize::new(0);
        thread::scope(|threads| {
            for _ in 0..CONNECTIONS {
                threads.spawn(|| {
                    let mut client = Client::new(address);
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= REQUESTS {
                            break;
                        }
                        storm.send(&mut client, number);
                    }
                });
            }
        });
        storm
    }

    fn send(&self, client: &mut Client, number: usize) {
        let tenant = format!("tenant-{}", number % TENANTS);
        let own: &[(&str, &str)] = &[("x-tenant", &tenant), ("x-whose", &tenant)];
        let count = |counter: &AtomicUsize| counter.fetch_add(1, Ordering::Relaxed);
        match number % 60 {
            7 => {
                client.get_and_leave("/endless", own);
                count(&self.aborted);
            }
            11 => {
                let answer = client.get("/panic", own);
                assert!(answer.as_ref().is_none_or(|answer| answer.status == 500), "{answer:?}");
                client.connection = None;
                count(&self.panicked);
            }
            13 => {
                assert_eq!(client.get("/work", &[("x-whose", "nobody")]).unwrap().status, 401);
                count(&self.refused);
            }
            17 => {
                let long = "x".repeat(10_000);
                let invalid = ["", "50%", "a%0d%0ax-tenant: b", "stranger", &long][number / 60 % 5];
                assert_eq!(client.get("/work", &[("x-tenant", invalid)]).unwrap().status, 403);
                count(&self.refused);
            }
            19 => {
                assert_eq!(client.get("/work", &[("x-tenant", &tenant), ("x-tenant", "other")]).unwrap().status, 403);
                count(&self.refused);
            }
            23 => {
                // What would be a line of its own, if somebody took it for one; servers may hang up at it.
                let broken = ["a\rx-tenant: b", "a\r\n b", "a\nx-tenant"][number / 60 % 3];
                let answer = client.get("/work", &[("x-whose", "nobody"), ("x-tenant", broken)]);
                assert!(answer.as_ref().is_none_or(|answer| [400, 403].contains(&answer.status)), "{answer:?}");
                client.connection = None;
                count(&self.refused);
            }
            29 => {
                let forged = [own, &[("traceparent", FORGED), ("baggage", "tenant.id=tenant-1")]].concat();
                let answer = client.get("/work", &forged).unwrap();
                assert_eq!((answer.status, answer.body), (200, tenant));
                count(&self.done);
            }
            kind if kind % 3 == 0 => {
                let answer = client.get("/stream", own).unwrap();
                assert_eq!((answer.status, answer.body), (200, format!("{tenant}\n").repeat(5)));
                count(&self.done);
            }
            _ => {
                let answer = client.get("/work", own).unwrap();
                assert_eq!((answer.status, answer.body), (200, tenant));
                count(&self.done);
            }
        }
    }

    /// Every span is its request's tenant's, every trace ended as its request did, and no worker saw a tenant outside.
    pub(crate) fn check(self, recorder: &Recorder) {
        let [done, panicked, aborted, refused] =
            [self.done, self.panicked, self.aborted, self.refused].map(AtomicUsize::into_inner);
        assert_eq!(done + panicked + aborted + refused, REQUESTS);
        // Servers notice a client that has left when they write to it.
        let patience = Instant::now() + Duration::from_secs(30);
        let traces = loop {
            let traces = recorder.traces();
            if traces.iter().all(|trace| trace.status != RecordedStatus::InProgress) || Instant::now() > patience {
                break traces;
            }
            thread::sleep(Duration::from_millis(20));
        };
        let failed_as = |kind: &str| traces.iter().filter(|trace| trace.error_type.as_deref() == Some(kind)).count();
        let well = traces.iter().filter(|trace| trace.status == RecordedStatus::Completed).count();
        assert_eq!((well, failed_as("panic"), failed_as("cancelled")), (done, panicked, aborted));
        assert_eq!(traces.len(), done + panicked + aborted, "what is refused leaves no trace");

        let owners: std::collections::HashMap<_, _> =
            traces.iter().map(|RecordedTrace { id, tenant, .. }| (*id, tenant.clone())).collect();
        assert!(traces.iter().all(|trace| !FORGED.contains(&trace.id.to_string())), "a caller chose its trace");
        let spans = recorder.spans();
        assert!(spans.len() > done * 3, "{} spans", spans.len());
        for span in &spans {
            let tenant = span.tenant.as_ref().map(tracium::TenantId::as_str);
            let whose = span.metadata.iter().find(|(key, _)| key == "whose").unwrap().1.as_str();
            assert_eq!(tenant, whose, "{span:?}");
            assert_eq!(owners[&span.trace_id].as_ref(), span.tenant.as_ref(), "{span:?}");
        }
        assert_eq!(LEAKS.load(Ordering::Relaxed), 0, "a tenant was there outside of any request");
    }
}
