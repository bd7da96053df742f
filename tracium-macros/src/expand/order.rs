//! What attributes of one function have to know of each other.
//!
//! `tenant_scope` above `trace`: the attribute that expands last is the outermost, and the tenant has to be.
//! `propagate = false` on one of them holds for the function, so for all of them.

use crate::args::{MOVED, Options};
use crate::function::Function;
use crate::layer::{at, krate};
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Attribute, Meta};

// Input, at the first of the two:
//     #[tenant_scope(from = t)]
//     #[trace(agent = "a")]
//     fn f(t: &str) { .. }
//
// Output:
//     #[trace(agent = "a")]
//     #[tenant_scope(from = t, __moved)]
//     fn f(t: &str) { .. }
//
// What an attribute is, its name tells, or for a renamed trace its `agent = ..`. Where neither does, the runtime finds
// out that the tenant was the first act in a trace not yet announced. It moves once only, since an attribute that
// happens to have such a name and is no macro would stay above for ever.
pub(super) fn below_traces(options: &Options, args: &TokenStream, function: &Function) -> Option<TokenStream> {
    if options.moved {
        return None;
    }
    let last = function.attrs.iter().rposition(opens_span)?;
    let span = at(function.sig.ident.span());
    let krate = krate(options.krate.as_ref(), span);
    let moved = Ident::new(MOVED, Span::mixed_site());
    let comma = needs_comma(args).then(|| quote!(,));
    let ours = quote_spanned!(span=> #[#krate::tenant_scope(#args #comma #moved)]);
    let (above, below) = function.attrs.split_at(last + 1);
    let whole = function.without_attributes();
    Some(quote!(#(#above)* #ours #(#below)* #whole))
}

fn opens_span(attr: &Attribute) -> bool {
    const NAMES: &[&str] = &["trace", "span", "llm", "tool", "retrieval"];
    let segments = &attr.path().segments;
    // `#[tracing::span]` and such are someone else's.
    let foreign =
        segments.len() > 1 && segments.first().is_some_and(|first| FOREIGN.iter().any(|name| first.ident == name));
    let named = segments.last().is_some_and(|last| NAMES.iter().any(|name| last.ident == name));
    !foreign && (named || names_an_agent(attr))
}

/// `#[t(agent = ..)]`
fn names_an_agent(attr: &Attribute) -> bool {
    value_of(attr, "agent").is_some()
}

/// What begins the value of `key = ..` in an attribute.
fn value_of(attr: &Attribute, key: &str) -> Option<TokenTree> {
    let Meta::List(list) = &attr.meta else { return None };
    let tokens: Vec<TokenTree> = list.tokens.clone().into_iter().collect();
    tokens.windows(3).find_map(|three| match three {
        [TokenTree::Ident(name), TokenTree::Punct(equals), value] if name == key && equals.as_char() == '=' => {
            Some(value.clone())
        }
        _ => None,
    })
}

/// Whether an attribute further down says `propagate = false`.
pub(super) fn spawned_is_left_alone(function: &Function) -> bool {
    let says_so = |attr: &Attribute| value_of(attr, "propagate").is_some_and(|value| value.to_string() == "false");
    function.attrs.iter().filter(|attr| is_ours(attr)).any(says_so)
}

/// Says `propagate = false` on the attributes further down.
pub(super) fn leave_spawned_alone(function: &mut Function) {
    for attr in function.attrs.iter_mut().filter(|attr| is_ours(attr)) {
        if value_of(attr, "propagate").is_some() {
            continue;
        }
        let path = attr.path().clone();
        let (delimiter, tokens) = match &attr.meta {
            Meta::List(list) => (list.delimiter.clone(), list.tokens.clone()),
            _ => (syn::MacroDelimiter::Paren(syn::token::Paren::default()), TokenStream::new()),
        };
        let comma = (!tokens.is_empty() && needs_comma(&tokens)).then(|| quote!(,));
        let tokens = quote!(#tokens #comma propagate = false);
        attr.meta = Meta::List(syn::MetaList { path, delimiter, tokens });
    }
}

fn is_ours(attr: &Attribute) -> bool {
    opens_span(attr) || attr.path().segments.last().is_some_and(|last| last.ident == "tenant_scope")
}

const FOREIGN: &[&str] = &["fastrace", "minitrace", "opentelemetry", "tracing"];

fn needs_comma(args: &TokenStream) -> bool {
    args.to_token_stream().into_iter().last().is_some_and(|last| last.to_string() != ",")
}
