//! One function per form of value. Each reports what is wrong with it, and gives nothing then.

use super::{Capture, Missing, Text, Value};
use crate::check::{self, Limit};
use crate::errors::Errors;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Path, Token};

/// `key = expr`
pub(super) fn expr(key: &Ident, value: Value, errors: &mut Errors) -> Option<Expr> {
    match value {
        Value::Expr(expr) => Some(expr),
        Value::None => {
            errors.at(key.span(), format!("`{key}` needs a value: `{key} = ..`"));
            None
        }
        Value::List(_) => {
            errors.at(key.span(), format!("`{key}` takes its value as `{key} = ..`"));
            None
        }
        Value::Broken => None,
    }
}

/// `key = "literal"` within `limit`, or `key = expr`
pub(super) fn text(key: &Ident, value: Value, limit: &Limit, errors: &mut Errors) -> Option<Text> {
    expr(key, value, errors).and_then(|expr| as_text(expr, limit, errors))
}

fn as_text(expr: Expr, limit: &Limit, errors: &mut Errors) -> Option<Text> {
    match literal(&expr) {
        Some(Lit::Str(literal)) => {
            limit.check(literal, errors);
            Some(Text::Literal(literal.clone()))
        }
        Some(other) => {
            errors.at(other.span(), "expected a string, such as \"gpt-4o\", or an expression for one");
            None
        }
        None => Some(Text::Expr(expr)),
    }
}

/// The literal that `expr` is. One from a `macro_rules!` matcher stands in an invisible group.
fn literal(expr: &Expr) -> Option<&Lit> {
    match expr {
        Expr::Lit(ExprLit { lit, attrs }) if attrs.is_empty() => Some(lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

/// An expression for a tenant; a literal one is checked.
pub(super) fn tenant(key: &Ident, value: Value, errors: &mut Errors) -> Option<Expr> {
    let expr = expr(key, value, errors)?;
    if let Some(Lit::Str(literal)) = literal(&expr) {
        check::TENANT.check(literal, errors);
    }
    Some(expr)
}

/// `key` or `key = bool`
pub(super) fn flag(key: &Ident, value: Value, errors: &mut Errors) -> Option<bool> {
    let span = match value {
        Value::None => return Some(true),
        Value::Expr(expr) => match literal(&expr) {
            Some(Lit::Bool(literal)) => return Some(literal.value),
            _ => expr.span(),
        },
        Value::List(_) => key.span(),
        Value::Broken => return None,
    };
    errors.at(span, format!("`{key}` takes `true` or `false`"));
    None
}

/// `key = ident`
pub(super) fn ident(key: &Ident, value: Value, errors: &mut Errors) -> Option<Ident> {
    let expr = expr(key, value, errors)?;
    let ident = match &expr {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        _ => None,
    };
    if ident.is_none_or(|ident| ident == "self") {
        errors.at(expr.span(), format!("`{key}` takes a name for a variable: `{key} = handle`"));
        return None;
    }
    ident.cloned()
}

/// `key = path`
pub(super) fn path(key: &Ident, value: Value, errors: &mut Errors) -> Option<Path> {
    match expr(key, value, errors)? {
        Expr::Path(path) if path.qself.is_none() => Some(path.path),
        other => {
            errors.at(other.span(), format!("`{key}` takes the path of the tracium crate: `{key} = my::tracium`"));
            None
        }
    }
}

/// `tags = ["a", expr]`
pub(super) fn tags(key: &Ident, value: Value, errors: &mut Errors) -> Vec<Text> {
    let Some(expr) = expr(key, value, errors) else { return Vec::new() };
    let Expr::Array(array) = expr else {
        errors.at(expr.span(), "`tags` takes a list: `tags = [\"prod\", \"eu\"]`");
        return Vec::new();
    };
    if let Some(first) = array.elems.iter().nth(check::TAGS) {
        let found = array.elems.len();
        errors.at(first.span(), format!("at most {} tags; these are {found}", check::TAGS));
    }
    array.elems.into_iter().filter_map(|tag| as_text(tag, &check::TAG, errors)).collect()
}

/// `metadata(key = expr, "dotted.key" = expr)`
pub(super) fn metadata(key: &Ident, value: Value, errors: &mut Errors) -> Vec<(LitStr, Expr)> {
    let Value::List(list) = value else {
        errors.at(key.span(), "`metadata` takes a list: `metadata(region = \"eu\")`");
        return Vec::new();
    };
    let mut pairs: Vec<(LitStr, Expr)> = Vec::new();
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let name = if input.peek(LitStr) {
                input.parse::<LitStr>()?
            } else {
                let name = input.call(Ident::parse_any)?;
                LitStr::new(&name.unraw().to_string(), name.span())
            };
            if pairs.iter().any(|(known, _)| known.value() == name.value()) {
                errors.at(name.span(), format!("`{}` is given twice; remove one of the two", name.value()));
            }
            input.parse::<Token![=]>()?;
            pairs.push((name, input.parse()?));
            comma(input)?;
        }
        Ok(())
    };
    if let Err(error) = Parser::parse2(parser, list) {
        errors.push(error);
    }
    pairs
}

/// `capture(name, ?name)`
pub(super) fn capture(key: &Ident, value: Value, errors: &mut Errors) -> Vec<Capture> {
    let Value::List(list) = value else {
        errors.at(key.span(), "`capture` takes the names of arguments: `capture(question, ?options)`");
        return Vec::new();
    };
    let mut captures: Vec<Capture> = Vec::new();
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let debug = input.parse::<Option<Token![?]>>()?.is_some();
            let name = input
                .call(Ident::parse_any)
                .map_err(|error| syn::Error::new(error.span(), "`capture` takes the names of arguments"))?;
            if captures.iter().any(|known| known.name == name) {
                errors.at(name.span(), format!("`{name}` is captured twice; remove one of the two"));
            } else {
                captures.push(Capture { name, debug });
            }
            if input.peek(Token![.]) || input.peek(Token![::]) || input.peek(syn::token::Paren) {
                return Err(input.error("`capture` takes whole arguments; for another expression write `input = ..`"));
            }
            comma(input)?;
        }
        Ok(())
    };
    if let Err(error) = Parser::parse2(parser, list) {
        errors.push(error);
    }
    captures
}

fn comma(input: ParseStream<'_>) -> syn::Result<()> {
    if input.is_empty() || input.parse::<Token![,]>().is_ok() {
        return Ok(());
    }
    let next = input.fork().parse::<proc_macro2::TokenTree>().map(|next| next.to_string()).unwrap_or_default();
    Err(input.error(format!("missing comma before `{next}`")))
}

/// `missing = reject | none | "id"`
pub(super) fn missing(key: &Ident, value: Value, errors: &mut Errors) -> Option<Missing> {
    let expr = expr(key, value, errors)?;
    if let Some(Lit::Str(literal)) = literal(&expr) {
        check::TENANT.check(literal, errors);
        return Some(Missing::Anonymous(literal.clone()));
    }
    match expr.to_token_stream().to_string().as_str() {
        "reject" => return Some(Missing::Reject(expr.span())),
        "none" => return Some(Missing::None),
        _ => {}
    }
    errors.at(expr.span(), "`missing` takes `reject`, `none`, or the id to use instead, such as \"anonymous\"");
    None
}
