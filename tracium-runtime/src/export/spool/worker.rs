//! The spool's own thread: a disk that is slow holds up nobody who waits for a flush.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Unit;
use super::store::{Content, Filed, Place, Refusal, Store, Unread};
use crate::panics;

/// How often it is looked for what processes that are gone have left.
const LOOK: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 5_000 });

#[derive(Debug)]
pub(super) enum Job {
    Write { number: u64, units: Arc<Vec<Unit>> },
    Load { number: u64, path: PathBuf },
    Remove { path: PathBuf, bytes: u64 },
}

/// What became of a job, by its number.
#[derive(Debug)]
pub(super) enum Done {
    Written {
        number: u64,
        filed: Result<Filed, Refusal>,
    },
    Loaded {
        number: u64,
        content: Result<Content, Unread>,
    },
    Removed,
    /// It was looked for orphans, for the first time or once more.
    Looked {
        found: Vec<Filed>,
        has_room: bool,
    },
    /// For people.
    Note(String),
}

/// A thread that does jobs in order. It ends when this is dropped and all that it was given is done.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: Sender<Job>,
    pub(super) done: UnboundedReceiver<Done>,
}

impl Worker {
    pub(super) fn start(place: Place) -> std::io::Result<Self> {
        let (jobs, receiver) = channel();
        let (sender, done) = unbounded_channel();
        let work = move || {
            panics::contained(|| run(Store::new(place), &receiver, &sender));
        };
        thread::Builder::new().name("tracium-spool".to_owned()).spawn(work)?;
        Ok(Self { jobs, done })
    }

    /// False where the thread is gone.
    pub(super) fn give(&self, job: Job) -> bool {
        self.jobs.send(job).is_ok()
    }
}

fn run(mut store: Store, jobs: &Receiver<Job>, done: &UnboundedSender<Done>) {
    let mut next_look = Instant::now();
    loop {
        let now = Instant::now();
        if now >= next_look {
            tell(&mut store, done, |store| {
                let found = store.look();
                Done::Looked { found, has_room: store.has_room() }
            });
            // A directory with so many files that this takes long is looked into less often.
            next_look = Instant::now() + LOOK.max(now.elapsed() * 50);
        }
        match jobs.recv_timeout(next_look.saturating_duration_since(Instant::now())) {
            Ok(Job::Write { number, units }) => tell(&mut store, done, |store| {
                let filed = store.put(units.iter().map(|unit| (unit.count(), unit.payload.as_slice())));
                // Whoever hears of it may want to have the units to itself.
                drop(units);
                Done::Written { number, filed }
            }),
            Ok(Job::Load { number, path }) => {
                tell(&mut store, done, |store| Done::Loaded { number, content: store.load(&path) });
            }
            Ok(Job::Remove { path, bytes }) => tell(&mut store, done, |store| {
                store.remove(&path, bytes);
                Done::Removed
            }),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    store.close();
}

fn tell(store: &mut Store, done: &UnboundedSender<Done>, job: impl FnOnce(&mut Store) -> Done) {
    let result = job(store);
    for note in store.notes.drain(..) {
        let _ = done.send(Done::Note(note));
    }
    // Whoever asked may be gone, with the export thread; what was asked for before is done all the same.
    let _ = done.send(result);
}
