//! The settings of OTLP, by the names that OpenTelemetry has for them.

use std::time::Duration;

use super::resolve::{Environment, check_key, check_url};
use super::{Builder, Connection, InitError, Routing};

pub(super) const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
pub(super) const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
const TRACES_TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT";
const COMPRESSION: &str = "OTEL_EXPORTER_OTLP_COMPRESSION";
const TRACES_COMPRESSION: &str = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
const SERVICE: &str = "OTEL_SERVICE_NAME";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Every variable that is read here.
pub(super) const VARIABLES: [&str; 12] = [
    ENDPOINT,
    TRACES_ENDPOINT,
    HEADERS,
    TRACES_HEADERS,
    TIMEOUT,
    TRACES_TIMEOUT,
    COMPRESSION,
    TRACES_COMPRESSION,
    PROTOCOL,
    TRACES_PROTOCOL,
    SERVICE,
    RESOURCE,
];

const TRACES_PATH: &str = "/v1/traces";

/// Where OTLP goes, and as whom; checked.
#[derive(Clone)]
#[cfg_attr(not(feature = "otlp"), allow(dead_code))]
pub(crate) struct OtlpTarget {
    /// With its path.
    pub(crate) url: String,
    /// The key among them. None of them may show.
    pub(crate) headers: Vec<(String, String)>,
    /// The resource's attributes.
    pub(crate) resource: Vec<(String, String)>,
    pub(crate) gzip: bool,
    /// The header that names the tenant of a request, in lower case; requests are of one tenant each then.
    pub(crate) tenant_header: Option<String>,
    pub(crate) routing: Option<Routing>,
    pub(crate) connection: Connection,
}

impl std::fmt::Debug for OtlpTarget {
    /// Without the headers' values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtlpTarget").field("url", &self.url).field("resource", &self.resource).finish_non_exhaustive()
    }
}

pub(super) fn target(builder: &Builder, environment: &Environment, key: Option<&str>) -> Result<OtlpTarget, InitError> {
    if !cfg!(feature = "otlp") {
        return Err(InitError::NotBuiltIn { exporter: "otlp" });
    }
    protocol(environment)?;
    let (url, setting) = url(builder, environment);
    check_url(&url, setting, &builder.http_hosts)?;
    Ok(OtlpTarget {
        url,
        headers: headers(builder, environment, key)?,
        resource: resource(builder, environment),
        gzip: compression(environment)?,
        tenant_header: tenant_header(builder)?,
        routing: builder.route.clone().map(|route| Routing { route, http_hosts: builder.http_hosts.clone() }),
        connection: builder.connection(timeout(environment)?),
    })
}

/// The address that traces are posted to, and the setting that it comes from.
fn url(builder: &Builder, environment: &Environment) -> (String, &'static str) {
    if let Some(url) = &builder.otlp_endpoint {
        return (with_path(url), "`otlp_endpoint`");
    }
    if let Some(url) = environment.get(TRACES_ENDPOINT) {
        return (url.to_owned(), TRACES_ENDPOINT);
    }
    if let Some(url) = environment.get(ENDPOINT) {
        return (with_path(url), ENDPOINT);
    }
    match builder.tracium_url(environment) {
        Some((url, setting)) => (with_path(url), setting),
        // The default of the specification: a collector on this machine.
        None => (with_path("http://localhost:4318"), ENDPOINT),
    }
}

/// A base address gets the path of traces; one that has it is left alone.
pub(super) fn with_path(base: &str) -> String {
    let base = base.trim_end_matches('/');
    if base.ends_with(TRACES_PATH) { base.to_owned() } else { format!("{base}{TRACES_PATH}") }
}

/// Only what we speak: another protocol in the environment would mean a server that does not understand us.
fn protocol(environment: &Environment) -> Result<(), InitError> {
    match environment.first(&[TRACES_PROTOCOL, PROTOCOL]) {
        None | Some((_, "http/protobuf")) => Ok(()),
        Some((variable, value)) => {
            Err(InitError::InvalidValue { variable, value: value.to_owned(), expected: "`http/protobuf`" })
        }
    }
}

fn compression(environment: &Environment) -> Result<bool, InitError> {
    match environment.first(&[TRACES_COMPRESSION, COMPRESSION]) {
        None | Some((_, "gzip")) => Ok(true),
        Some((_, "none")) => Ok(false),
        Some((variable, value)) => {
            Err(InitError::InvalidValue { variable, value: value.to_owned(), expected: "`gzip` or `none`" })
        }
    }
}

fn timeout(environment: &Environment) -> Result<Option<Duration>, InitError> {
    let Some((variable, value)) = environment.first(&[TRACES_TIMEOUT, TIMEOUT]) else { return Ok(None) };
    match value.parse::<u64>() {
        Ok(millis) if millis > 0 => Ok(Some(Duration::from_millis(millis))),
        _ => Err(InitError::InvalidValue {
            variable,
            value: value.to_owned(),
            expected: "a number of milliseconds, from 1",
        }),
    }
}

/// The key as a bearer token, then the environment's headers, then code's; a later one of a name wins.
fn headers(
    builder: &Builder,
    environment: &Environment,
    key: Option<&str>,
) -> Result<Vec<(String, String)>, InitError> {
    let mut headers: Vec<(String, String)> = Vec::new();
    if let Some(key) = key {
        check_key(key)?;
        put_header(&mut headers, "TRACIUM_API_KEY", "authorization", format!("Bearer {key}"))?;
    }
    for variable in [HEADERS, TRACES_HEADERS] {
        for (name, value) in pairs(environment.get(variable).unwrap_or_default()) {
            put_header(&mut headers, variable, &name, value)?;
        }
    }
    for (name, value) in &builder.otlp_headers {
        put_header(&mut headers, "`otlp_header`", name, value.clone())?;
    }
    Ok(headers)
}

/// Puts a header in the place of one of the same name.
pub(super) fn put_header(
    headers: &mut Vec<(String, String)>,
    setting: &'static str,
    name: &str,
    value: String,
) -> Result<(), InitError> {
    let name = name.to_ascii_lowercase();
    if !is_header(&name, &value) {
        return Err(InitError::InvalidHeader { setting, name });
    }
    headers.retain(|(known, _)| *known != name);
    headers.push((name, value));
    Ok(())
}

fn tenant_header(builder: &Builder) -> Result<Option<String>, InitError> {
    let Some(name) = &builder.tenant_header else { return Ok(None) };
    let name = name.to_ascii_lowercase();
    if is_header(&name, "") {
        Ok(Some(name))
    } else {
        Err(InitError::InvalidHeader { setting: "`tenant_header`", name })
    }
}

fn is_header(name: &str, value: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token) && value.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

fn resource(builder: &Builder, environment: &Environment) -> Vec<(String, String)> {
    let mut resource = pairs(environment.get(RESOURCE).unwrap_or_default());
    let named = environment.get(SERVICE).map(|name| ("service.name".to_owned(), name.to_owned()));
    for (key, value) in named.into_iter().chain(builder.resource.iter().cloned()) {
        resource.retain(|(known, _)| *known != key);
        resource.push((key, value));
    }
    if resource.iter().all(|(key, _)| key != "service.name") {
        // What the specification asks for where nobody named the service.
        let program = std::env::current_exe().ok();
        let program = program.as_deref().and_then(|path| path.file_name()).and_then(|name| name.to_str());
        let name = program.map_or_else(|| "unknown_service".to_owned(), |name| format!("unknown_service:{name}"));
        resource.push(("service.name".to_owned(), name));
    }
    resource
}

/// `key=value,key2=value2`, percent-encoded, as the specification writes lists. What is no pair is left out.
fn pairs(list: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| crate::content::percent_decode(text.trim());
    list.split(',')
        .filter_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            Some((decoded(key)?, decoded(value)?)).filter(|(key, _)| !key.is_empty())
        })
        .collect()
}

#[cfg(all(test, feature = "otlp"))]
mod tests {
    use super::*;
    use crate::config::builder;

    fn with(pairs: &[(&'static str, &str)]) -> Result<OtlpTarget, InitError> {
        let environment = Environment::of(pairs);
        target(&builder(), &environment, environment.get("TRACIUM_API_KEY"))
    }

    #[test]
    fn an_endpoint_may_have_the_path_of_traces_or_not() {
        for url in ["https://otel.example.com", "https://otel.example.com/", "https://otel.example.com/v1/traces"] {
            assert_eq!(with(&[(ENDPOINT, url)]).unwrap().url, "https://otel.example.com/v1/traces", "{url}");
        }
        let deep = with(&[(ENDPOINT, "https://example.com/otlp")]).unwrap();
        assert_eq!(deep.url, "https://example.com/otlp/v1/traces");
        let own = with(&[(ENDPOINT, "https://a"), (TRACES_ENDPOINT, "https://b/custom")]).unwrap();
        assert_eq!(own.url, "https://b/custom", "the signal's own is used as it is");
        assert_eq!(with(&[]).unwrap().url, "http://localhost:4318/v1/traces");
        let tracium = with(&[("TRACIUM_BASE_URL", "https://tracium.example.com")]).unwrap();
        assert_eq!(tracium.url, "https://tracium.example.com/v1/traces");
    }

    #[test]
    fn headers_are_percent_decoded_and_win_over_the_key() {
        let target = with(&[("TRACIUM_API_KEY", "trc_1"), (HEADERS, "X-One=a%20b, x-two = 2 ,nothing")]).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [pair("authorization", "Bearer trc_1"), pair("x-one", "a b"), pair("x-two", "2")];
        assert_eq!(target.headers, expected);
        let target = with(&[("TRACIUM_API_KEY", "trc_1"), (HEADERS, "Authorization=Basic%20abc")]).unwrap();
        assert_eq!(target.headers, [pair("authorization", "Basic abc")]);
        assert!(!format!("{target:?}").contains("abc"));
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_refused_by_name_and_its_value_does_not_show() {
        let error = with(&[(HEADERS, "x-key=hush%0d%0a")]).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(HEADERS) && text.contains("x-key") && !text.contains("hush"), "{text}");
    }

    #[test]
    fn the_service_is_named_by_its_own_variable_first() {
        let of = |pairs: &[(&'static str, &str)]| with(pairs).unwrap().resource;
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let attributes = "service.name=a,deployment.environment.name=prod%2Ceu";
        assert_eq!(
            of(&[(RESOURCE, attributes), (SERVICE, "b")]),
            [pair("deployment.environment.name", "prod,eu"), pair("service.name", "b")]
        );
        assert_eq!(of(&[(RESOURCE, attributes)])[0], pair("service.name", "a"));
        assert!(of(&[])[0].1.starts_with("unknown_service:"));
        let named = target(&builder().service_name("c"), &Environment::of(&[(SERVICE, "b")]), None).unwrap();
        assert_eq!(named.resource, [pair("service.name", "c")], "code wins");
    }

    #[test]
    fn what_we_do_not_speak_is_an_error_that_says_what_we_do() {
        for (variable, value, word) in [
            (PROTOCOL, "grpc", "http/protobuf"),
            (TRACES_PROTOCOL, "http/json", "http/protobuf"),
            (COMPRESSION, "zstd", "gzip"),
            (TIMEOUT, "10s", "milliseconds"),
        ] {
            let text = with(&[(variable, value)]).unwrap_err().to_string();
            assert!(text.contains(variable) && text.contains(word), "{text}");
        }
        assert!(!with(&[(COMPRESSION, "none")]).unwrap().gzip);
        let timeout = with(&[(TIMEOUT, "1500"), (TRACES_TIMEOUT, "2500")]).unwrap().connection.request_timeout;
        assert_eq!(timeout, Duration::from_millis(2_500));
    }
}
