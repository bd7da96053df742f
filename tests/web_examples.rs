//! The examples of services, over real sockets: the `curl` lines in their heads, with the answers that stand below them.

#[allow(dead_code)]
#[path = "../examples/actix_chat.rs"]
mod actix_chat;
#[allow(dead_code)]
#[path = "../examples/axum_chat.rs"]
mod axum_chat;
#[allow(dead_code)]
#[path = "../examples/rocket_chat.rs"]
mod rocket_chat;
#[path = "support/examples.rs"]
mod running;
#[allow(dead_code)]
#[path = "support/web.rs"]
mod web;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rocket::fairing::AdHoc;
use tokio::runtime::Runtime;

use self::running::{curl, started};

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
