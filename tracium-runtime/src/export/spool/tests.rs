//! A directory for a test, and what the spool as a whole promises.

use std::path::{Path, PathBuf};

/// A directory of its own, which goes with the test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tracium-spool-{:016x}", crate::id::next_random()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An address where nobody answers yet.
pub(crate) fn nobody() -> (std::net::SocketAddr, String) {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = dead.local_addr().unwrap();
    (address, format!("http://{address}"))
}

impl Scratch {
    /// The spool of a test.
    pub(crate) fn settings(&self, max_bytes: u64) -> crate::config::SpoolSettings {
        crate::config::SpoolSettings { directory: self.0.join("spool"), max_bytes }
    }

    /// The files that wait to be sent.
    pub(crate) fn spooled(&self) -> Vec<PathBuf> {
        let is_one = |path: &PathBuf| path.extension().is_some_and(|end| end == "spool" || end == "tried");
        self.files("").into_iter().filter(is_one).collect()
    }

    /// The files in the spool whose names end with `end`, oldest first.
    pub(crate) fn files(&self, end: &str) -> Vec<PathBuf> {
        let list = |directory: &Path| std::fs::read_dir(directory).into_iter().flatten().flatten();
        let of_directory = |entry: std::fs::DirEntry| list(&entry.path()).chain(std::iter::once(entry));
        let all = list(&self.0.join("spool")).flat_map(of_directory).map(|entry| entry.path());
        let mut found: Vec<_> = all.filter(|path| path.to_string_lossy().ends_with(end)).collect();
        found.sort_by_key(|path| path.file_name().map(std::ffi::OsStr::to_owned));
        found
    }
}

/// Waits until `is_so`; what takes so long is not ours to say, so there is much patience.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !is_so() {
        assert!(std::time::Instant::now() < patience, "{what} did not come to be");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
