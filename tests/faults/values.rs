//! Captured values that misbehave.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::ser::{Error, Serialize, SerializeStruct, Serializer};
use serde_json::Value;

use crate::faults::{Protocol, assert_all_arrived, note, note_end};
use crate::otlp::{attributes, spans};
use crate::own_process::faults;
use crate::server::Server;

/// Has a good field, and one of the type of `1`.
struct Beside<T>(T);

impl<T: Serialize> Serialize for Beside<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Beside", 2)?;
        fields.serialize_field("good", "kept")?;
        fields.serialize_field("bad", &self.0)?;
        fields.end()
    }
}

struct Errs;

impl Serialize for Errs {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("it errs"))
    }
}

struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("it panics")
    }
}

/// So many sequences within each other.
struct Deep(u32);

impl Serialize for Deep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == 0 { serializer.serialize_unit() } else { serializer.collect_seq([Deep(self.0 - 1)]) }
    }
}

/// The inputs that arrived, by the names of their spans.
fn inputs(with: Protocol, server: &Server) -> Vec<(String, Value)> {
    match with {
        Protocol::Rest => {
            let requests = server.requests();
            let spans = requests.iter().filter_map(|request| request.body["spans"].as_array()).flatten();
            spans.map(|span| (span["name"].as_str().unwrap().to_owned(), span["input"].clone())).collect()
        }
        Protocol::Otlp => spans(server)
            .iter()
            .filter_map(|span| {
                let value = attributes(&span.attributes).get("input.value")?.as_str()?.to_owned();
                Some((span.name.clone(), serde_json::from_str(&value).unwrap()))
            })
            .collect(),
    }
}

/// A panic was reported to the program's own hook.
static REPORTED: AtomicBool = AtomicBool::new(false);

faults! {
    /// Row 16.
    fn of_a_value_that_misbehaves_only_the_field_is_replaced_and_says_so(with) {
        let server = with.serve(|_| None);
        std::panic::set_hook(Box::new(|_| REPORTED.store(true, Ordering::Relaxed)));
        let _guard = with.to(&server.url()).init().unwrap();
        let span = |name: &'static str, value: &dyn Fn(&tracium::SpanHandle)| {
            tracium::start_span("plan", name).run(|| {
                value(&tracium::current_span());
                note(&tracium::current_span(), name);
            });
        };
        tracium::start_trace("bot").run(|| {
            span("nan", &|span| _ = span.record_input(&Beside(f64::NAN)));
            span("large", &|span| _ = span.record_input(&Beside("x ".repeat(25_000_000))));
            span("errs", &|span| _ = span.record_input(&Beside(Errs)));
            span("panics", &|span| _ = span.record_input(&Beside(Panics)));
            span("deep", &|span| _ = span.record_input(&Beside(Deep(10_000))));
            note_end(tracium::current_span().trace_id());
        });
        assert!(!REPORTED.load(Ordering::Relaxed), "what we contain is none for the user to read about");
        let _ = std::panic::take_hook();
        assert_all_arrived(with, &server);
        let inputs = inputs(with, &server);
        assert_eq!(inputs.len(), 5, "{:?}", inputs.iter().map(|(name, _)| name).collect::<Vec<_>>());
        for (name, input) in inputs {
            assert_eq!(input["good"], "kept", "{name}");
            let bad = &input["bad"];
            let says: bool = match name.as_str() {
                // As JSON has none.
                "nan" => *bad == "NaN" || bad.is_null(),
                "large" => bad.as_str().is_some_and(|text| text.len() < 500_000 && text.contains("cut")),
                "errs" => bad.as_str().is_some_and(|text| text.contains("not serializable: it errs")),
                "panics" => bad.as_str().is_some_and(|text| text.contains("not serializable")),
                "deep" => bad.to_string().contains("[depth limit]"),
                other => panic!("{other}"),
            };
            assert!(says, "{name}: {}", bad.to_string().chars().take(300).collect::<String>());
        }
    }
}
