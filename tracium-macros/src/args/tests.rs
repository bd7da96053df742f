use super::{Kind, Missing, Options, Text, find_await, leaves};
use crate::errors::Errors;
use proc_macro2::TokenStream;

fn parse(kind: Kind, args: &str) -> (Options, Vec<String>) {
    let mut errors = Errors::default();
    let args: TokenStream = syn::parse_str(args).unwrap();
    let options = Options::parse(kind, args, &mut errors);
    let messages = errors.messages();
    (options, messages)
}

fn errors(kind: Kind, args: &str) -> Vec<String> {
    parse(kind, args).1
}

fn text(text: Option<&Text>) -> String {
    match text {
        Some(Text::Literal(literal)) => literal.value(),
        Some(Text::Expr(_)) => "an expression".to_owned(),
        None => "nothing".to_owned(),
    }
}

#[test]
fn every_option_of_a_trace_is_read() {
    let (options, errors) = parse(
        Kind::Trace,
        r#"agent = "bot", name = title, model = "gpt-4o", version = env!("V"), workspace = "w", tags = ["a", tag],
           metadata(region = "eu", "app.build" = 3), tenant = t, session = s, user = u, trace_id = id, new_trace = true,
           capture(a, ?b), output, bind = handle, propagate = false, crate = my::tracium,"#,
    );
    assert_eq!(errors, [""; 0]);
    assert_eq!(text(options.agent.as_ref()), "bot");
    assert_eq!(text(options.name.as_ref()), "an expression");
    assert_eq!(text(options.version.as_ref()), "an expression");
    assert_eq!(text(options.tags.first()), "a");
    assert_eq!(options.metadata[1].0.value(), "app.build");
    assert!(options.new_trace && options.output.is_some() && options.capture[1].debug);
    assert_eq!(options.propagate, Some(false));
    assert!(options.krate.is_some() && options.bind.is_some() && options.tenant.is_some());
}

#[test]
fn every_option_of_a_tenant_scope_is_read() {
    let (options, errors) = parse(Kind::Tenant, r#"from = req.headers().get("x"), missing = reject"#);
    assert_eq!(errors, [""; 0]);
    assert!(options.from.is_some() && matches!(options.missing, Some(Missing::Reject(_))));
    let (options, errors) = parse(Kind::Tenant, r#"from = t, missing = "guest""#);
    assert_eq!(errors, [""; 0]);
    assert!(matches!(options.missing, Some(Missing::Anonymous(id)) if id.value() == "guest"));
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let found = errors(Kind::Trace, r#"agent = "", modle = "m", output, output, tags = [""]"#);
    assert_eq!(
        found,
        [
            "an agent name is 1 to 256 letters, digits, space, `-`, `_` and `.`; this one is empty",
            "`trace` has no option `modle`; did you mean `model`?",
            "`output` is given twice; remove one of the two",
            "a tag is 1 to 128 characters that are no control characters; this one is empty",
        ]
    );
}

#[test]
fn a_missing_comma_is_reported_once() {
    assert_eq!(errors(Kind::Trace, r#"agent = "a" model = "m""#), ["missing comma before `model`"]);
    assert_eq!(errors(Kind::Span, r"capture(a) output"), ["missing comma before `output`"]);
    assert_eq!(errors(Kind::Span, r"output bind = a"), ["missing comma before `bind`"]);
    assert_eq!(errors(Kind::Span, r"capture(a b)"), ["missing comma before `b`"]);
    assert_eq!(errors(Kind::Span, r"metadata(a = 1 b = 2)"), ["missing comma before `b`"]);
}

#[test]
fn a_missing_equals_sign_is_reported_once() {
    assert_eq!(errors(Kind::Trace, r#"agent "a""#), ["missing `=` between `agent` and its value"]);
    assert_eq!(errors(Kind::Trace, r"agent = "), ["`agent =` needs a value"]);
    assert_eq!(errors(Kind::Trace, r"agent"), ["`agent` needs a value: `agent = ..`"]);
    assert_eq!(errors(Kind::Trace, r#"agent("a")"#), ["`agent` takes its value as `agent = ..`"]);
}

#[test]
fn a_value_without_a_name_says_the_name() {
    assert_eq!(errors(Kind::Trace, r#""bot""#), [r#"a value needs its name: `agent = "support-bot"`"#]);
    assert_eq!(errors(Kind::Span, r"= 3"), [r#"expected an option of `span`, such as `kind = "tool"`"#]);
}

#[test]
fn an_option_of_another_attribute_is_told_where_it_belongs() {
    assert_eq!(errors(Kind::Span, r#"agent = "a""#), ["`agent` is an option of `trace`, not of `span`"]);
    assert_eq!(
        errors(Kind::Shorthand("llm"), r#"kind = "tool""#),
        ["the kind of `llm` is its name; for another one write `span(kind = ..)`"]
    );
}

#[test]
fn what_is_required_is_said() {
    assert_eq!(errors(Kind::Trace, ""), [r#"a trace needs its agent's name: `trace(agent = "support-bot")`"#]);
    assert_eq!(errors(Kind::Tenant, ""), ["`tenant_scope` needs `from = ..`, an expression for the tenant"]);
    assert_eq!(errors(Kind::Span, ""), [""; 0]);
}

#[test]
fn literals_of_another_type_are_refused() {
    assert_eq!(errors(Kind::Span, "name = 3"), ["expected a string, such as \"gpt-4o\", or an expression for one"]);
    assert_eq!(errors(Kind::Span, "output = 3"), ["`output` takes `true` or `false`"]);
    assert_eq!(errors(Kind::Span, "bind = 3"), ["`bind` takes a name for a variable: `bind = handle`"]);
    assert_eq!(errors(Kind::Span, "tags = tag"), ["`tags` takes a list: `tags = [\"prod\", \"eu\"]`"]);
}

#[test]
fn more_than_a_hundred_tags_are_refused() {
    let tags = |count| format!("tags = [{}]", (0..count).map(|i| format!("\"t{i}\"")).collect::<Vec<_>>().join(","));
    assert_eq!(errors(Kind::Span, &tags(100)), [""; 0]);
    assert_eq!(errors(Kind::Span, &tags(101)), ["at most 100 tags; these are 101"]);
}

#[test]
fn only_whole_arguments_are_captured() {
    let whole = "`capture` takes whole arguments; for another expression write `input = ..`";
    assert_eq!(errors(Kind::Span, "capture(a.b)"), [whole]);
    assert_eq!(errors(Kind::Span, "capture(a, a)"), ["`a` is captured twice; remove one of the two"]);
    assert_eq!(
        errors(Kind::Span, "capture"),
        ["`capture` takes the names of arguments: `capture(question, ?options)`"]
    );
}

#[test]
fn awaits_are_found_where_they_would_run() {
    let tokens = |code: &str| syn::parse_str::<TokenStream>(code).unwrap();
    assert!(find_await(tokens("f(a.await)")).is_some());
    assert!(find_await(tokens("f(async { a.await })")).is_none());
    assert!(find_await(tokens("await_all(a)")).is_none());
    assert!(leaves(tokens("f(a?)")) && !leaves(tokens("async move { a? }")) && leaves(tokens("{ return a; }")));
}
