//! The example `axum_openai` against its own stub, over real sockets: the `curl` lines in its head, and what they leave
//! behind.

#[allow(dead_code)]
#[path = "../axum_openai/main.rs"]
mod axum_openai;

use std::time::{Duration, Instant};

use reqwest::{Client, Response};
use serde_json::json;
use tokio::net::TcpListener;
use tracium::testing::{RecordedSpan, RecordedStatus, Recorder};

/// Sends what a `curl` line of the head sends.
async fn curl(line: &str, server: &str) -> Response {
    let quoted = |flag: &str| line.split_once(flag).map(|(_, rest)| rest.split('\'').next().unwrap().to_owned());
    let path = line.rsplit_once("127.0.0.1:3000").unwrap().1;
    let client = Client::new();
    let mut request = match quoted(" -d '") {
        Some(body) => client.post(format!("{server}{path}")).body(body),
        None => client.get(format!("{server}{path}")),
    };
    if let Some(header) = quoted(" -H '") {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn it_answers_as_its_head_says_and_each_call_of_the_model_is_a_span_of_its_tenant() {
    let recorder = Recorder::install_global();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let config = axum_openai::stub::config().await.unwrap();
    tokio::spawn(async { axum::serve(listener, axum_openai::app(config)).await });

    let head = include_str!("../axum_openai/main.rs");
    let mut answers = Vec::new();
    for line in head.lines().filter(|line| line.starts_with("//! curl ")) {
        let response = curl(line, &server).await;
        answers.push((response.status().as_u16(), response.text().await.unwrap()));
    }
    let events = |pieces: &[&str]| format!("data: {}\n\n", pieces.join("\n\ndata: "));
    let refused =
        "the model does not answer: 400 Bad Request invalid_request_error: the stub fails where it is asked to\n";
    let expected = [
        (200, "well\n".to_owned()),
        (200, events(&["Hello", "! Ask", " me for", " tea."])),
        (200, events(&["There", " are ", "12 boxes of tea", "."])),
        (401, String::new()),
        (400, "there is no question\n".to_owned()),
        (502, refused.to_owned()),
    ];
    for (answer, expected) in answers.iter().zip(&expected) {
        // In HTTP/1.1 the space behind `data:` is one of the protocol's; a piece's own is another.
        assert_eq!(answer.0, expected.0, "{answer:?}");
        assert_eq!(answer.1, expected.1, "{answer:?}");
    }
    assert_eq!(answers.len(), expected.len());

    // One call for globex's greeting, two and a tool for acme's stock, one that was refused.
    let spans = settled(&recorder, 5).await;
    let calls: Vec<&RecordedSpan> = spans.iter().filter(|span| span.kind == "llm").collect();
    let seen: Vec<_> = calls.iter().map(|span| (span.tenant.as_ref().unwrap().as_str(), span.status)).collect();
    let (well, failed) = (RecordedStatus::Completed, RecordedStatus::Failed);
    assert_eq!(seen, [("globex", well), ("acme", well), ("acme", well), ("globex", failed)]);
    for call in &calls[..3] {
        assert_eq!(call.model.as_deref(), Some("gpt-4o-mini-stub"), "{call:?}");
        assert_eq!(call.usage.map(|usage| usage.input), Some(40), "{call:?}");
    }
    assert!(calls[3].error.as_ref().unwrap().contains("the stub fails"), "{:?}", calls[3]);
    let tool = spans.iter().find(|span| span.kind == "tool").unwrap();
    assert_eq!(tool.tenant.as_ref().unwrap(), "acme");
    assert_eq!(tool.output, Some(json!({"return": "12 boxes of tea"})));
}

/// The spans, once as many as are expected have ended: a stream's reader may see its end before its span's.
async fn settled(recorder: &Recorder, most: usize) -> Vec<RecordedSpan> {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let mut spans = recorder.spans();
        spans.retain(|span| matches!(span.kind.as_str(), "llm" | "tool"));
        if spans.len() >= most || Instant::now() > patience {
            return spans;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
