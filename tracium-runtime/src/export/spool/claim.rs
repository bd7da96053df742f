//! Who may read and write what: each process, and each exporter of it, has a directory of its own, and a lock beside it.
//!
//! The kernel lets go of the lock when the process ends, however it does. The lock is there before the directory: one
//! whose lock can be taken is an orphan.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A directory that nobody else touches, for as long as this is held.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    lock: File,
    /// Whose lock it is: one that was forked off has a copy of it.
    process: u32,
}

impl Drop for Claim {
    /// Closed alone, the lock would hold for as long as a process lives that was forked off this one.
    fn drop(&mut self) {
        if self.process == std::process::id() {
            let _ = self.lock.unlock();
        }
    }
}

impl Claim {
    /// A new directory in `root`.
    pub(super) fn make(root: &Path, name: &str) -> io::Result<Self> {
        let path = root.join(name);
        let lock = open(OpenOptions::new().write(true).create_new(true), &lock_of(&path))?;
        lock.try_lock().map_err(io::Error::from)?;
        make_directory(&path, false)?;
        sync_directory(root)?;
        Ok(Self::of(path, lock))
    }

    /// The directory at `path`, where its owner is gone and nobody else has taken it.
    pub(super) fn adopt(path: &Path) -> io::Result<Option<Self>> {
        let lock = match OpenOptions::new().write(true).open(lock_of(path)) {
            Ok(lock) => lock,
            // Whoever held it has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self::of(path.to_owned(), lock))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn of(path: PathBuf, lock: File) -> Self {
        Self { path, lock, process: std::process::id() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the directory, if nothing is in it; whether it did.
    pub(super) fn remove_if_empty(&self) -> bool {
        // The lock goes last: whoever still finds it finds no directory.
        let removed = fs::remove_dir(&self.path).is_ok();
        if removed {
            let _ = fs::remove_file(lock_of(&self.path));
        }
        removed
    }
}

fn lock_of(directory: &Path) -> PathBuf {
    directory.with_extension("lock")
}

/// Makes a directory that nobody but its owner can enter.
pub(super) fn make_directory(path: &Path, with_parents: bool) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(with_parents);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens a file that nobody but its owner can read.
pub(super) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

/// Makes the names in a directory last.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    // Elsewhere a directory is nothing that can be opened, and names last as they are.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Scratch;
    use super::*;

    #[test]
    fn a_directory_whose_owner_lives_is_nobody_elses() {
        let scratch = Scratch::new();
        let claim = Claim::make(scratch.path(), "rest-1").unwrap();
        let path = claim.path().to_owned();
        assert!(Claim::adopt(&path).unwrap().is_none());
        drop(claim);
        let adopted = Claim::adopt(&path).unwrap().unwrap();
        assert!(Claim::adopt(&path).unwrap().is_none(), "one of them only");
        assert!(adopted.remove_if_empty());
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "neither the directory nor its lock is left");
    }

    /// As a process that was forked off has the lock.
    #[test]
    fn a_copy_of_the_lock_elsewhere_does_not_keep_a_directory_that_was_let_go_of() {
        let scratch = Scratch::new();
        let claim = Claim::make(scratch.path(), "rest-1").unwrap();
        let (path, copy) = (claim.path().to_owned(), claim.lock.try_clone().unwrap());
        drop(claim);
        let adopted = Claim::adopt(&path).unwrap().unwrap();
        drop(Claim { path: path.clone(), lock: adopted.lock.try_clone().unwrap(), process: 0 });
        assert!(Claim::adopt(&path).unwrap().is_none(), "nor does the copy let go of it for its owner");
        drop(copy);
    }

    #[test]
    fn a_directory_with_something_in_it_stays() {
        let scratch = Scratch::new();
        let claim = Claim::make(scratch.path(), "rest-1").unwrap();
        let path = claim.path().to_owned();
        fs::write(path.join("x"), "x").unwrap();
        assert!(!claim.remove_if_empty() && path.join("x").exists());
        drop(claim);
        assert!(Claim::adopt(&path).unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_look_into_it() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = Scratch::new();
        let root = scratch.path().join("a").join("b");
        make_directory(&root, true).unwrap();
        let claim = Claim::make(&root, "rest-1").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&root), mode(claim.path()), mode(&lock_of(claim.path()))), (0o700, 0o700, 0o600));
    }
}
