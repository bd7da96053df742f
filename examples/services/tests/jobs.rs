//! The example `jobs` over real sockets: the `curl` lines in its head, and the job that they queue.

#[allow(dead_code)]
#[path = "../jobs.rs"]
mod jobs;
#[path = "../../../tests/support/examples.rs"]
mod running;
#[allow(dead_code)]
#[path = "../../../tests/support/web.rs"]
mod web;

use std::thread;
use std::time::{Duration, Instant};

use tracium::testing::Recorder;

use self::running::{curl, started};

#[test]
fn jobs_run_for_the_tenant_and_in_the_trace_that_queued_them() {
    let recorder = Recorder::install_global();
    let directory = std::env::temp_dir().join(format!("tracium-example-jobs-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let database = directory.join("jobs.sqlite");
    let address = started(|listener| async move { jobs::serve(listener, &database).await });
    let answers = curl(include_str!("../jobs.rs"), address);
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
