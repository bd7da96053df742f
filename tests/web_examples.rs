//! The examples of services, over real sockets: the `curl` lines in their heads, with the answers that stand below them.

#[allow(dead_code)]
#[path = "../examples/actix_chat.rs"]
mod actix_chat;
#[allow(dead_code)]
#[path = "../examples/axum_chat.rs"]
mod axum_chat;
#[allow(dead_code)]
#[path = "../examples/jobs.rs"]
mod jobs;
#[allow(dead_code)]
#[path = "../examples/rocket_chat.rs"]
mod rocket_chat;
#[allow(dead_code)]
#[path = "support/web.rs"]
mod web;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rocket::fairing::AdHoc;
use tokio::runtime::Runtime;
use tracium::testing::Recorder;

use self::web::Client;

/// Sends what the `curl` lines of `source` send, to `address`: the statuses and bodies.
fn curl(source: &str, address: SocketAddr) -> Vec<(u16, String)> {
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
fn started<F: Future>(serve: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static) -> SocketAddr {
    let (started, starts) = mpsc::channel();
    thread::spawn(move || {
        Runtime::new().unwrap().block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            started.send(listener.local_addr().unwrap()).unwrap();
            serve(listener).await;
        });
    });
    starts.recv_timeout(Duration::from_secs(30)).unwrap()
}

#[test]
fn axum_chat_answers_as_its_head_says() {
    let address = started(|listener| async { axum::serve(listener, axum_chat::app()).await });
    let answers = curl(include_str!("../examples/axum_chat.rs"), address);
    let expected = [
        (200, "well\n"),
        (401, ""),
        (200, "Dear globex, here is all about tea\n"),
        (200, "Dear acme, here is all about tea\n"),
        (403, ""),
    ];
    assert_eq!(answers, expected.map(|(status, body)| (status, body.to_owned())));
}

#[test]
fn actix_chat_answers_as_its_head_says() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(|| actix_web::rt::System::new().block_on(actix_chat::serve(listener)));
    let answers = curl(include_str!("../examples/actix_chat.rs"), address);
    let expected = [(401, ""), (200, "Dear acme, here is all about tea\n"), (403, "")];
    assert_eq!(answers, expected.map(|(status, body)| (status, body.to_owned())));
}

#[test]
fn rocket_chat_answers_as_its_head_says() {
    let (started, starts) = mpsc::channel();
    let app = rocket_chat::app(0).attach(AdHoc::on_liftoff("started", move |app| {
        let address = SocketAddr::new(app.config().address, app.config().port);
        Box::pin(async move { started.send(address).unwrap() })
    }));
    thread::spawn(|| Runtime::new().unwrap().block_on(app.launch()).map(drop).unwrap());
    let address = starts.recv_timeout(Duration::from_secs(30)).unwrap();
    let answers = curl(include_str!("../examples/rocket_chat.rs"), address);
    let statuses: Vec<_> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [401, 200, 403]);
    assert_eq!(answers[1].1, "Dear acme, here is all about tea\n");
}

#[test]
fn jobs_run_for_the_tenant_and_in_the_trace_that_queued_them() {
    let recorder = Recorder::install_global();
    let directory = std::env::temp_dir().join(format!("tracium-example-jobs-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let database = directory.join("jobs.sqlite");
    let address = started(|listener| async move { jobs::serve(listener, &database).await });
    let answers = curl(include_str!("../examples/jobs.rs"), address);
    assert_eq!(answers, [(401, String::new()), (200, "queued\n".to_owned())]);

    let patience = Instant::now() + Duration::from_secs(30);
    let span = loop {
        if let Some(span) = recorder.spans().into_iter().find(|span| span.name == "write") {
            break span;
        }
        assert!(Instant::now() < patience, "the job was not done");
        thread::sleep(Duration::from_millis(10));
    };
    let front = recorder.traces().into_iter().find(|trace| trace.agent == "front").unwrap();
    assert_eq!((span.tenant, span.trace_id), (front.tenant, front.id));
    assert_eq!(span.output.unwrap()["return"], "document 7 of acme, in a few words");
    std::fs::remove_dir_all(directory).unwrap();
}
