//! What can be wrong with the settings.

use std::fmt;

/// Why `init` did not start the export. The program runs on without it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InitError {
    /// The exporter needs a key and has none.
    MissingKey,
    /// The key has characters that no HTTP header can carry.
    IllegalKey,
    /// The address of the backend is no URL that can be used.
    InvalidUrl {
        /// The variable or setting that it comes from.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Plain http to a host that is not this machine.
    InsecureUrl {
        /// The variable or setting that it comes from.
        setting: &'static str,
        /// The host.
        host: String,
    },
    /// A header that no HTTP request can carry.
    InvalidHeader {
        /// The variable or setting that it comes from.
        setting: &'static str,
        /// The header's name. Its value may be a secret.
        name: String,
    },
    /// A variable has a value that it cannot have.
    InvalidValue {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The values that it can have.
        expected: &'static str,
    },
    /// Two settings want different exporters.
    Contradiction {
        /// The one.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// The exporter is not part of this build.
    NotBuiltIn {
        /// The exporter's name, which is also its feature's.
        exporter: &'static str,
    },
    /// The id given as `default_tenant` is no tenant.
    DefaultTenant(crate::TenantError),
    /// The HTTP client could not be made.
    Client {
        /// Why not.
        reason: String,
    },
    /// The spool's directory cannot be used.
    Spool {
        /// The directory.
        path: String,
        /// Why not.
        reason: String,
    },
    /// A spool is set, and no exporter that sends anything.
    SpoolWithoutBackend {
        /// The variable or setting that sets the spool.
        setting: &'static str,
        /// The exporter that there is.
        exporter: &'static str,
    },
    /// The export runs already; the first `init` holds.
    AlreadyInitialized,
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingKey => f.write_str(
                "the exporter `rest` needs a key and TRACIUM_API_KEY is not set; set it to a key of your workspace, \
                 or set TRACIUM_EXPORTER=console to print traces instead",
            ),
            Self::IllegalKey => f.write_str(
                "TRACIUM_API_KEY has characters that an HTTP header cannot carry (it is not shown here); \
                 check it for line breaks and quotes",
            ),
            Self::InvalidUrl { setting, reason } => {
                write!(f, "{setting} is no usable URL: {reason}; use one like `https://api.tracium.ai`")
            }
            Self::InsecureUrl { setting, host } => write!(
                f,
                "{setting} would send the key to {host:?} over plain http; use https, \
                 or allow this host by name with `tracium::builder().allow_http_host({host:?})` or TRACIUM_ALLOW_HTTP_HOSTS"
            ),
            Self::InvalidHeader { setting, name } => write!(
                f,
                "{setting} has the header {name:?}, whose name or value no HTTP request can carry (the value is not shown \
                 here); write `name=value`, in printable ASCII"
            ),
            Self::InvalidValue { variable, value, expected } => {
                write!(f, "{variable}={value:?} is not known; use {expected}")
            }
            Self::Contradiction { first, second } => {
                write!(
                    f,
                    "{first} and {second} want different exporters; set TRACIUM_EXPORTER to the one you mean, or unset one of them"
                )
            }
            Self::NotBuiltIn { exporter } => write!(
                f,
                "the exporter `{exporter}` is not part of this build; add `features = [\"{exporter}\"]` to the dependency \
                 on tracium if this version has it, or set TRACIUM_EXPORTER to another one"
            ),
            Self::DefaultTenant(error) => write!(f, "`default_tenant` is no tenant: {error}"),
            Self::Client { reason } => write!(f, "the HTTP client could not be made: {reason}"),
            Self::Spool { path, reason } => write!(
                f,
                "the spool's directory {path:?} cannot be used: {reason}; name one that this process may create and write \
                 to, on a file system that knows locks"
            ),
            Self::SpoolWithoutBackend { setting, exporter } => write!(
                f,
                "{setting} keeps what a backend does not take, and the exporter is `{exporter}`, which has none; set \
                 TRACIUM_EXPORTER to `rest` or `otlp`, or unset {setting}"
            ),
            Self::AlreadyInitialized => f.write_str(
                "tracium is initialized already; call `init` once, at the start of `main`, and hold its guard",
            ),
        }
    }
}

impl std::error::Error for InitError {}
