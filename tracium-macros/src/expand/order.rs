//! `tenant_scope` above `trace`: the attribute that expands last is the outermost, and the tenant has to be.

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
    let Meta::List(list) = &attr.meta else { return false };
    let tokens: Vec<TokenTree> = list.tokens.clone().into_iter().collect();
    tokens.windows(2).any(|pair| match pair {
        [TokenTree::Ident(name), TokenTree::Punct(equals)] => name == "agent" && equals.as_char() == '=',
        _ => false,
    })
}

const FOREIGN: &[&str] = &["fastrace", "minitrace", "opentelemetry", "tracing"];

fn needs_comma(args: &TokenStream) -> bool {
    args.to_token_stream().into_iter().last().is_some_and(|last| last.to_string() != ",")
}
