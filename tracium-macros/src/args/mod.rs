//! The grammar of what stands in an attribute's parentheses: `key`, `key = value` and `key(..)`, with commas between.
//!
//! It is written by hand so that every mistake is reported, each at its token, and not only the first.

mod options;
mod values;

pub(crate) use options::{Capture, Kind, MOVED, Missing, Options, Text};

use crate::errors::Errors;
use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, Ident, LitStr, Token};

/// One option as written.
pub(crate) struct Entry {
    pub(crate) key: Ident,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    /// `key`
    None,
    /// `key = expr`
    Expr(Expr),
    /// `key(..)`
    List(TokenStream),
    /// Reported already.
    Broken,
}

/// Reads the options of `attribute`, in their order.
pub(crate) fn read(attribute: &str, args: TokenStream, errors: &mut Errors) -> Vec<Entry> {
    let mut entries = Vec::new();
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            match key(attribute, input) {
                Ok(key) => {
                    let mut value = value(&key, input, errors);
                    let broken = matches!(value, Value::Broken);
                    if !broken {
                        end(&key, &mut value, input, errors);
                    }
                    entries.push(Entry { key, value });
                    if !broken {
                        continue;
                    }
                }
                Err(error) => errors.push(error),
            }
            skip_past_comma(input);
        }
        Ok(())
    };
    // The parser itself never fails: its errors are in `errors`.
    if let Err(error) = Parser::parse2(parser, args) {
        errors.push(error);
    }
    entries
}

fn key(attribute: &str, input: ParseStream<'_>) -> syn::Result<Ident> {
    if input.peek(Ident::peek_any) {
        return input.call(Ident::parse_any);
    }
    let example = match attribute {
        "trace" => "agent = \"support-bot\"",
        "span" => "kind = \"tool\"",
        "tenant_scope" => "from = request.tenant_id",
        _ => "name = \"search\"",
    };
    let found = match input.parse::<LitStr>() {
        Ok(literal) => return Err(syn::Error::new(literal.span(), format!("a value needs its name: `{example}`"))),
        Err(_) => input.span(),
    };
    Err(syn::Error::new(found, format!("expected an option of `{attribute}`, such as `{example}`")))
}

fn value(key: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> Value {
    if input.peek(Token![=]) {
        let parsed = input.parse::<Token![=]>().and_then(|equals| {
            if input.is_empty() || input.peek(Token![,]) {
                return Err(syn::Error::new(equals.span, format!("`{key} =` needs a value")));
            }
            input.parse::<Expr>()
        });
        return parsed.map_or_else(
            |error| {
                errors.push(error);
                Value::Broken
            },
            Value::Expr,
        );
    }
    if input.peek(syn::token::Paren)
        && let Ok(TokenTree::Group(group)) = input.parse::<TokenTree>()
    {
        return Value::List(group.stream());
    }
    Value::None
}

/// Takes the comma behind an option. A missing one is reported once, and reading goes on.
fn end(key: &Ident, value: &mut Value, input: ParseStream<'_>, errors: &mut Errors) {
    if input.is_empty() || input.parse::<Token![,]>().is_ok() {
        return;
    }
    if let Ok(next) = input.fork().call(Ident::parse_any) {
        errors.at(next.span(), format!("missing comma before `{next}`"));
        return;
    }
    if matches!(value, Value::None) {
        errors.at(input.span(), format!("missing `=` between `{key}` and its value"));
        *value = Value::Broken;
    } else {
        errors.at(input.span(), format!("expected a comma after the value of `{key}`"));
    }
    skip_past_comma(input);
}

fn skip_past_comma(input: ParseStream<'_>) {
    while !input.is_empty() {
        if input.parse::<Token![,]>().is_ok() || input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}

/// The first `.await` in `tokens`, at any depth but in nested `async` blocks.
pub(crate) fn find_await(tokens: TokenStream) -> Option<Span> {
    find(tokens, &|before, token| before == Some('.') && token == "await")
}

/// Whether `tokens` leave the expression they stand in: `?`, `return`, `.await`, `break`, `continue`.
pub(crate) fn leaves(tokens: TokenStream) -> bool {
    find(tokens, &|before, token| {
        matches!(token, "?" | "return" | "break" | "continue") || (before == Some('.') && token == "await")
    })
    .is_some()
}

fn find(tokens: TokenStream, wanted: &dyn Fn(Option<char>, &str) -> bool) -> Option<Span> {
    let mut before = None;
    let mut in_async = false;
    for token in tokens {
        match &token {
            TokenTree::Group(group) => {
                let nested = in_async && group.delimiter() == Delimiter::Brace;
                if !nested && let Some(found) = find(group.stream(), wanted) {
                    return Some(found);
                }
                in_async = false;
                before = None;
            }
            TokenTree::Ident(ident) => {
                let text = ident.to_string();
                if wanted(before, &text) {
                    return Some(ident.span());
                }
                in_async = text == "async" || (in_async && text == "move");
                before = None;
            }
            TokenTree::Punct(punct) => {
                if wanted(before, &punct.as_char().to_string()) {
                    return Some(punct.span());
                }
                before = Some(punct.as_char());
            }
            TokenTree::Literal(_) => before = None,
        }
    }
    None
}

#[cfg(test)]
mod tests;
