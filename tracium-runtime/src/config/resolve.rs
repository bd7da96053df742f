//! From settings and environment to what is started, or to what is wrong with them.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

use super::otlp::{self, OtlpTarget};
use super::spool::{self, SpoolSettings};
use super::{Builder, ExporterKind, InitError};

/// The variables that count, read once.
#[derive(Debug, Default)]
pub(crate) struct Environment(HashMap<&'static str, String>);

const KEY: &str = "TRACIUM_API_KEY";
const URL: &str = "TRACIUM_BASE_URL";
const WORKSPACE: &str = "TRACIUM_WORKSPACE_ID";
const EXPORTER: &str = "TRACIUM_EXPORTER";
const CAPTURE: &str = "TRACIUM_CAPTURE_CONTENT";
const DISABLED: &str = "TRACIUM_DISABLED";
const HTTP_HOSTS: &str = "TRACIUM_ALLOW_HTTP_HOSTS";

impl Environment {
    pub(crate) fn of_process() -> Self {
        let names = [KEY, URL, WORKSPACE, EXPORTER, CAPTURE, DISABLED, HTTP_HOSTS].into_iter();
        let names = names.chain(spool::VARIABLES).chain(otlp::VARIABLES);
        Self(names.filter_map(|name| Some((name, std::env::var(name).ok()?))).collect())
    }

    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&'static str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }

    /// A variable that is set to nothing counts as not set.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The first of `names` that is set.
    pub(super) fn first(&self, names: &[&'static str]) -> Option<(&'static str, &str)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    fn flag(&self, variable: &'static str) -> Result<Option<bool>, InitError> {
        match self.get(variable).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("1" | "true" | "yes" | "on") => Ok(Some(true)),
            Some("0" | "false" | "no" | "off") => Ok(Some(false)),
            Some(value) => {
                Err(InitError::InvalidValue { variable, value: value.to_owned(), expected: "`true` or `false`" })
            }
        }
    }
}

/// What is to be started.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// None is off.
    pub(crate) targets: Vec<Target>,
    pub(crate) spool: Option<SpoolSettings>,
    pub(crate) capture_content: bool,
}

#[derive(Debug)]
pub(crate) enum Target {
    Discard,
    Console,
    Rest(Endpoint),
    Otlp(OtlpTarget),
}

/// The backend, checked.
#[derive(Clone)]
#[cfg_attr(not(feature = "rest"), allow(dead_code))]
pub(crate) struct Endpoint {
    pub(crate) base_url: String,
    pub(crate) api_key: String,
    pub(crate) workspace_id: Option<String>,
    pub(crate) connection: Connection,
}

/// How a backend is reached.
#[derive(Clone)]
#[cfg_attr(not(feature = "client"), allow(dead_code))]
pub(crate) struct Connection {
    pub(crate) request_timeout: Duration,
    pub(crate) proxy: Option<String>,
    pub(crate) root_certificates: Vec<Vec<u8>>,
    pub(crate) backoff: Backoff,
}

/// How long is waited after a failure: `first` after the first, then twice as long each time, up to `longest`.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "client"), allow(dead_code))]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(200), longest: Duration::from_secs(30) }
    }
}

impl std::fmt::Debug for Endpoint {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

pub(crate) fn resolve(builder: &Builder, environment: &Environment) -> Result<Resolved, InitError> {
    let mut builder = builder.clone();
    let hosts = environment.get(HTTP_HOSTS).into_iter().flat_map(|hosts| hosts.split(','));
    builder.http_hosts.extend(hosts.map(|host| host.trim().to_owned()));
    let builder = &builder;
    let disabled = builder.disabled.map_or_else(|| environment.flag(DISABLED), |flag| Ok(Some(flag)))?;
    let capture = builder.capture_content.map_or_else(|| environment.flag(CAPTURE), |flag| Ok(Some(flag)))?;
    if disabled == Some(true) {
        return Ok(Resolved { targets: Vec::new(), spool: None, capture_content: false });
    }
    let key = builder.api_key.as_deref().or_else(|| environment.get(KEY));
    let (mut kinds, chosen) = exporters(builder, environment, key.is_some())?;
    kinds.extend(&builder.more_exporters);
    let mut targets = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        // One of each: twice the same would send everything twice.
        if kinds[..at].contains(kind) {
            continue;
        }
        targets.extend(match kind {
            ExporterKind::None => None,
            ExporterKind::Discard => Some(Target::Discard),
            ExporterKind::Console => Some(Target::Console),
            ExporterKind::Rest => Some(Target::Rest(endpoint(builder, environment, key)?)),
            ExporterKind::Otlp => Some(Target::Otlp(otlp::target(builder, environment, key)?)),
        });
    }
    // Nobody asked for the console: what it prints into a log file must not hold what users wrote.
    let by_default = chosen || kinds != [ExporterKind::Console] || std::io::stderr().is_terminal();
    let spool = spool::settings(builder, environment, &targets)?;
    Ok(Resolved { targets, spool, capture_content: capture.unwrap_or(by_default) })
}

/// The exporters, and whether a setting chose them.
fn exporters(
    builder: &Builder,
    environment: &Environment,
    has_key: bool,
) -> Result<(Vec<ExporterKind>, bool), InitError> {
    if let Some(kind) = builder.exporter {
        return Ok((vec![kind], true));
    }
    if let Some(names) = environment.get(EXPORTER) {
        let kinds = names.split(',').map(|name| exporter(name.trim())).collect::<Result<_, _>>()?;
        return Ok((kinds, true));
    }
    let by_code = builder.otlp_endpoint.is_some().then_some("`otlp_endpoint`");
    let variable = environment.first(&[otlp::TRACES_ENDPOINT, otlp::ENDPOINT]).map(|(variable, _)| variable);
    match (has_key, by_code.or(variable)) {
        (true, Some(second)) => Err(InitError::Contradiction { first: KEY, second }),
        (true, None) => Ok((vec![ExporterKind::Rest], true)),
        (false, Some(_)) => Ok((vec![ExporterKind::Otlp], true)),
        // More of them is what code asked for, and no reason to print as well.
        (false, None) if !builder.more_exporters.is_empty() => Ok((Vec::new(), true)),
        (false, None) => Ok((vec![ExporterKind::Console], false)),
    }
}

fn exporter(name: &str) -> Result<ExporterKind, InitError> {
    match name.to_ascii_lowercase().as_str() {
        "rest" => Ok(ExporterKind::Rest),
        "otlp" => Ok(ExporterKind::Otlp),
        "console" => Ok(ExporterKind::Console),
        "discard" => Ok(ExporterKind::Discard),
        "none" => Ok(ExporterKind::None),
        _ => Err(InitError::InvalidValue {
            variable: EXPORTER,
            // A key that was put into the wrong variable must not show.
            value: name.chars().take(12).collect(),
            expected: "`rest`, `otlp`, `console`, `discard` or `none`, or several, such as `otlp,console`",
        }),
    }
}

impl Target {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Discard => "discard",
            Self::Console => "console",
            Self::Rest(_) => "rest",
            Self::Otlp(_) => "otlp",
        }
    }
}

fn endpoint(builder: &Builder, environment: &Environment, key: Option<&str>) -> Result<Endpoint, InitError> {
    if !cfg!(feature = "rest") {
        return Err(InitError::NotBuiltIn { exporter: "rest" });
    }
    let key = key.ok_or(InitError::MissingKey)?;
    check_key(key)?;
    let (url, setting) = builder.tracium_url(environment).unwrap_or(("https://api.tracium.ai", URL));
    check_url(url, setting, &builder.http_hosts)?;
    Ok(Endpoint {
        base_url: url.trim_end_matches('/').to_owned(),
        api_key: key.to_owned(),
        workspace_id: builder.workspace_id.clone().or_else(|| environment.get(WORKSPACE).map(str::to_owned)),
        connection: builder.connection(None),
    })
}

pub(super) fn check_key(key: &str) -> Result<(), InitError> {
    let legal = !key.is_empty() && key.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if legal { Ok(()) } else { Err(InitError::IllegalKey) }
}

impl Builder {
    /// Where Tracium is, and the setting that says so.
    pub(super) fn tracium_url<'a>(&'a self, environment: &'a Environment) -> Option<(&'a str, &'static str)> {
        let by_code = self.base_url.as_deref().map(|url| (url, "`base_url`"));
        by_code.or_else(|| Some((environment.get(URL)?, URL)))
    }

    /// How the backend is reached; the environment may have a time limit.
    pub(super) fn connection(&self, timeout: Option<Duration>) -> Connection {
        Connection {
            request_timeout: self.request_timeout.or(timeout).unwrap_or(Duration::from_secs(10)),
            proxy: self.proxy.clone(),
            root_certificates: self.root_certificates.clone(),
            backoff: self.backoff,
        }
    }
}

#[cfg(feature = "client")]
pub(super) fn check_url(url: &str, setting: &'static str, http_hosts: &[String]) -> Result<(), InitError> {
    let invalid = |reason: &str| InitError::InvalidUrl { setting, reason: reason.to_owned() };
    let url = reqwest::Url::parse(url).map_err(|error| invalid(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("it holds a user name or password, which belong into TRACIUM_API_KEY"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("it has a query or a fragment"));
    }
    let host = url.host_str().ok_or_else(|| invalid("it has no host"))?;
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(host) || http_hosts.iter().any(|allowed| allowed == host) => Ok(()),
        "http" => Err(InitError::InsecureUrl { setting, host: host.to_owned() }),
        scheme => Err(invalid(&format!("its scheme is {scheme:?}"))),
    }
}

/// Without a client nothing is sent: each exporter that needs one has said so before.
#[cfg(not(feature = "client"))]
#[allow(clippy::unnecessary_wraps)] // As with one.
pub(super) fn check_url(_: &str, _: &'static str, _: &[String]) -> Result<(), InitError> {
    Ok(())
}

#[cfg(feature = "client")]
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::builder;

    fn with(pairs: &[(&'static str, &str)]) -> Result<Resolved, InitError> {
        resolve(&builder(), &Environment::of(pairs))
    }

    fn error(pairs: &[(&'static str, &str)]) -> String {
        with(pairs).unwrap_err().to_string()
    }

    #[test]
    fn with_nothing_set_it_is_the_console_and_content_only_on_a_terminal() {
        let resolved = with(&[]).unwrap();
        assert!(matches!(resolved.targets[..], [Target::Console]));
        assert_eq!(resolved.capture_content, std::io::stderr().is_terminal());
        assert!(with(&[(EXPORTER, "console")]).unwrap().capture_content, "asked for, it shows what was captured");
    }

    #[cfg(feature = "rest")]
    #[test]
    fn a_key_selects_rest_and_an_explicit_exporter_wins() {
        assert!(matches!(with(&[(KEY, "trc_1")]).unwrap().targets[..], [Target::Rest(_)]));
        assert!(matches!(with(&[(KEY, "trc_1"), (EXPORTER, "discard")]).unwrap().targets[..], [Target::Discard]));
        assert!(with(&[(KEY, "trc_1"), (EXPORTER, " None ")]).unwrap().targets.is_empty());
        assert!(with(&[(KEY, "trc_1"), (DISABLED, "true")]).unwrap().targets.is_empty());
    }

    #[cfg(feature = "rest")]
    #[test]
    fn rest_without_a_key_says_which_variable_and_what_to_do() {
        let text = error(&[(EXPORTER, "rest")]);
        assert!(text.contains("TRACIUM_API_KEY") && text.contains("set"), "{text}");
        assert_eq!(with(&[(EXPORTER, "rest"), (KEY, "  ")]).unwrap_err(), InitError::MissingKey, "empty is not set");
    }

    #[test]
    fn a_contradiction_names_both_sides() {
        let text = error(&[(KEY, "trc_1"), (otlp::ENDPOINT, "http://localhost:4318")]);
        assert!(text.contains(KEY) && text.contains(otlp::ENDPOINT), "{text}");
    }

    #[test]
    fn several_exporters_may_be_named_each_once() {
        let of = |names: &str| with(&[(EXPORTER, names)]).unwrap().targets.iter().map(Target::name).collect::<Vec<_>>();
        assert_eq!(of("discard, console"), ["discard", "console"]);
        assert_eq!(of("console,console"), ["console"]);
        assert!(error(&[(EXPORTER, "console,kafka")]).contains("kafka"));
    }

    #[test]
    fn unknown_values_name_the_known_ones() {
        let text = error(&[(EXPORTER, "grpc")]);
        assert!(text.contains("TRACIUM_EXPORTER") && text.contains("`console`"), "{text}");
        let text = error(&[(CAPTURE, "maybe")]);
        assert!(text.contains("TRACIUM_CAPTURE_CONTENT") && text.contains("`true`"), "{text}");
    }

    #[cfg(feature = "rest")]
    #[test]
    fn malformed_and_insecure_urls_are_refused_by_the_name_of_their_variable() {
        for url in ["api.tracium.ai", "https://", "ftp://x", "https://user:pw@host", "https://host/?a=b"] {
            let text = error(&[(KEY, "trc_1"), (URL, url)]);
            assert!(text.contains("TRACIUM_BASE_URL") && text.contains("https://api.tracium.ai"), "{url}: {text}");
            assert!(!text.contains("pw"), "{text}");
        }
        let text = error(&[(KEY, "trc_1"), (URL, "http://tracium.example.com")]);
        assert!(
            text.contains("http") && text.contains("tracium.example.com") && text.contains("allow_http_host"),
            "{text}"
        );
        for url in ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:1", "https://tracium.example.com/base/"]
        {
            with(&[(KEY, "trc_1"), (URL, url)]).unwrap();
        }
    }

    #[cfg(feature = "rest")]
    #[test]
    fn http_to_a_host_that_is_allowed_by_name_is_taken() {
        let builder = builder().api_key("trc_1").base_url("http://inner").allow_http_host("inner");
        resolve(&builder, &Environment::default()).unwrap();
        with(&[(KEY, "trc_1"), (URL, "http://inner"), (HTTP_HOSTS, "outer, inner")]).unwrap();
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn an_otlp_endpoint_selects_otlp_and_a_chosen_otlp_takes_the_key_along() {
        for variable in [otlp::ENDPOINT, otlp::TRACES_ENDPOINT] {
            let targets = with(&[(variable, "https://otel.example.com")]).unwrap().targets;
            assert!(matches!(&targets[..], [Target::Otlp(target)] if target.headers.is_empty()));
        }
        let chosen = [(KEY, "trc_1"), (EXPORTER, "otlp"), (otlp::ENDPOINT, "https://otel.example.com")];
        assert!(matches!(&with(&chosen).unwrap().targets[..], [Target::Otlp(target)] if target.headers.len() == 1));
        let insecure = error(&[(otlp::ENDPOINT, "http://collector:4318")]);
        assert!(insecure.contains("collector") && insecure.contains("TRACIUM_ALLOW_HTTP_HOSTS"), "{insecure}");
    }

    #[cfg(feature = "rest")]
    #[test]
    fn a_key_shows_neither_in_errors_nor_in_debug() {
        let builder = builder().api_key("trc_hush\n");
        assert!(!format!("{builder:?}").contains("hush"));
        let error = resolve(&builder, &Environment::default()).unwrap_err();
        assert_eq!(error, InitError::IllegalKey);
        assert!(!format!("{error:?} {error}").contains("hush"));
    }
}
