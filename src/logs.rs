//! Lines of logs that say whose they are: the tenant, the trace and the span in everything that is logged with
//! [`tracing`](https://docs.rs/tracing), so that a trace leads to its lines, and a tenant's bad day can be read in them.
//!
//! One call, at the end of whatever format the application has, [`with_context`]:
//!
//! ```
//! # #[derive(Clone, Default)]
//! # struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
//! # impl std::io::Write for Lines {
//! #     fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
//! #         self.0.lock().unwrap().extend_from_slice(bytes);
//! #         Ok(bytes.len())
//! #     }
//! #     fn flush(&mut self) -> std::io::Result<()> { Ok(()) }
//! # }
//! # let lines = Lines::default();
//! # let writer = { let lines = lines.clone(); move || lines.clone() };
//! let subscriber = tracing_subscriber::fmt()
//! #   .with_writer(writer)
//!     .json()
//!     .map_event_format(tracium::logs::with_context)
//!     .finish(); // in a program: `.init()`
//!
//! # let recorder = tracium::testing::Recorder::install();
//! # tracing::subscriber::with_default(subscriber, || {
//! tracium::start_trace("support-bot").tenant("acme").run(|| {
//!     tracing::info!(documents = 3, "searched");
//! });
//! # });
//! # let lines = lines.0.lock().unwrap();
//! # let line: serde_json::Value = serde_json::from_slice(&lines).unwrap();
//! assert_eq!(line["fields"]["message"], "searched");
//! assert_eq!(line["tenant"], "acme");
//! # let trace = &recorder.traces()[0];
//! assert_eq!(line["trace_id"], trace.id.to_string());
//! assert_eq!(line["span_id"], trace.root_id.to_string());
//! ```
//!
//! The same for `.compact()`, `.pretty()` and the default format, and for `tracing_subscriber::fmt::layer()`:
//!
//! ```text
//! 2026-03-02T10:15:04.112Z  INFO chat: searched documents=3 tenant=acme trace_id=7b0c..e1 span_id=b3..07
//! ```
//!
//! # What is added
//!
//! | field | |
//! |---|---|
//! | `tenant` | [`current_tenant`](crate::current_tenant), also where nothing is exported: tenancy does not depend on it |
//! | `trace_id` | 32 hex digits, as OTLP has it; [`TraceId::parse`](crate::TraceId::parse) reads it and the UUID that Tracium shows |
//! | `span_id` | 16 hex digits: of [`current_span`](crate::current_span) |
//!
//! In JSON they are members of the line's object, in text they follow the fields, in the pretty format on a line of their
//! own. A field that does not hold is left out, and a line outside any trace and tenant stays as it is, byte for byte. An
//! event that has a field of one of these names keeps it; ours is then named `tracium.tenant`, and so on.
//!
//! A tenant's id is the user's text: in JSON it is escaped, in text it is quoted as soon as it has anything but letters,
//! digits and `_-.:@/`.

use std::any::TypeId;
use std::fmt::{self, Write};

use tracing_core::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The format `format`, with the current tenant, trace and span in each line. See the [module](self).
///
/// ```
/// let subscriber = tracing_subscriber::fmt().compact().map_event_format(tracium::logs::with_context).finish();
/// let layer = tracing_subscriber::fmt::layer::<tracing_subscriber::Registry>()
///     .event_format(tracium::logs::with_context(tracing_subscriber::fmt::format().with_target(false)));
/// # let _ = (subscriber, layer);
/// ```
pub fn with_context<F: Clone, T: Clone>(format: Format<F, T>) -> WithContext<F, T> {
    WithContext { colored: format.clone().with_ansi(true), format }
}

/// A format whose lines carry the context; made by [`with_context`].
#[derive(Clone, Debug)]
pub struct WithContext<F, T> {
    format: Format<F, T>,
    /// The same where the line's reader shows colours: what writes into a buffer does not know.
    colored: Format<F, T>,
}

impl<S, N, F, T> FormatEvent<S, N> for WithContext<F, T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: 'static,
    Format<F, T>: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let fields = fields();
        if fields.is_empty() {
            return self.format.format_event(ctx, writer, event);
        }
        let mut line = String::new();
        let ansi = writer.has_ansi_escapes();
        let format = if ansi { &self.colored } else { &self.format };
        format.format_event(ctx, Writer::new(&mut line), event)?;
        let fields = fields.iter().map(|(name, value)| {
            // Its own field of that name would be taken for ours, or ours for it.
            let taken = event.metadata().fields().field(name).is_some();
            (if taken { format!("tracium.{name}") } else { (*name).to_owned() }, value.as_str())
        });
        if TypeId::of::<F>() == TypeId::of::<Json>() {
            add_to_json(&mut line, fields)?;
        } else {
            add_to_text(&mut line, fields, ansi)?;
        }
        writer.write_str(&line)
    }
}

/// What holds where the calling code runs.
fn fields() -> Vec<(&'static str, String)> {
    let span = crate::current_span();
    let fields = [
        ("tenant", crate::current_tenant().map(|tenant| tenant.to_string())),
        ("trace_id", span.trace_id().map(|id| id.to_string())),
        ("span_id", span.id().map(|id| id.to_string())),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Adds members to the object that `line` is.
fn add_to_json<'a>(line: &mut String, fields: impl Iterator<Item = (String, &'a str)>) -> fmt::Result {
    let object = line.trim_end();
    let Some(open) = object.strip_suffix('}') else { return Ok(()) };
    let is_empty = open.ends_with('{');
    line.truncate(open.len());
    for (at, (name, value)) in fields.enumerate() {
        if at > 0 || !is_empty {
            line.push(',');
        }
        let value = serde_json::to_string(value).map_err(|_| fmt::Error)?;
        write!(line, "\"{name}\":{value}")?;
    }
    line.push_str("}\n");
    Ok(())
}

fn add_to_text<'a>(line: &mut String, fields: impl Iterator<Item = (String, &'a str)>, ansi: bool) -> fmt::Result {
    // A format of several lines ends in an empty one; the context is a line before it.
    let own_line = line.ends_with("\n\n");
    line.truncate(line.trim_end_matches('\n').len());
    if own_line {
        line.push_str("\n   ");
    }
    for (name, value) in fields {
        // As the formats' own fields are shown.
        if ansi {
            write!(line, " \x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m")?;
        } else {
            write!(line, " {name}=")?;
        }
        if value.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:@/".contains(c)) {
            line.push_str(value);
        } else {
            write!(line, "{value:?}")?;
        }
    }
    line.push_str(if own_line { "\n\n" } else { "\n" });
    Ok(())
}
