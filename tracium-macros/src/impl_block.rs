//! `#[tracium::span(..)] impl Tools { .. }`: the attribute goes on each method.

use crate::args::{Kind, Options};
use crate::errors::Errors;
use crate::layer::{at, krate};
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Signature, Token, Visibility};

// Input:
//     impl Tools {
//         const LIMIT: usize = 3;
//         fn call(&self) { .. }
//         #[tracium::skip]
//         fn helper(&self) { .. }
//     }
//
// Output:
//     impl Tools {
//         const LIMIT: usize = 3;
//         #[tracium::span(..)]
//         fn call(&self) { .. }
//         #[tracium::skip]
//         fn helper(&self) { .. }
//     }
//
// `skip` stays: the block may have a second attribute, which has to see it too. A `const fn` has nothing to observe
// and is left out.
pub(crate) fn mark(
    kind: Kind,
    options: &Options,
    args: &TokenStream,
    item: &TokenStream,
    errors: &mut Errors,
) -> Option<TokenStream> {
    let mut trees: Vec<TokenTree> = item.clone().into_iter().collect();
    let body = trees.iter_mut().rev().find_map(|tree| match tree {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    })?;
    let span = at(Span::call_site());
    let krate = krate(options.krate.as_ref(), span);
    let name = Ident::new(kind.name(), span);
    let attribute = quote_spanned!(span=> #[#krate::#name(#args)]);
    match Parser::parse2(|input: ParseStream<'_>| mark_methods(input, &attribute), body.stream()) {
        Ok(marked) => {
            let mut group = Group::new(Delimiter::Brace, marked);
            group.set_span(body.span());
            *body = group;
        }
        Err(error) => {
            errors.push(error);
            return None;
        }
    }
    Some(trees.into_iter().collect())
}

fn mark_methods(input: ParseStream<'_>, attribute: &TokenStream) -> syn::Result<TokenStream> {
    let mut marked = TokenStream::new();
    while !input.is_empty() {
        let inner = if input.peek(Token![#]) && input.peek2(Token![!]) {
            input.call(Attribute::parse_inner)?
        } else {
            Vec::new()
        };
        let attrs = input.call(Attribute::parse_outer)?;
        inner.iter().chain(&attrs).for_each(|attr| attr.to_tokens(&mut marked));
        if is_method(input) && !attrs.iter().any(is_skip) {
            marked.extend(attribute.clone());
        }
        item(input, &mut marked)?;
    }
    Ok(marked)
}

/// Whether what comes is a method that is no `const fn`.
fn is_method(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    let vis = ahead.parse::<Visibility>();
    let defaulted = ahead.fork().parse::<Ident>().is_ok_and(|ident| ident == "default");
    let parsed = vis.and_then(|_| if defaulted { ahead.parse::<Ident>().map(drop) } else { Ok(()) });
    parsed.and_then(|()| ahead.parse::<Signature>()).is_ok_and(|sig| sig.constness.is_none())
}

/// One item to its end: a `;`, or the braces of a method or macro.
fn item(input: ParseStream<'_>, marked: &mut TokenStream) -> syn::Result<()> {
    let mut value = false;
    while !input.is_empty() {
        let tree: TokenTree = input.parse()?;
        let end = match &tree {
            TokenTree::Punct(punct) => {
                value |= punct.as_char() == '=';
                punct.as_char() == ';'
            }
            // The braces in `const LIMIT: usize = { 3 };` are not its end.
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !value,
            _ => false,
        };
        marked.extend([tree]);
        if end {
            break;
        }
    }
    Ok(())
}

/// `#[tracium::skip]`, but not `#[rustfmt::skip]`.
fn is_skip(attr: &Attribute) -> bool {
    let segments = &attr.path().segments;
    let named = segments.last().is_some_and(|last| last.ident == "skip");
    named && segments.first().is_some_and(|first| first.ident != "rustfmt")
}
