//! Trees as they are read, to the letter.

use std::sync::Arc;
use std::time::Duration;

use super::super::order::Place;
use super::super::view::Masked;
use super::super::width::cut;
use super::*;
use crate::config::Mask;
use crate::content::Json;
use crate::trace::details::Error;
use crate::{SpanId, TenantId};

fn id(number: u64) -> SpanId {
    SpanId::from_bytes(number.to_be_bytes()).unwrap()
}

/// Span `own` under `parent`, where 1 is the root; it starts in the order of its number.
fn span<'a>(own: u64, parent: u64, kind: &'a str, name: &'a str, micros: u64) -> SpanView<'a> {
    SpanView {
        place: Place { id: id(own), parent: id(parent), start: Duration::from_millis(own) },
        took: Duration::from_micros(micros),
        kind,
        name,
        model: None,
        tenant: None,
        usage: None,
        failed: false,
        note: String::new(),
        texts: Texts::default(),
    }
}

fn trace(spans: Vec<SpanView<'_>>) -> TraceView<'_> {
    TraceView {
        heading: Heading::Ended { failed: false, took: Duration::from_millis(3_210) },
        id: "3f2a9c1b".to_owned(),
        agent: "support-bot",
        name: None,
        tenant: Some(TenantId::try_from("acme").unwrap()),
        model: Some("gpt-4o".to_owned()),
        labels: String::new(),
        usage: None,
        texts: Texts::default(),
        spans,
        mask: Masked(None),
    }
}

fn render(view: &TraceView<'_>) -> String {
    render_trace(view, 80, false)
}

#[track_caller]
fn assert_fits(text: &str, width: usize) {
    for line in text.lines() {
        assert!(cut(line, 1_000).1 <= width, "{line}");
        assert!(!line.ends_with(' '), "{line:?}");
    }
}

#[test]
fn a_nested_tree() {
    let (input, output) =
        (Json::from_valid(r#"{"q":"Where is my order?"}"#.into()), Json::from_valid(r#""On its way.""#.into()));
    let globex = TenantId::try_from("globex").unwrap();
    let acme = TenantId::try_from("acme").unwrap();
    let mut view = trace(vec![
        span(2, 1, "retrieval", "search_docs", 45_000),
        span(3, 2, "embedding", "embed", 120),
        SpanView { tenant: Some(globex.clone()), ..span(4, 2, "tool", "rank", 12_400) },
        SpanView {
            usage: Some(TokenUsage::new(1_812, 64).cached_input(512)),
            tenant: Some(acme.clone()),
            texts: Texts { input: Some(&input), output: Some(&output), ..Texts::default() },
            ..span(5, 1, "llm", "complete", 2_830_000)
        },
        SpanView { model: Some("gpt-4o"), usage: Some(TokenUsage::new(20, 3)), ..span(6, 5, "llm", "retry", 310_000) },
        SpanView { model: Some("claude-sonnet-4"), ..span(7, 1, "agent", "reviewer", 80_000) },
        SpanView { model: Some("claude-sonnet-4"), ..span(8, 7, "llm", "review", 79_000) },
    ]);
    view.labels = r#"#prod #eu {"plan":"gold"}"#.to_owned();
    view.name = Some("answer");
    view.texts.input = Some(&input);
    let expected = "\
✓ support-bot › answer  acme  gpt-4o            3.2 s  1,832→67 tok (512 cached)
│  #prod #eu {\"plan\":\"gold\"}
│  in: {\"q\":\"Where is my order?\"}
├─ retrieval search_docs                        45 ms
│  ├─ embedding embed                          120 µs
│  └─ tool rank  [globex]                       12 ms
├─ llm complete                                 2.8 s  1,812→64 tok (512 cached)
│  │  in: {\"q\":\"Where is my order?\"}
│  │  out: \"On its way.\"
│  └─ llm retry                                310 ms      20→3 tok
└─ agent reviewer  claude-sonnet-4              80 ms
   └─ llm review                                79 ms
";
    assert_eq!(render(&view), expected);
    assert_fits(expected, 80);
}

#[test]
fn a_failure_shows_the_first_line_of_its_error_below() {
    let timeout = Error {
        type_name: "Timeout".into(),
        message: "no answer from https://api.example.com within 30 s: operation timed out\ncaused by: x".into(),
    };
    let panic = Error { type_name: "panic".into(), message: "index out of bounds".into() };
    let nameless = Error { type_name: "my::Error".into(), message: "".into() };
    let fail = |span: SpanView<'static>, error| SpanView {
        failed: true,
        texts: Texts { error: Some(error), ..Texts::default() },
        ..span
    };
    let mut view = trace(vec![
        fail(span(2, 1, "agent", "research", 45_000), &timeout),
        fail(span(3, 2, "tool", "fetch", 45_000), &timeout),
        fail(span(4, 1, "tool", "parse", 80), &panic),
        fail(span(5, 1, "tool", "store", 999), &nameless),
    ]);
    view.heading = Heading::Ended { failed: true, took: Duration::from_millis(46) };
    view.texts.error = Some(&timeout);
    let expected = "\
✗ support-bot  acme  gpt-4o  3f2a9c1b                                      46 ms
│  no answer from https://api.example.com within 30 s: operation timed out
├─ ✗ agent research                                                        45 ms
│  │  no answer from https://api.example.com within 30 s: operation timed out
│  └─ ✗ tool fetch                                                         45 ms
│        no answer from https://api.example.com within 30 s: operation timed out
├─ ✗ tool parse                                                            80 µs
│     panic: index out of bounds
└─ ✗ tool store                                                           999 µs
      my::Error
";
    assert_eq!(render(&view), expected);
    assert_fits(expected, 80);
}

#[test]
fn late_and_remote_spans_are_headed_by_the_traces_id() {
    let mut view = trace(vec![span(2, 1, "tool", "audit", 45_000)]);
    view.heading = Heading::Late;
    assert_eq!(
        render(&view),
        "\
↳ 3f2a9c1b (late)  support-bot  acme  gpt-4o
└─ tool audit                                                              45 ms
"
    );
    view.heading = Heading::Remote;
    view.agent = "";
    view.tenant = None;
    view.model = None;
    assert_eq!(
        render(&view),
        "\
↳ 3f2a9c1b (remote)
└─ tool audit                                                              45 ms
"
    );
}

#[test]
fn a_trace_without_spans_is_one_line() {
    assert_eq!(
        render(&trace(Vec::new())),
        "\
✓ support-bot  acme  gpt-4o  3f2a9c1b                                      3.2 s
"
    );
}

#[test]
fn a_wide_trace_shows_200_lines_and_how_much_is_left() {
    let mut spans: Vec<_> = (2..10_002).map(|own| span(own, 1, "tool", "step", 1_000)).collect();
    spans[9_000].failed = true;
    spans.reverse();
    let text = render(&trace(spans.clone()));
    assert_eq!(text.lines().count(), 202);
    assert!(text.ends_with("\n… 9,800 more spans, 1 failed\n"), "{text}");
    let value = Json::from_valid("1".to_owned());
    for span in &mut spans {
        span.texts.output = Some(&value);
    }
    let text = render(&trace(spans));
    assert_eq!(text.lines().count(), 202);
    assert!(text.ends_with("\n… 9,900 more spans, 1 failed\n"), "{text}");
}

#[test]
fn a_deep_trace_is_indented_to_a_limit() {
    let view = trace((2..5_002).map(|own| span(own, own - 1, "agent", "deeper", own * 1_000)).collect());
    let text = render(&view);
    assert_fits(&text, 80);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[10], "                           └─ agent deeper                                 11 ms");
    assert_eq!(lines[11], "                           …  └─ agent deeper                              12 ms");
    assert_eq!(lines[150], "                           …  └─ agent deeper                             151 ms");
    assert_eq!(lines[201], "… 4,800 more spans");
}

#[test]
fn cjk_names_align_and_are_cut_by_columns() {
    let mut view = trace(vec![
        SpanView { usage: Some(TokenUsage::new(9, 1)), ..span(2, 1, "llm", "要約する", 1_000) },
        span(3, 2, "tool", "注文履歴と顧客情報をまとめて検索してから配送状況を確認する関数その一", 45_000),
        span(4, 1, "tool", "🚀 launch", 1_000),
    ]);
    view.tenant = Some(TenantId::try_from("株式会社").unwrap());
    let expected = "\
✓ support-bot  株式会社  gpt-4o  3f2a9c1b                         3.2 s  9→1 tok
├─ llm 要約する                                                    1 ms  9→1 tok
│  └─ tool 注文履歴と顧客情報をまとめて検索してから配送状況を確…  45 ms
└─ tool 🚀 launch                                                  1 ms
";
    assert_eq!(render(&view), expected);
    assert_fits(expected, 80);
}

#[test]
fn a_note_of_a_models_call_stands_where_there_is_room_for_it() {
    let note = || "first in 412 ms, length".to_owned();
    let view = trace(vec![
        SpanView { note: note(), model: Some("gpt-4o-mini"), ..span(2, 1, "llm", "chat gpt-4o-mini", 1_000) },
        SpanView { note: note(), ..span(3, 1, "llm", "the-answer-to-a-question-of-some-length", 45_000) },
    ]);
    let expected = "\
✓ support-bot  acme  gpt-4o  3f2a9c1b                                      3.2 s
├─ llm chat gpt-4o-mini  gpt-4o-mini  first in 412 ms, length               1 ms
└─ llm the-answer-to-a-question-of-some-length  first in 412 ms, length    45 ms
";
    assert_eq!(render(&view), expected);
    assert_fits(&render_trace(&view, 40, false), 40);
    assert!(!render_trace(&view, 40, false).contains("first in"));
}

#[test]
fn names_cannot_forge_lines_or_colours() {
    let error = Error { type_name: "fail".into(), message: "\x1b[2J\x07gone\r✓ fine".into() };
    let output = Json::from_valid("\"a\u{9b}31m\u{202e}b\"".to_owned());
    let mut view = trace(vec![SpanView {
        failed: true,
        model: Some("m\n✓ fake"),
        texts: Texts { error: Some(&error), output: Some(&output), input: None },
        ..span(2, 1, "to\tol", "a\n✓ forged\x1b[32m", 1_000)
    }]);
    view.agent = "bot\r\n✗ other";
    view.labels = "#a\nb".to_owned();
    assert_eq!(
        render(&view),
        "\
✓ bot··✗ other  acme  gpt-4o  3f2a9c1b                                     3.2 s
│  #a·b
└─ ✗ to·ol a·✓ forged·[32m  m·✓ fake                                        1 ms
      ·[2J·gone·✓ fine
      out: \"a·31m·b\"
"
    );
}

#[test]
fn colours_add_nothing_but_themselves() {
    let error = Error { type_name: "fail".into(), message: "no".into() };
    let mut view = trace(vec![
        SpanView { model: Some("m"), usage: Some(TokenUsage::new(9, 1)), ..span(2, 1, "llm", "ask", 1_000) },
        SpanView {
            failed: true,
            texts: Texts { error: Some(&error), ..Texts::default() },
            ..span(3, 1, "tool", "do", 1)
        },
    ]);
    view.labels = "#prod".to_owned();
    let coloured = render_trace(&view, 80, true);
    let mut plain = String::new();
    let mut parts = coloured.split('\x1b');
    plain.push_str(parts.next().unwrap());
    parts.for_each(|part| plain.push_str(part.split_once('m').unwrap().1));
    assert_eq!(plain, render(&view));
    assert!(coloured.starts_with("\x1b[32m✓\x1b[0m \x1b[1msupport-bot\x1b[0m  \x1b[33macme\x1b[0m"), "{coloured:?}");
    assert!(coloured.contains("\x1b[31m✗ \x1b[0m\x1b[36mtool\x1b[0m \x1b[31mdo\x1b[0m"), "{coloured:?}");
}

#[test]
fn what_the_mask_leaves_is_shown_and_where_it_panics_nothing() {
    let mask: Mask = Arc::new(|field, text: &mut String| match field {
        "input" => text.replace_range(1..3, "**"),
        "output" => panic!("the mask failed"),
        _ => text.clear(),
    });
    let error = Error { type_name: "fail".into(), message: "secret".into() };
    let (input, output) = (Json::from_valid("\"me\"".to_owned()), Json::from_valid("\"secret\"".to_owned()));
    let mut view = trace(Vec::new());
    view.texts = Texts { error: Some(&error), input: Some(&input), output: Some(&output) };
    view.mask = Masked(Some(&mask));
    let text = render(&view);
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), ["   in: \"**\"", "   out: [withheld]"]);
}

#[test]
fn no_line_of_any_tree_is_wider_than_the_terminal() {
    const WORDS: [&str; 8] = [
        "",
        "a",
        "complete",
        "検索する",
        "🚀🚀🚀",
        "e\u{301}",
        "\x1b[31m\n",
        "a-very-long-name-that-does-not-fit-anywhere-at-all-not-even-on-a-line-of-its-own-or-two-of-them",
    ];
    let mut seed = 7_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let long = TenantId::try_from("tenant-".repeat(30)).unwrap();
    let error = Error { type_name: "fail".into(), message: WORDS.concat().into() };
    let value = Json::from_valid(format!("{:?}", WORDS.concat()));
    for round in 0..300 {
        let word = |random: &mut dyn FnMut(u64) -> u64| WORDS[random(8) as usize];
        let count = random(60);
        let spans = (2..count + 2).map(|own| {
            let failed = random(3) == 0;
            SpanView {
                model: (random(2) == 0).then(|| word(&mut random)),
                tenant: (random(3) == 0).then(|| long.clone()),
                usage: (random(2) == 0).then(|| {
                    TokenUsage::new(random(u64::MAX) << random(32), random(9_999)).cached_input(random(99_999))
                }),
                failed,
                texts: Texts {
                    error: failed.then_some(&error),
                    input: (random(4) == 0).then_some(&value),
                    output: (random(4) == 0).then_some(&value),
                },
                ..span(own, 1 + random(own), word(&mut random), word(&mut random), random(1 << 30) << random(30))
            }
        });
        let mut view = trace(spans.collect());
        view.agent = word(&mut random);
        view.name = Some(word(&mut random));
        view.labels = WORDS.concat();
        view.tenant = (random(2) == 0).then(|| long.clone());
        view.heading = if round % 3 == 0 { Heading::Late } else { view.heading };
        for width in [40, 57, 80, 160] {
            assert_fits(&render_trace(&view, width, false), width);
        }
    }
}
