//! Files in directories: what the spool's thread does to the disk.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::claim::{Claim, make_directory, open, sync_directory};
use super::file::{self, Fault, HEAD, Piece, Protocol};
use crate::config::InitError;
use crate::id::next_random;

/// Damaged files that are kept to be looked at.
const MOST_DAMAGED: usize = 16;
/// The most bytes of one file, but for its last unit.
const LARGEST: u64 = 1 << 20;
/// The most bytes of one unit, about, where it can be divided.
const LARGEST_UNIT: u64 = 8 << 20;
/// A file that is complete.
const WHOLE: &str = "spool";
/// The same, of which something may have been sent already.
const TRIED: &str = "tried";

/// Where files go, and whose they are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    root: PathBuf,
    max_bytes: u64,
    protocol: Protocol,
    /// What the names of our directories begin with: the protocol, and a few bits of a hash of the key. Whoever has
    /// another key leaves them alone, since what lies in them is for another workspace.
    prefix: String,
}

impl Place {
    /// Makes sure that files can be written to `root`, and that locks hold there.
    pub(super) fn prepare(root: &Path, max_bytes: u64, protocol: Protocol, key: &str) -> Result<Self, InitError> {
        // 32 bits: enough to tell keys apart, and too few to say anything of one.
        let hash = crate::TraceId::hashed(key).to_bytes();
        let prefix = format!("{}-{:02x}{:02x}{:02x}{:02x}-", protocol.name(), hash[0], hash[1], hash[2], hash[3]);
        let place = Self { root: root.to_owned(), max_bytes, protocol, prefix };
        let tried = make_directory(root, true).and_then(|()| {
            let claim = Claim::make(root, &place.new_name())?;
            claim.remove_if_empty();
            Ok(())
        });
        tried.map_err(|error| InitError::Spool { path: root.display().to_string(), reason: error.to_string() })?;
        Ok(place)
    }

    /// The bytes of one file, but for its last unit: small enough for several to fit.
    pub(super) fn file_bytes(&self) -> usize {
        (self.max_bytes / 8).min(LARGEST) as usize
    }

    /// The bytes of one unit that could be smaller. More than those of a file, since what a unit holds is sent in order.
    pub(super) fn unit_bytes(&self) -> usize {
        (self.max_bytes / 8).min(LARGEST_UNIT) as usize
    }

    /// A name that no directory has: of this process, also after a fork.
    fn new_name(&self) -> String {
        static RANDOM: OnceLock<u64> = OnceLock::new();
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (process, random) = (std::process::id(), RANDOM.get_or_init(next_random));
        format!("{}{process:x}-{random:x}-{:x}", self.prefix, NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A file that is there, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filed {
    pub(super) path: PathBuf,
    /// Older ones have less.
    pub(super) order: u64,
    pub(super) bytes: u64,
    /// Spans and outcomes.
    pub(super) count: u64,
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Content {
    /// Where it lies from now on.
    pub(super) path: PathBuf,
    pub(super) units: Vec<(u32, Vec<u8>)>,
    /// Something of it may have been sent before.
    pub(super) tried: bool,
}

/// Why nothing was written.
#[derive(Debug)]
pub(super) enum Refusal {
    Full,
    Failed(io::Error),
}

/// Why nothing was read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It never can be.
    Lost(String),
    /// It may be later.
    Failed(io::Error),
}

#[derive(Debug)]
pub(super) struct Store {
    place: Place,
    /// Where new files go; made with the first of them.
    own: Option<Claim>,
    adopted: Vec<Claim>,
    /// In those, in bytes.
    ours: u64,
    /// Beside those, when it was last looked.
    others: u64,
    last: u64,
    /// Directories with files that only a later version can read.
    left_alone: HashSet<PathBuf>,
    /// What people should hear of.
    pub(super) notes: Vec<String>,
}

impl Store {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            own: None,
            adopted: Vec::new(),
            ours: 0,
            others: 0,
            last: 0,
            left_alone: HashSet::new(),
            notes: Vec::new(),
        }
    }

    /// Writes a file: it is there whole, and stays, or it is not there.
    pub(super) fn put<'a>(&mut self, units: impl Iterator<Item = Piece<'a>>) -> Result<Filed, Refusal> {
        let written = self.now();
        let bytes = file::write(self.place.protocol, written, units);
        let length = bytes.len() as u64;
        if self.ours + self.others + length > self.place.max_bytes {
            return Err(Refusal::Full);
        }
        let path = self.write(written, &bytes).or_else(|error| {
            // Somebody has removed our directory: once more, in a new one.
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            self.own = None;
            self.write(written, &bytes)
        });
        let path = path.map_err(Refusal::Failed)?;
        self.ours += length;
        let count = file::head(&bytes).map_or(0, |head| head.count);
        Ok(Filed { path, order: written, bytes: length, count })
    }

    fn write(&mut self, order: u64, bytes: &[u8]) -> io::Result<PathBuf> {
        let own = match self.own.take() {
            Some(own) => own,
            None => Claim::make(&self.place.root, &self.place.new_name())?,
        };
        let directory = self.own.insert(own).path();
        let path = directory.join(format!("{order:016x}.{WHOLE}"));
        let unfinished = path.with_extension("tmp");
        let written = open(OpenOptions::new().write(true).create_new(true), &unfinished).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            sync_directory(directory)
        });
        if written.is_err() {
            let _ = fs::remove_file(&unfinished).or_else(|_| fs::remove_file(&path));
        }
        written.map(|()| path)
    }

    /// Microseconds since the Unix epoch, and more each time.
    fn now(&mut self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
        self.last = now.max(self.last + 1);
        self.last
    }

    /// Whether a file of the usual size fits.
    pub(super) fn has_room(&self) -> bool {
        self.ours + self.others + self.place.file_bytes() as u64 <= self.place.max_bytes
    }

    /// Reads a file that is about to be sent.
    pub(super) fn load(&mut self, path: &Path) -> Result<Content, Unread> {
        let tried = path.extension().is_some_and(|extension| extension == TRIED);
        let at = path.with_extension(TRIED);
        // A disk that failed after the new name was there is asked for it once more.
        let is_named = tried || (at.exists() && !path.exists());
        let bytes = if is_named { Ok(()) } else { rename(path, &at) }.and_then(|()| fs::read(&at));
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(Unread::Lost(format!("{} is gone", path.display())));
            }
            Err(error) => return Err(Unread::Failed(error)),
        };
        match file::read(&bytes) {
            Ok((head, units)) if head.protocol == self.place.protocol => {
                let units = units.into_iter().map(|(count, unit)| (count, unit.to_owned())).collect();
                Ok(Content { path: at, units, tried })
            }
            Ok(_) => Err(Unread::Lost(self.set_aside(&at, "another exporter wrote it"))),
            Err(Fault::Damaged(why)) => Err(Unread::Lost(self.set_aside(&at, why))),
            Err(Fault::Newer(version)) => Err(Unread::Lost(left_alone(&at, version))),
        }
    }

    /// Removes a file that is done with.
    pub(super) fn remove(&mut self, path: &Path, bytes: u64) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.notes.push(format!("{} cannot be removed, and will be sent again: {error}", path.display()));
            }
            _ => self.ours = self.ours.saturating_sub(bytes),
        }
        if let Some(at) = self.adopted.iter().position(|claim| path.starts_with(claim.path()))
            && self.adopted[at].remove_if_empty()
        {
            self.adopted.swap_remove(at);
        }
    }

    /// Finds what processes that are gone have left, and how much lies here in all.
    pub(super) fn look(&mut self) -> Vec<Filed> {
        let mut found = Vec::new();
        let mut others = 0;
        let Ok(entries) = fs::read_dir(&self.place.root) else { return found };
        for entry in entries.flatten() {
            let path = entry.path();
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                others += entry.metadata().map_or(0, |metadata| metadata.len());
                continue;
            }
            if self.own.iter().chain(&self.adopted).any(|claim| claim.path() == path) {
                continue;
            }
            let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(&self.place.prefix));
            if ours && !self.left_alone.contains(&path) {
                match Claim::adopt(&path) {
                    Ok(Some(claim)) => self.take_over(claim, &mut found),
                    Ok(None) => {}
                    Err(error) => self.notes.push(format!("{} cannot be looked into: {error}", path.display())),
                }
            }
            if !self.adopted.iter().any(|claim| claim.path() == path) {
                others += files(&path).map(|(_, bytes)| bytes).sum::<u64>();
            }
        }
        self.others = others;
        found
    }

    /// Takes the files of a directory whose owner is gone.
    fn take_over(&mut self, claim: Claim, found: &mut Vec<Filed>) {
        let before = found.len();
        let mut newer = false;
        for (path, bytes) in files(claim.path()) {
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if extension == "tmp" {
                // It was never finished.
                let _ = fs::remove_file(&path);
            }
            if !matches!(extension, WHOLE | TRIED) {
                continue;
            }
            match head_of(&path).as_deref().map(file::head) {
                Ok(Ok(head)) => {
                    found.push(Filed { path, order: head.written, bytes, count: head.count });
                    self.ours += bytes;
                }
                Ok(Err(Fault::Newer(version))) => {
                    newer = true;
                    self.notes.push(left_alone(&path, version));
                }
                Ok(Err(Fault::Damaged(why))) => {
                    self.ours += bytes;
                    let note = self.set_aside(&path, why);
                    self.notes.push(note);
                }
                Err(error) => self.notes.push(format!("{} cannot be read: {error}", path.display())),
            }
        }
        if found.len() > before {
            self.adopted.push(claim);
        } else if newer {
            self.left_alone.insert(claim.path().to_owned());
        } else {
            claim.remove_if_empty();
        }
    }

    /// Puts a damaged file where nobody sends it, and people can look at it; what is to be said of it.
    fn set_aside(&mut self, path: &Path, why: &str) -> String {
        let name = |path: Option<&Path>| {
            path.and_then(Path::file_stem).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let aside = format!("{}-{}.corrupt", name(path.parent()), name(Some(path)));
        let aside = self.place.root.join(aside);
        let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
        let text = match fs::rename(path, &aside) {
            Ok(()) => format!("a file of the spool is damaged ({why}) and was set aside as {}", aside.display()),
            Err(error) => format!("{} is damaged ({why}) and cannot be set aside: {error}", path.display()),
        };
        self.ours = self.ours.saturating_sub(bytes);
        self.others += bytes;
        let mut damaged: Vec<_> = files(&self.place.root)
            .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "corrupt"))
            .filter_map(|(path, bytes)| Some((fs::metadata(&path).ok()?.modified().ok()?, path, bytes)))
            .collect();
        damaged.sort();
        for (_, path, bytes) in damaged.iter().take(damaged.len().saturating_sub(MOST_DAMAGED)) {
            if fs::remove_file(path).is_ok() {
                self.others = self.others.saturating_sub(*bytes);
            }
        }
        text
    }

    /// Nothing more will be asked: leaves no trace where nothing is left.
    pub(super) fn close(self) {
        for claim in self.own.iter().chain(&self.adopted) {
            claim.remove_if_empty();
        }
    }
}

fn left_alone(path: &Path, version: u16) -> String {
    format!("{} is of version {version} of the spool, which this one does not know; it is left alone", path.display())
}

/// A new name that lasts.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    to.parent().map_or(Ok(()), sync_directory)
}

/// The files in a directory, and how long they are.
fn files(directory: &Path) -> impl Iterator<Item = (PathBuf, u64)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        metadata.is_file().then(|| (entry.path(), metadata.len()))
    })
}

fn head_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    File::open(path)?.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests;
