//! Lines of logs with the context, in each of the formats.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing_subscriber::fmt::format::{Format, Full};
use tracing_subscriber::fmt::{FormatEvent, SubscriberBuilder, format};
use tracing_subscriber::prelude::*;
use tracium::logs::with_context;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn plain() -> SubscriberBuilder<format::DefaultFields, Format<Full, ()>> {
    tracing_subscriber::fmt().without_time().with_target(false).with_ansi(false)
}

/// What is written while `work` runs, in the format that `build` makes.
fn written<S: tracing::Subscriber + Send + Sync>(build: impl FnOnce(Written) -> S, work: impl FnOnce()) -> String {
    let written = Written::default();
    tracing::subscriber::with_default(build(written.clone()), work);
    written.text()
}

fn ids() -> (String, String) {
    let span = tracium::current_span();
    (span.trace_id().unwrap().to_string(), span.id().unwrap().to_string())
}

#[test]
fn a_line_of_text_names_tenant_trace_and_span_after_its_fields() {
    let _recorder = tracium::testing::Recorder::install();
    let mut known = Vec::new();
    let text = written(
        |to| plain().with_writer(move || to.clone()).map_event_format(with_context).finish(),
        || {
            tracing::info!("nobody's");
            tracium::start_trace("agent").tenant("acme").run(|| {
                known.push(ids());
                tracing::info!(hits = 3, "searched");
                tracium::start_span("tool", "clock").run(|| {
                    known.push(ids());
                    tracing::warn!("late");
                });
            });
        },
    );
    let [(trace, root), (_, span)] = &known[..] else { panic!() };
    assert_eq!(
        text,
        format!(
            " INFO nobody's\n INFO searched hits=3 tenant=acme trace_id={trace} span_id={root}\n \
             WARN late tenant=acme trace_id={trace} span_id={span}\n"
        )
    );
}

#[test]
fn without_telemetry_the_tenant_is_named_all_the_same() {
    let acme = tracium::Context::root().with_tenant(tracium::TenantId::try_from("acme").unwrap());
    let build = |to: Written| plain().with_writer(move || to.clone()).map_event_format(with_context).finish();
    assert_eq!(written(build, || acme.run(|| tracing::info!("hello"))), " INFO hello tenant=acme\n");
}

#[test]
fn an_id_that_could_be_misread_is_quoted() {
    let line = |tenant: &str| {
        let context = tracium::Context::root().with_tenant(tracium::TenantId::try_from(tenant).unwrap());
        let build = |to: Written| plain().with_writer(move || to.clone()).map_event_format(with_context).finish();
        written(build, || context.run(|| tracing::info!("x")))
    };
    assert_eq!(line("a.b-c_d:e@f/g"), " INFO x tenant=a.b-c_d:e@f/g\n");
    assert_eq!(line("a b"), " INFO x tenant=\"a b\"\n");
    assert_eq!(line("a tenant=b"), " INFO x tenant=\"a tenant=b\"\n");
    assert_eq!(line("say \"hi\"\\"), " INFO x tenant=\"say \\\"hi\\\"\\\\\"\n");
    assert_eq!(line("café"), " INFO x tenant=\"café\"\n");
    assert_eq!(line("a\u{202e}b"), " INFO x tenant=\"a\\u{202e}b\"\n", "what would turn the line around is shown");
}

/// The line as JSON, with the context of a trace of `tenant`.
fn json_line<S: tracing::Subscriber + Send + Sync>(
    build: impl FnOnce(Written) -> S,
    tenant: &str,
    log: fn(),
) -> (Value, (String, String)) {
    let _recorder = tracium::testing::Recorder::install();
    let mut known = Default::default();
    let text = written(build, || {
        tracium::start_trace("agent").tenant(tenant).run(|| {
            known = ids();
            log();
        });
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.ends_with("}\n"));
    (serde_json::from_str(&text).unwrap(), known)
}

#[test]
fn a_line_of_json_has_them_in_its_object() {
    let log = || tracing::info!(hits = 3, "searched");
    let tenant = "a \"b\"\\ \u{e9}\u{202e}}";
    let (line, (trace, span)) = json_line(
        |to| plain().json().with_writer(move || to.clone()).map_event_format(with_context).finish(),
        tenant,
        log,
    );
    assert_eq!(
        line,
        json!({"level": "INFO", "fields": {"hits": 3, "message": "searched"}, "tenant": tenant, "trace_id": trace, "span_id": span})
    );
    let flat = |to: Written| {
        plain().json().flatten_event(true).with_writer(move || to.clone()).map_event_format(with_context).finish()
    };
    let (line, (trace, span)) = json_line(flat, "acme", log);
    assert_eq!(
        line,
        json!({"level": "INFO", "hits": 3, "message": "searched", "tenant": "acme", "trace_id": trace, "span_id": span})
    );
}

#[test]
fn an_events_own_field_is_never_taken_for_ours() {
    let log = || tracing::info!(tenant = "globex", "he says");
    let flat = |to: Written| {
        plain().json().flatten_event(true).with_writer(move || to.clone()).map_event_format(with_context).finish()
    };
    let (line, _) = json_line(flat, "acme", log);
    assert_eq!((line["tenant"].as_str(), line["tracium.tenant"].as_str()), (Some("globex"), Some("acme")));
    let acme = tracium::Context::root().with_tenant(tracium::TenantId::try_from("acme").unwrap());
    let build = |to: Written| plain().with_writer(move || to.clone()).map_event_format(with_context).finish();
    assert_eq!(written(build, || acme.run(log)), " INFO he says tenant=\"globex\" tracium.tenant=acme\n");
}

#[test]
fn an_empty_object_stays_json() {
    let (line, _) = json_line(
        |to| {
            let format = format().json().flatten_event(true).without_time().with_level(false).with_target(false);
            let format = with_context(format.with_current_span(false).with_span_list(false));
            tracing_subscriber::fmt().json().event_format(format).with_writer(move || to.clone()).finish()
        },
        "acme",
        || tracing::info!({}),
    );
    assert_eq!(line["tenant"], "acme");
}

#[test]
fn the_pretty_format_has_a_line_of_its_own_and_colours_stay() {
    let _recorder = tracium::testing::Recorder::install();
    let in_trace = || tracium::start_trace("agent").tenant("acme").run(|| tracing::info!(hits = 3, "searched"));
    let pretty = written(
        |to| plain().pretty().with_ansi(false).with_writer(move || to.clone()).map_event_format(with_context).finish(),
        in_trace,
    );
    let last = pretty.trim_end().lines().last().unwrap();
    assert!(last.starts_with("    tenant=acme trace_id="), "{pretty}");
    assert!(pretty.ends_with("\n\n"));

    let without = written(|to| plain().with_ansi(true).with_writer(move || to.clone()).finish(), in_trace);
    let build =
        |to: Written| plain().with_ansi(true).with_writer(move || to.clone()).map_event_format(with_context).finish();
    let with = written(build, in_trace);
    assert!(without.contains("\x1b["));
    let added = with.strip_prefix(without.trim_end()).unwrap();
    assert!(added.starts_with(" \x1b[3mtenant\x1b[0m\x1b[2m=\x1b[0macme "), "{added:?}");
}

/// The bridge's span is what is current in it: a library's line can be found from the call's span.
#[test]
fn a_line_inside_a_bridged_span_names_that_span() {
    let recorder = tracium::testing::Recorder::install();
    let written = Written::default();
    let to = written.clone();
    let lines = tracing_subscriber::fmt::layer().json().with_writer(move || to.clone()).map_event_format(with_context);
    let subscriber = tracing_subscriber::registry().with(lines).with(tracium::layer());
    tracing::subscriber::with_default(subscriber, || {
        tracium::start_trace("agent").tenant("acme").run(|| {
            tracing::info_span!("chat", gen_ai.request.model = "m").in_scope(|| tracing::info!("sent"));
        });
    });
    let line: Value = serde_json::from_str(&written.text()).unwrap();
    assert_eq!(line["span_id"], recorder.spans()[0].id.to_string());
}

/// Any format of the subscriber's can be wrapped.
#[allow(dead_code)]
fn is_a_format<F: Clone + 'static, T: Clone>(
    format: Format<F, T>,
) -> impl FormatEvent<tracing_subscriber::Registry, format::DefaultFields>
where
    Format<F, T>: FormatEvent<tracing_subscriber::Registry, format::DefaultFields>,
{
    with_context(format)
}
