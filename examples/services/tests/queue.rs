//! `tracium::apalis` over a database in a file, which outlives the processes that queue, and those that work.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use apalis_core::backend::TaskSink;
use apalis_core::error::BoxDynError;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_sqlite::{Config, SqliteConnectOptions, SqlitePool, SqliteStorage};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tracium::apalis::{JobContext, JobLayer};
use tracium::testing::Recorder;

/// With a second of heartbeat: a worker that is silent for longer counts as dead.
async fn queue(file: &Path) -> SqliteStorage<u32> {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    SqliteStorage::setup(&pool).await.unwrap();
    let config = Config::default().queue("jobs").heartbeat_interval(Duration::from_secs(1)).missed_heartbeats(1);
    SqliteStorage::new(&pool).with_config(config)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Where a job runs: for whom, and in which trace.
fn whereabouts() -> String {
    let tenant = tracium::current_tenant().map(|tenant| tenant.to_string());
    format!("{} {}", tenant.unwrap_or_default(), tracium::current_trace().id().unwrap())
}

/// A process that only queues a job, or one that works until it is killed.
fn start(role: &str, file: &Path) -> (Child, String) {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process", "--nocapture", "--ignored"])
        .env("ROLE", role)
        .env("JOBS", file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let told = lines.find_map(|line| Some(line.unwrap().split_once("told: ")?.1.to_owned()));
    // What else it says must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (process, told.unwrap())
}

fn queued(tenant: &str, file: &Path) -> String {
    let (mut process, told) = start(tenant, file);
    assert!(process.wait().unwrap().success());
    told
}

#[test]
#[ignore = "a program that the test below runs"]
fn process() {
    let (role, file) = (std::env::var("ROLE").unwrap(), PathBuf::from(std::env::var_os("JOBS").unwrap()));
    let _recorder = Recorder::install();
    runtime().block_on(async {
        let mut queue = queue(&file).await;
        if role != "worker" {
            let trace = tracium::start_trace("front").tenant(role.as_str());
            let queued = trace.scope(async {
                let job = TaskBuilder::new(7).metadata(&JobContext::current()).build();
                queue.push_task(job).await.unwrap();
                whereabouts()
            });
            println!("told: {}", queued.await);
            return;
        }
        let job = async |_: u32| -> Result<(), BoxDynError> {
            println!("told: {}", whereabouts());
            std::future::pending().await
        };
        let worker = WorkerBuilder::new("first").backend(queue).layer(JobLayer::new().trace("worker"));
        worker.build(move |number: u32| job(number)).run().await.unwrap();
    });
}

#[test]
fn jobs_run_for_the_tenants_and_in_the_traces_that_queued_them_whoever_died_meanwhile() {
    let directory = std::env::temp_dir().join(format!("tracium-jobs-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let file = directory.join("jobs.sqlite");
    let acme = queued("acme", &file);
    // The first worker dies at the job, the second finds it, and what was queued when there was no worker.
    let (mut worker, taken) = start("worker", &file);
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert_eq!(taken, acme);
    let globex = queued("globex", &file);
    assert_ne!(acme.split_once(' ').unwrap().1, globex.split_once(' ').unwrap().1);

    let recorder = Recorder::install();
    let done = runtime().block_on(async {
        let (jobs, mut done) = mpsc::unbounded_channel();
        let job = move |_: u32, worker: WorkerContext| {
            let jobs = jobs.clone();
            async move {
                jobs.send((whereabouts(), worker))?;
                Ok::<(), BoxDynError>(())
            }
        };
        let worker = WorkerBuilder::new("second").backend(queue(&file).await).layer(JobLayer::new().trace("worker"));
        let stops = async {
            let (one, _) = done.recv().await.unwrap();
            let (two, worker) = done.recv().await.unwrap();
            worker.stop().unwrap();
            [one, two]
        };
        let (ran, done) = tokio::join!(worker.build(job).run(), stops);
        ran.unwrap();
        done
    });
    let sorted = |mut all: [String; 2]| {
        all.sort();
        all
    };
    assert_eq!(sorted(done.clone()), sorted([acme, globex]));
    for (span, told) in recorder.spans().iter().zip(&done) {
        assert_eq!(format!("{} {}", span.tenant.as_ref().unwrap(), span.trace_id), *told);
    }
    assert_eq!(recorder.spans().len(), 2);
    assert_eq!(tracium::current_tenant(), None);
    std::fs::remove_dir_all(directory).unwrap();
}
