//! Where what the backend does not take is kept.

use std::path::PathBuf;

use super::resolve::{Environment, Target};
use super::{Builder, InitError};

const DIRECTORY: &str = "TRACIUM_SPOOL_DIR";
const MAX_BYTES: &str = "TRACIUM_SPOOL_MAX_BYTES";
pub(super) const VARIABLES: [&str; 2] = [DIRECTORY, MAX_BYTES];
const DEFAULT_MAX_BYTES: u64 = 1 << 30;

/// The spool, checked as far as that can be done without touching the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "client"), allow(dead_code))]
pub(crate) struct SpoolSettings {
    pub(crate) directory: PathBuf,
    pub(crate) max_bytes: u64,
}

/// The spool, if there is one, for `targets`.
pub(super) fn settings(
    builder: &Builder,
    environment: &Environment,
    targets: &[Target],
) -> Result<Option<SpoolSettings>, InitError> {
    let (directory, max_bytes, setting) = match (&builder.spool, environment.get(DIRECTORY)) {
        (Some((directory, max_bytes)), _) => (directory.clone(), Some(*max_bytes), "`spool`"),
        (None, Some(directory)) => (directory.into(), None, DIRECTORY),
        (None, None) => return Ok(None),
    };
    let of_environment = || {
        let Some(value) = environment.get(MAX_BYTES) else { return Ok(DEFAULT_MAX_BYTES) };
        let expected = "a number of bytes from 1, such as 1073741824";
        let invalid = || InitError::InvalidValue { variable: MAX_BYTES, value: value.to_owned(), expected };
        value.parse().ok().filter(|bytes| *bytes > 0).ok_or_else(invalid)
    };
    let max_bytes = max_bytes.map_or_else(of_environment, Ok)?;
    let unusable = |reason: &str| InitError::Spool { path: directory.display().to_string(), reason: reason.to_owned() };
    if directory.as_os_str().is_empty() {
        return Err(unusable("it has no name"));
    }
    if max_bytes == 0 {
        return Err(unusable("its `max_bytes` is 0"));
    }
    let sends = |target: &Target| matches!(target, Target::Rest(_) | Target::Otlp(_));
    match targets.first() {
        // Off: nothing is kept of what is not collected.
        None => Ok(None),
        Some(first) if !targets.iter().any(sends) => {
            Err(InitError::SpoolWithoutBackend { setting, exporter: first.name() })
        }
        Some(_) => Ok(Some(SpoolSettings { directory, max_bytes })),
    }
}

#[cfg(all(test, feature = "rest"))]
mod tests {
    use super::super::resolve::resolve;
    use super::*;
    use crate::config::builder;

    fn of(builder: &Builder, pairs: &[(&'static str, &str)]) -> Result<Option<SpoolSettings>, InitError> {
        resolve(builder, &Environment::of(pairs)).map(|resolved| resolved.spool)
    }

    const KEY: (&str, &str) = ("TRACIUM_API_KEY", "trc_1");

    #[test]
    fn a_spool_comes_from_the_environment_or_from_code_which_wins() {
        let settings = |directory: &str, max_bytes| Some(SpoolSettings { directory: directory.into(), max_bytes });
        assert_eq!(of(&builder(), &[KEY]).unwrap(), None);
        assert_eq!(of(&builder(), &[KEY, (DIRECTORY, "/a")]).unwrap(), settings("/a", 1 << 30));
        let pairs = [KEY, (DIRECTORY, "/a"), (MAX_BYTES, "7")];
        assert_eq!(of(&builder(), &pairs).unwrap(), settings("/a", 7));
        assert_eq!(of(&builder().spool("/b", 8), &pairs).unwrap(), settings("/b", 8));
    }

    #[test]
    fn a_spool_that_cannot_be_is_an_error_that_says_why() {
        let error = |builder: Builder, pairs: &[_]| of(&builder, pairs).unwrap_err().to_string();
        assert!(error(builder().spool("", 8), &[KEY]).contains("no name"));
        assert!(error(builder().spool("/a", 0), &[KEY]).contains("max_bytes"));
        for value in ["0", "-1", "1 GB"] {
            let text = error(builder(), &[KEY, (DIRECTORY, "/a"), (MAX_BYTES, value)]);
            assert!(text.contains(MAX_BYTES) && text.contains(value), "{text}");
        }
    }

    #[test]
    fn a_spool_for_an_exporter_that_sends_nothing_is_an_error_that_names_both() {
        for exporter in ["console", "discard"] {
            let pairs = [(DIRECTORY, "/a"), ("TRACIUM_EXPORTER", exporter)];
            let text = of(&builder(), &pairs).unwrap_err().to_string();
            assert!(text.contains(DIRECTORY) && text.contains(exporter), "{text}");
        }
        let beside = [KEY, (DIRECTORY, "/a"), ("TRACIUM_EXPORTER", "console,rest")];
        assert!(of(&builder(), &beside).unwrap().is_some());
        assert_eq!(of(&builder(), &[(DIRECTORY, "/a"), ("TRACIUM_EXPORTER", "none")]).unwrap(), None);
    }
}
