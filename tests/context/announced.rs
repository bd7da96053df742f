//! Until when a trace may be named: until the backend has heard of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use tracium::{Context, current_span, current_trace, set_tenant};

use crate::support::{again, assert_here, state, tenant};

/// A server that answers everything, and tells what was asked.
fn server() -> (String, mpsc::Receiver<String>) {
    fn serve(mut stream: &TcpStream, asked: &mpsc::Sender<String>) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        loop {
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                let start = head.len();
                if reader.read_line(&mut head)? == 0 {
                    return Ok(());
                }
                if let Some(value) = head[start..].to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")?;
            // Nobody may be left to hear it.
            let _ = asked.send(head.lines().next().unwrap().to_owned() + &String::from_utf8_lossy(&body));
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let asked = asked.clone();
            std::thread::spawn(move || serve(&stream, &asked));
        }
    });
    (url, requests)
}

#[test]
fn with_a_backend_that_hears_of_traces() {
    if state().is_none() {
        return;
    }
    let (url, requests) = server();
    let guard = tracium::builder().api_key("test-key").base_url(url).init().unwrap();
    // A span of globex is in this trace if the trace has no tenant, and in one of its own if it has acme.
    let is_unnamed = || {
        let globex = Context::current().with_tenant(tenant("globex"));
        let theirs = globex.run(|| tracium::start_span("tool", "probe").run(|| current_span().trace_id()));
        theirs == current_trace().id()
    };
    tracium::start_trace("in time").run(|| {
        set_tenant("acme").unwrap();
        assert!(!is_unnamed());
    });
    tracium::start_trace("too late").run(|| {
        while !requests.recv_timeout(Duration::from_secs(30)).unwrap().contains("too late") {}
        set_tenant("acme").unwrap();
        assert_here("acme");
        assert!(is_unnamed());
    });
    drop(guard);
    println!("named until announced");
}

#[test]
fn set_tenant_names_its_own_trace_until_announced() {
    let text = again("announced::with_a_backend_that_hears_of_traces", "rest", &[]);
    assert!(text.contains("named until announced"), "{text}");
}
