//! The promises of the module as a whole, with `serde_json` as the independent reader.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Serialize;
use serde::ser::{Error as _, SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use serde_json::{Value, json};

use super::{Json, Limits, ObjectWriter, to_json};

const SMALL: Limits = Limits { string_bytes: 200, depth: 8, total_bytes: 2_000 };

fn parse(json: &Json) -> Value {
    serde_json::from_str(json.as_str()).unwrap_or_else(|error| panic!("{error}: {}", json.as_str()))
}

fn captured<T: Serialize + ?Sized>(value: &T) -> Value {
    parse(&to_json(value, &Limits::CAPTURE))
}

/// A small generator, so that failures repeat.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn text(&mut self, longest: usize) -> String {
        const PARTS: [&str; 12] =
            ["a", "word ", "é", "€", "😀", "\"", "\\", "\n", "\u{1}", "{", "sk-", "…[5 bytes cut]"];
        (0..self.below(longest + 1)).map(|_| PARTS[self.below(PARTS.len())]).collect()
    }

    pub(super) fn tree(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 4 } else { 6 }) {
            0 => json!(self.below(1_000_000)),
            1 => json!(self.below(2) == 0),
            2 | 3 => Value::String(self.text([3, 40, 400][self.0 as usize % 3])),
            4 => (0..self.below(8)).map(|_| self.tree(depth - 1)).collect(),
            _ => Value::Object((0..self.below(8)).map(|_| (self.text(6), self.tree(depth - 1))).collect()),
        }
    }
}

struct Fails;
impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        seq.serialize_element("half")?;
        Err(S::Error::custom("no Bearer abc123def for postgres://u:p@h"))
    }
}

struct Panics;
impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_key("half")?;
        panic!("boom {}", 1);
    }
}
impl fmt::Debug for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("debug boom")
    }
}

#[test]
fn only_the_field_that_fails_is_replaced() {
    #[derive(Serialize)]
    struct Call {
        before: u8,
        fails: Fails,
        panics: Panics,
        list: (u8, Panics, u8),
        after: &'static str,
    }
    let call = Call { before: 1, fails: Fails, panics: Panics, list: (1, Panics, 3), after: "x" };
    assert_eq!(
        captured(&call),
        json!({
            "before": 1,
            "fails": "[not serializable: no Bearer [redacted] for postgres://[redacted]@h]",
            "panics": "[not serializable: panicked: boom 1]",
            "list": [1, "[not serializable: panicked: boom 1]", 3],
            "after": "x",
        })
    );
    assert_eq!(captured(&Panics), json!("[not serializable: panicked: boom 1]"));
}

#[test]
fn every_number_has_a_place() {
    assert_eq!(captured(&(f64::NAN, f32::INFINITY, f64::NEG_INFINITY)), json!(["NaN", "Infinity", "-Infinity"]));
    assert_eq!(to_json(&(u128::MAX, i128::MIN), &SMALL).as_str(), format!("[{},{}]", u128::MAX, i128::MIN));
    for float in [0.0, -0.0, 1.5, 1e300, -1e-300, f64::MIN_POSITIVE, 0.1 + 0.2] {
        assert_eq!(captured(&float), json!(float));
    }
    assert_eq!(captured(&(i64::MIN, u64::MAX, -1_i8)), json!([i64::MIN, u64::MAX, -1]));
}

#[test]
fn plain_values_read_as_serde_json_writes_them() {
    #[derive(Serialize)]
    enum Shape {
        Unit,
        New(u8),
        Pair(u8, char),
        Named { x: Option<u8>, y: () },
    }
    let shapes = [Shape::Unit, Shape::New(1), Shape::Pair(2, 'é'), Shape::Named { x: None, y: () }];
    assert_eq!(captured(&shapes), serde_json::to_value(&shapes).unwrap());
    let mut random = Random(7);
    for _ in 0..500 {
        let tree = random.tree(4);
        let text = tree.to_string();
        if !text.contains("sk-") {
            assert_eq!(to_json(&tree, &Limits::CAPTURE).as_str(), text);
        }
    }
}

#[test]
fn keys_of_maps_become_strings() {
    assert_eq!(captured(&BTreeMap::from([(1, "a"), (-2, "b")])), json!({"1": "a", "-2": "b"}));
    assert_eq!(captured(&HashMap::from([(true, 1)])), json!({"true": 1}));
    assert_eq!(captured(&HashMap::from([((1, 2), 1)])), json!({"[key not serializable]": 1}));
}

#[test]
fn depth_is_bounded() {
    #[derive(Serialize)]
    struct Deep(Vec<Deep>);
    #[derive(Serialize)]
    struct Chain(Option<Box<Chain>>);
    let mut deep = Deep(vec![]);
    let mut chain = Chain(None);
    for _ in 0..2_000 {
        deep = Deep(vec![deep]);
        chain = Chain(Some(Box::new(chain)));
    }
    let limits = Limits { depth: 3, ..SMALL };
    assert_eq!(to_json(&deep, &limits).as_str(), "[[[\"[depth limit]\"]]]");
    assert_eq!(captured(&chain), json!("[depth limit]"));
    assert!(captured(&deep).to_string().contains("depth limit"));
}

#[test]
fn a_long_string_is_cut_and_says_so() {
    let cut = to_json(&"é".repeat(25_000_000), &Limits::CAPTURE);
    assert!(cut.len() < 101_000);
    assert!(cut.as_str().ends_with("é…[49900000 bytes cut]\""), "{}", &cut.as_str()[cut.len() - 40..]);
    assert_eq!(captured("exact"), json!("exact"));
}

#[test]
fn a_full_budget_stops_the_iterator() {
    struct Endless(std::cell::Cell<usize>);
    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(std::iter::repeat_with(|| self.0.replace(self.0.get() + 1)))
        }
    }
    let endless = Endless(std::cell::Cell::new(0));
    let json = to_json(&json!({"a": 1}), &SMALL);
    assert_eq!(json.as_str(), "{\"a\":1}");
    let value = parse(&to_json(&(1, &endless, 2, 3), &SMALL));
    assert!(endless.0.get() < 1_000);
    assert_eq!(value[1].as_array().unwrap().last().unwrap(), "…[more cut]");
    assert_eq!(value[2], "…[2 more cut]");
    let many = to_json(&vec!["text"; 10_000], &SMALL);
    assert!(many.len() <= 2_000 && many.as_str().ends_with(" more cut]\"]"), "{}", many.as_str());
}

#[test]
fn any_value_fits_any_budget() {
    let mut random = Random(99);
    for _ in 0..2_000 {
        let tree = random.tree(5);
        let limits = Limits {
            string_bytes: random.below(300),
            depth: 1 + random.below(9),
            total_bytes: 1_024 + random.below(3_000),
        };
        let json = to_json(&tree, &limits);
        parse(&json);
        assert!(json.len() <= limits.total_bytes, "{} > {}", json.len(), limits.total_bytes);
        parse(&to_json(&tree, &Limits { total_bytes: random.below(200), ..limits }));
    }
}

#[test]
fn secrets_under_keys_never_reach_the_text() {
    #[derive(Serialize)]
    enum Login {
        Password(&'static str),
        Token { inner: &'static str },
        Secret(&'static str, u8),
    }
    let value = json!({
        "user": {"Password": {"deep": "hunter2"}, "accessToken": ["hunter2"], "max_tokens": 5},
        "headers": [
            {"name": "Authorization", "value": "hunter2"},
            {"key": "X-Api-Key", "value": {"stringValue": "hunter2"}},
            {"name": "Accept", "value": "json"},
        ],
        "arguments": "{\"q\": 1.0, \"password\" : {\"a\":\"hunter2\"}, \"body\":\"{\\\"token\\\":\\\"hunter2\\\"}\"}",
        "log": "{\"pin\":\"hunter2\"}\n{\"a\":1}",
        "text": "Bearer hunter2hunter2",
    });
    let json = to_json(&value, &Limits::CAPTURE);
    assert!(!json.as_str().contains("hunter2"), "{}", json.as_str());
    let read = parse(&json);
    assert_eq!(read["user"]["max_tokens"], 5);
    assert_eq!(read["headers"][2]["value"], "json");
    assert_eq!(
        read["arguments"],
        "{\"q\": 1.0, \"password\" : \"[redacted]\", \"body\":\"{\\\"token\\\":\\\"[redacted]\\\"}\"}"
    );
    let logins = [Login::Password("hunter2"), Login::Token { inner: "hunter2" }, Login::Secret("hunter2", 1)];
    assert_eq!(
        captured(&logins),
        json!([{"Password": "[redacted]"}, {"Token": "[redacted]"}, {"Secret": "[redacted]"}])
    );
}

#[test]
fn a_secret_in_json_that_is_cut_does_not_leak() {
    let body = format!("{{\"password\": \"hunter2\", \"text\": \"{}\", \"token\": \"hunter2\"", "x".repeat(150_000));
    assert!(!to_json(&body, &Limits::CAPTURE).as_str().contains("hunter2"));
    let image = format!("{{\"url\":\"data:image/png;base64,{}\",\"pwd\":\"hunter2\",\"a\":1}}", "A1b2".repeat(100_000));
    assert_eq!(captured(&image), "{\"url\":\"[data image/png, 300000 bytes]\",\"pwd\":\"[redacted]\",\"a\":1}");
}

#[test]
fn json_in_strings_without_secrets_is_kept_as_it_is() {
    let mut random = Random(3);
    for _ in 0..500 {
        let tree = random.tree(4);
        let text = serde_json::to_string_pretty(&tree).unwrap();
        if !text.contains("sk-") {
            assert_eq!(captured(&text), Value::String(text));
        }
    }
    for text in ["[not json", "{curly}", "[1, 2", "{\"a\": nope, \"b\": 1}", "{} and text"] {
        assert_eq!(captured(text), json!(text));
    }
}

#[test]
fn raw_json_stays_json_and_is_redacted() {
    struct RawValue(&'static str);
    impl Serialize for RawValue {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            const NAME: &str = "$serde_json::private::RawValue";
            let mut raw = serializer.serialize_struct(NAME, 1)?;
            raw.serialize_field(NAME, self.0)?;
            raw.end()
        }
    }
    let values = [RawValue("{\"a\":1.50,\"pwd\":\"hunter2\"}"), RawValue("[1"), RawValue("1e400")];
    assert_eq!(to_json(&values, &SMALL).as_str(), "[{\"a\":1.50,\"pwd\":\"[redacted]\"},\"[1\",1e400]");
}

#[test]
fn arguments_are_written_by_serialize_and_by_debug() {
    struct Huge;
    impl fmt::Debug for Huge {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (0..).try_for_each(|_| f.write_str("0123456789"))
        }
    }
    let mut object = ObjectWriter::new(&SMALL);
    object.value("a", &1).value("api_key", &Panics).debug("b", &Some("x")).debug("password", &1);
    object.debug("c", &Panics).debug("d", &Huge).value("bytes", &None::<u8>);
    let read = parse(&object.finish());
    assert_eq!(read["a"], 1);
    assert_eq!(read["api_key"], "[redacted]");
    assert_eq!(read["b"], "Some(\"x\")");
    assert_eq!(read["password"], "[redacted]");
    assert_eq!(read["c"], "[not serializable: panicked: debug boom]");
    assert!(read["d"].as_str().unwrap().ends_with("…[more cut]"));
    assert_eq!(ObjectWriter::new(&SMALL).finish().as_str(), "{}");
}

#[test]
fn debug_does_not_show_content() {
    assert_eq!(format!("{:?}", to_json("hunter2", &SMALL)), "Json(9 bytes)");
}
