//! What each attribute's options are, and what they mean.

use super::values;
use super::{Entry, Value, read};
use crate::check;
use crate::errors::Errors;
use crate::nearest::nearest;
use proc_macro2::{Span, TokenStream};
use syn::{Expr, Ident, LitStr, Path};

/// Which attribute was written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Trace,
    Span,
    /// A span whose kind is the attribute's name.
    Shorthand(&'static str),
    Tenant,
    Main,
}

/// A text that is known while compiling, or an expression for one.
#[allow(clippy::large_enum_variant)] // A handful an attribute.
pub(crate) enum Text {
    Literal(LitStr),
    Expr(Expr),
}

/// One name of `capture(..)`.
pub(crate) struct Capture {
    pub(crate) name: Ident,
    /// `?name`: by `Debug`.
    pub(crate) debug: bool,
}

/// What happens when `from` has no tenant.
pub(crate) enum Missing {
    None,
    Reject(Span),
    Anonymous(LitStr),
}

/// The options of one attribute; those it does not have stay empty.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) krate: Option<Path>,
    pub(crate) agent: Option<Text>,
    pub(crate) kind: Option<Text>,
    pub(crate) name: Option<Text>,
    pub(crate) model: Option<Text>,
    pub(crate) version: Option<Text>,
    pub(crate) workspace: Option<Text>,
    pub(crate) tags: Vec<Text>,
    pub(crate) metadata: Vec<(LitStr, Expr)>,
    pub(crate) tenant: Option<Expr>,
    pub(crate) session: Option<Expr>,
    pub(crate) user: Option<Expr>,
    pub(crate) trace_id: Option<Expr>,
    pub(crate) new_trace: bool,
    pub(crate) capture: Vec<Capture>,
    pub(crate) input: Option<Expr>,
    pub(crate) output: Option<Span>,
    pub(crate) bind: Option<Ident>,
    pub(crate) propagate: Option<bool>,
    pub(crate) from: Option<Expr>,
    pub(crate) missing: Option<Missing>,
    /// `tenant_scope` was moved below its neighbours already; written by ourselves only.
    pub(crate) moved: bool,
}

/// Marks a `tenant_scope` that has moved, so that it never moves twice.
pub(crate) const MOVED: &str = "__moved";

const TRACE: &[&str] = &[
    "agent",
    "name",
    "model",
    "version",
    "workspace",
    "tags",
    "metadata",
    "tenant",
    "session",
    "user",
    "trace_id",
    "new_trace",
    "capture",
    "input",
    "output",
    "bind",
    "propagate",
    "crate",
];
const SPAN: &[&str] =
    &["kind", "name", "model", "tags", "metadata", "capture", "input", "output", "bind", "propagate", "crate"];
const SHORTHAND: &[&str] =
    &["name", "model", "tags", "metadata", "capture", "input", "output", "bind", "propagate", "crate"];
const TENANT: &[&str] = &["from", "missing", "propagate", "crate"];
const MAIN: &[&str] = &["crate"];

impl Kind {
    /// The attribute's name as the user writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Span => "span",
            Self::Shorthand(name) => name,
            Self::Tenant => "tenant_scope",
            Self::Main => "main",
        }
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Trace => TRACE,
            Self::Span => SPAN,
            Self::Shorthand(_) => SHORTHAND,
            Self::Tenant => TENANT,
            Self::Main => MAIN,
        }
    }

    /// Why `key` is no option of this attribute, and what to write instead.
    fn unknown(self, key: &str) -> String {
        let name = self.name();
        if let (Self::Shorthand(_), "kind") = (self, key) {
            return format!("the kind of `{name}` is its name; for another one write `span(kind = ..)`");
        }
        if let Some(meant) = nearest(key, self.keys()) {
            return format!("`{name}` has no option `{key}`; did you mean `{meant}`?");
        }
        let owner = [Self::Trace, Self::Span, Self::Tenant].into_iter().find(|kind| kind.keys().contains(&key));
        if let Some(owner) = owner {
            let owner = owner.name();
            return format!("`{key}` is an option of `{owner}`, not of `{name}`");
        }
        let keys = self.keys().iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        format!("`{name}` has no option `{key}`; its options are {keys}")
    }
}

impl Options {
    /// Reads and checks the options of `kind`.
    pub(crate) fn parse(kind: Kind, args: TokenStream, errors: &mut Errors) -> Self {
        let before = errors.is_empty();
        let mut options = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for entry in read(kind.name(), args, errors) {
            let key = entry.key.to_string();
            if kind == Kind::Tenant && key == MOVED {
                options.moved = true;
            } else if !kind.keys().contains(&key.as_str()) {
                errors.at(entry.key.span(), kind.unknown(&key));
            } else if seen.contains(&key) {
                errors.at(entry.key.span(), format!("`{key}` is given twice; remove one of the two"));
            } else {
                options.set(&key, entry, errors);
                seen.push(key);
            }
        }
        let whole = before && errors.is_empty();
        options.check(kind, whole, errors);
        options
    }

    fn set(&mut self, key: &str, entry: Entry, errors: &mut Errors) {
        let Entry { key: name, value } = entry;
        if matches!(value, Value::Broken) {
            return;
        }
        match key {
            "agent" => self.agent = values::text(&name, value, &check::AGENT, errors),
            "kind" => self.kind = values::text(&name, value, &check::KIND, errors),
            "name" => self.name = values::text(&name, value, &check::NAME, errors),
            "model" => self.model = values::text(&name, value, &check::MODEL, errors),
            "version" => self.version = values::text(&name, value, &check::VERSION, errors),
            "workspace" => self.workspace = values::text(&name, value, &check::WORKSPACE, errors),
            "tags" => self.tags = values::tags(&name, value, errors),
            "metadata" => self.metadata = values::metadata(&name, value, errors),
            "tenant" => self.tenant = values::tenant(&name, value, errors),
            "session" => self.session = values::expr(&name, value, errors),
            "user" => self.user = values::expr(&name, value, errors),
            "trace_id" => self.trace_id = values::expr(&name, value, errors),
            "new_trace" => self.new_trace = values::flag(&name, value, errors).unwrap_or_default(),
            "capture" => self.capture = values::capture(&name, value, errors),
            "input" => self.input = values::expr(&name, value, errors),
            "output" => {
                let asked = values::flag(&name, value, errors).unwrap_or_default();
                self.output = asked.then(|| name.span());
            }
            "bind" => self.bind = values::ident(&name, value, errors),
            "propagate" => self.propagate = values::flag(&name, value, errors),
            "from" => self.from = values::tenant(&name, value, errors),
            "missing" => self.missing = values::missing(&name, value, errors),
            "crate" => self.krate = values::path(&name, value, errors),
            _ => {}
        }
    }

    /// What the options must be together. `whole` is false when some could not be read, and may only seem absent.
    fn check(&self, kind: Kind, whole: bool, errors: &mut Errors) {
        if whole && kind == Kind::Trace && self.agent.is_none() {
            errors.at(Span::call_site(), "a trace needs its agent's name: `trace(agent = \"support-bot\")`");
        }
        if whole && kind == Kind::Tenant && self.from.is_none() {
            errors.at(Span::call_site(), "`tenant_scope` needs `from = ..`, an expression for the tenant");
        }
        if let (Some(_), Some(capture)) = (&self.input, self.capture.first()) {
            errors.at(capture.name.span(), "`input = ..` and `capture(..)` both give the input; remove one of the two");
        }
    }
}
