//! What an attribute was put on.

use crate::function::Function;
use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::Attribute;
use syn::parse::{ParseStream, Parser};

pub(crate) enum Item {
    Function(Box<Function>),
    Impl,
    /// Something that has no calls to observe; at its keyword.
    Other(Span, String),
    /// A function that cannot be read.
    Unreadable(syn::Error),
}

/// Tells apart what the attributes go on, without reading bodies.
pub(crate) fn classify(item: &TokenStream) -> Item {
    match keyword(item) {
        Some((keyword, span)) if keyword == "fn" => match syn::parse2::<Function>(item.clone()) {
            Ok(function) => Item::Function(Box::new(function)),
            Err(error) => Item::Unreadable(syn::Error::new(first_of(&error, span), error.to_string())),
        },
        Some((keyword, _)) if keyword == "impl" => Item::Impl,
        Some((keyword, span)) => Item::Other(span, format!("`{keyword}`")),
        None => Item::Other(Span::call_site(), "this".to_owned()),
    }
}

fn first_of(error: &syn::Error, otherwise: Span) -> Span {
    error.clone().into_iter().next().map_or(otherwise, |error| error.span())
}

/// The keyword that says what the item is.
fn keyword(item: &TokenStream) -> Option<(String, Span)> {
    const KEYWORDS: &[&str] = &[
        "fn",
        "impl",
        "struct",
        "enum",
        "union",
        "trait",
        "mod",
        "type",
        "static",
        "use",
        "crate",
        "macro_rules",
        "let",
    ];
    let parser = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        input.parse::<syn::Visibility>()?;
        input.parse::<TokenStream>()
    };
    let rest = Parser::parse2(parser, item.clone()).unwrap_or_else(|_| item.clone());
    let mut constant = None;
    for token in rest {
        match token {
            TokenTree::Ident(ident) => {
                let text = ident.to_string();
                if KEYWORDS.contains(&text.as_str()) {
                    return Some((text, ident.span()));
                }
                if text == "const" {
                    constant = Some((text, ident.span()));
                }
            }
            // `const NAME: fn()` is no function; `extern "C" {}` is none either.
            TokenTree::Punct(punct) if punct.as_char() == ':' || punct.as_char() == '=' => return constant,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return constant,
            _ => {}
        }
    }
    constant
}
