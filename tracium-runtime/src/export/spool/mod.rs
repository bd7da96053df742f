//! The spool: what memory cannot keep while the backend does not take it goes to disk, and from there to the backend.
//!
//! | file | what |
//! |---|---|
//! | `file` | the format of a file, read and written without touching a disk |
//! | `fields` | numbers and texts in it |
//! | `claim` | whose a directory is |
//! | `store` | files in directories: written, found, read, set aside, removed |
//! | `worker` | the thread that does so |
//! | `done` | what becomes of what it was asked for |
//!
//! An exporter gives it units: what is sent as one, as the exporter encodes it, with the receipts of what it carries. Until
//! a unit's file is on disk it counts as queued, from then on as spooled. What is read back comes as units again, whose
//! receipts say that the spool has them, and is sent and settled like everything else; when all of a file is settled, the
//! file is removed.

mod claim;
mod done;
mod fields;
mod file;
mod store;
mod worker;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use self::fields::{Fields, put_bytes, put_some_text, put_u32};
pub(crate) use self::file::Protocol;
use self::store::{Filed, Place};
use self::worker::{Job, Worker};
use super::Account;
use super::account::Receipt;
use crate::config::{InitError, SpoolSettings};
use crate::notice::{self, Minute};

/// How long a backend is down before what waits for it goes to disk: what is in memory then is lost to a kill.
pub(crate) const DOWN: Duration = Duration::from_secs(1);
/// The most that is on its way to disk at once, in bytes.
const WRITING: usize = 8 << 20;
/// Files of one destination that are being sent at once: each lies in memory meanwhile.
const LOADED: usize = 3;
/// Files that are being sent at once.
const MOST_LOADED: usize = 48;
/// How long a disk that failed is left alone.
const PAUSE: Duration = Duration::from_secs(5);
/// Of the budget, in eighths: from where on memory is relieved, and until when.
const RELIEF: (usize, usize) = (4, 3);

/// What is sent as one.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// As the exporter has it in files.
    pub(crate) payload: Vec<u8>,
    /// Of the spans and outcomes that it carries.
    pub(crate) receipts: Vec<Receipt>,
}

impl Unit {
    fn count(&self) -> u32 {
        u32::try_from(self.receipts.len()).unwrap_or(u32::MAX)
    }
}

/// Which file something came from: to be settled with [`Spool::settle`] when it is delivered or given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slip(u64);

/// What the spool has for the exporter to send.
#[derive(Debug)]
pub(crate) enum Read {
    /// A file's, each to be settled. `tried` where something of it may have been sent before.
    File { slip: Slip, units: Vec<Unit>, tried: bool },
    /// They could not be written; memory keeps them.
    Back(Vec<Unit>),
    /// Nothing.
    News,
}

/// A file that is not being sent.
#[derive(Debug)]
struct Waiting {
    filed: Filed,
    /// Where it goes, once that is known.
    destination: Option<u32>,
}

/// A file that is being sent.
#[derive(Debug)]
struct Loaded {
    waiting: Waiting,
    /// What is to be settled before the file goes.
    open: usize,
}

#[derive(Debug)]
struct Writing {
    units: Arc<Vec<Unit>>,
    bytes: usize,
    destination: u32,
}

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is so or not, whatever the others are.
pub(crate) struct Spool {
    place: Place,
    /// Where all of it goes, where there is but one place.
    only_destination: Option<u32>,
    /// Started by the export thread when it first comes here.
    worker: Option<Worker>,
    /// Whose thread that is: after a fork, nobody's.
    process: u32,
    failed: bool,
    looked: bool,
    next: u64,
    /// On disk, oldest first.
    files: BTreeMap<(u64, u64), Waiting>,
    loaded: HashMap<u64, Loaded>,
    loading: bool,
    writing: HashMap<u64, Writing>,
    writing_bytes: usize,
    removing: usize,
    relieving: bool,
    /// Full to its bound, until something is removed there.
    full: bool,
    /// The disk failed.
    write_after: Option<Instant>,
    read_after: Option<Instant>,
}

impl Spool {
    /// A spool as `settings` say, for what is sent under `key`.
    pub(crate) fn open(settings: &SpoolSettings, protocol: Protocol, key: &str) -> Result<Self, InitError> {
        Ok(Self {
            only_destination: (protocol == Protocol::Rest).then_some(0),
            place: Place::prepare(&settings.directory, settings.max_bytes, protocol, key)?,
            worker: None,
            process: 0,
            failed: false,
            looked: false,
            next: 0,
            files: BTreeMap::new(),
            loaded: HashMap::new(),
            loading: false,
            writing: HashMap::new(),
            writing_bytes: 0,
            removing: 0,
            relieving: false,
            full: false,
            write_after: None,
            read_after: None,
        })
    }

    /// Starts the thread, where that was not done. To be called now and then.
    pub(crate) fn start(&mut self, account: &Account) {
        if self.worker.is_some() || self.failed {
            return;
        }
        match Worker::start(self.place.clone()) {
            Ok(worker) => {
                self.process = std::process::id();
                self.worker = Some(worker);
            }
            Err(error) => self.fail(&format!("the spool's thread could not be started: {error}"), account),
        }
    }

    /// There is no spool any more; memory goes on.
    fn fail(&mut self, why: &str, account: &Account) {
        self.failed = true;
        self.worker = None;
        say(why, account);
    }

    fn give(&self, job: Job) -> bool {
        self.process == std::process::id() && self.worker.as_ref().is_some_and(|worker| worker.give(job))
    }

    /// Memory is so full that some of it should go to disk.
    pub(crate) fn should_relieve(&mut self, account: &Account) -> bool {
        let (from, until) = RELIEF;
        self.relieving = account.is_beyond(if self.relieving { until } else { from });
        self.relieving
    }

    /// Whether there is a disk to save to at all.
    pub(crate) fn is_there(&self) -> bool {
        self.worker.is_some()
    }

    /// More can be written now.
    pub(crate) fn has_room(&self, now: Instant) -> bool {
        let ready = self.write_after.is_none_or(|at| now >= at);
        // A disk that has just failed is tried with a little.
        let most = if self.write_after.is_some() { 1 } else { WRITING };
        ready && !self.full && self.worker.is_some() && self.writing_bytes < most
    }

    /// The most bytes of a unit, about, where what it is of can be divided: a file of one has to fit, beside others.
    pub(crate) fn unit_bytes(&self) -> usize {
        self.place.unit_bytes()
    }

    /// Puts `units` for `destination` into files. What cannot be written comes [back](Read::Back).
    pub(crate) fn write(&mut self, destination: u32, units: impl IntoIterator<Item = Unit>) {
        let (mut file, mut bytes) = (Vec::new(), 0);
        for unit in units {
            bytes += unit.payload.len();
            file.push(unit);
            if bytes >= self.place.file_bytes() {
                self.write_file(destination, std::mem::take(&mut file), std::mem::take(&mut bytes));
            }
        }
        if !file.is_empty() {
            self.write_file(destination, file, bytes);
        }
    }

    fn write_file(&mut self, destination: u32, units: Vec<Unit>, bytes: usize) {
        let units = Arc::new(units);
        let number = self.number();
        // Where the thread is gone, `poll` finds that out, and gives all of them back.
        self.give(Job::Write { number, units: Arc::clone(&units) });
        self.writing_bytes += bytes;
        self.writing.insert(number, Writing { units, bytes, destination });
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Asks for the oldest file that is for a destination that `takes` more, one at a time; one whose destination is not
    /// known is read to find out.
    pub(crate) fn fetch(&mut self, now: Instant, takes: impl Fn(u32) -> bool) {
        if self.loading || self.loaded.len() >= MOST_LOADED || self.read_after.is_some_and(|at| now < at) {
            return;
        }
        let may_load =
            |destination: Option<u32>| destination.is_none_or(|to| takes(to) && self.loaded_for(to) < LOADED);
        let next = self.files.iter().find(|(_, waiting)| may_load(waiting.destination));
        let Some((key, path)) = next.map(|(key, waiting)| (*key, waiting.filed.path.clone())) else { return };
        let number = self.number();
        if self.give(Job::Load { number, path })
            && let Some(waiting) = self.files.remove(&key)
        {
            self.loading = true;
            self.loaded.insert(number, Loaded { waiting, open: 0 });
        }
    }

    fn loaded_for(&self, destination: u32) -> usize {
        self.loaded.values().filter(|loaded| loaded.waiting.destination == Some(destination)).count()
    }

    /// The file of `slip` is for `destination`. False where enough of that one's are being sent, or it takes none: the
    /// file lies on disk again then.
    pub(crate) fn keep_loaded(&mut self, slip: Slip, destination: u32, takes: bool) -> bool {
        let others = self.loaded_for(destination);
        let Some(loaded) = self.loaded.get_mut(&slip.0) else { return true };
        if loaded.waiting.destination.replace(destination).is_some() || (takes && others < LOADED) {
            return true;
        }
        if let Some(loaded) = self.loaded.remove(&slip.0) {
            self.lay_down(slip.0, loaded.waiting);
        }
        false
    }

    fn lay_down(&mut self, number: u64, waiting: Waiting) {
        self.files.insert((waiting.filed.order, number), waiting);
    }

    /// What came from the file is in `more` pieces more than before: each is to be settled.
    pub(crate) fn split(&mut self, slip: Slip, more: usize) {
        if let Some(loaded) = self.loaded.get_mut(&slip.0) {
            loaded.open += more;
        }
    }

    /// One piece of the file is delivered or given up. With the last, the file goes.
    pub(crate) fn settle(&mut self, slip: Slip) {
        let Some(loaded) = self.loaded.get_mut(&slip.0) else { return };
        loaded.open = loaded.open.saturating_sub(1);
        if loaded.open == 0
            && let Some(loaded) = self.loaded.remove(&slip.0)
        {
            let Filed { path, bytes, .. } = loaded.waiting.filed;
            self.removing += usize::from(self.give(Job::Remove { path, bytes }));
        }
    }

    /// Something is on its way to disk, or off it, or nobody knows yet what lies there.
    pub(crate) fn is_busy(&self) -> bool {
        !self.failed && (!self.looked || !self.writing.is_empty() || self.removing > 0)
    }

    /// Lets go of what is not on disk; its receipts.
    pub(crate) fn give_up(&mut self) -> Vec<Receipt> {
        self.writing_bytes = 0;
        let receipts = |unit: &Unit| unit.receipts.clone();
        let of_file = |(_, writing): (u64, Writing)| writing.units.iter().flat_map(receipts).collect::<Vec<_>>();
        self.writing.drain().flat_map(of_file).collect()
    }
}

/// Notes what went wrong, and says it once a minute.
fn say(what: &str, account: &Account) {
    static TURN: Minute = Minute::new();
    account.note_error(what);
    if TURN.is_due() {
        notice::say(|| tracing::warn!(target: "tracium", "{what}"));
    }
}

/// Reads what may be a file of the spool. The units of one that is whole.
#[cfg(fuzzing)]
pub(crate) fn read(bytes: &[u8]) -> Option<(Protocol, Vec<file::Piece<'_>>)> {
    let (head, units) = file::read(bytes).ok()?;
    Some((head.protocol, units))
}

#[cfg(test)]
pub(crate) mod tests;
