//! `#[tracium::main]`

use crate::args::{Kind, Options};
use crate::errors::Errors;
use crate::function::Function;
use crate::item::{Item, classify};
use crate::layer::{at, krate};
use crate::params::mentions;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Attribute, Expr, Ident, Local, LocalInit, Pat, Stmt};

pub(crate) fn expand(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(Kind::Main, args, &mut errors);
    let expanded = match classify(item) {
        Item::Function(function) => {
            check(&function, &mut errors);
            match &function.sig.asyncness {
                Some(asyncness) if !function.attrs.iter().any(may_run_futures) => {
                    errors.at(
                        asyncness.span,
                        "nothing runs this `async fn main`: put the runtime's attribute below ours, such as \
                         `#[tokio::main]`",
                    );
                    return errors.beside(&without_async(&function));
                }
                Some(_) => asynchronous(&options, &function),
                None => sync(&options, &function),
            }
        }
        Item::Unreadable(error) => {
            errors.push(error);
            None
        }
        Item::Impl => {
            errors.at(Span::call_site(), "`main` goes on the program's `fn main`");
            None
        }
        Item::Other(span, what) => {
            errors.at(span, format!("`main` goes on the program's `fn main`, not on {what}"));
            None
        }
    };
    match expanded {
        Some(expanded) if errors.is_empty() => expanded,
        _ => errors.beside(item),
    }
}

fn check(function: &Function, errors: &mut Errors) {
    let sig = &function.sig;
    if let Some(constness) = &sig.constness {
        errors.at(constness.span, "`main` starts the collection, which a `const fn` cannot: remove `const`");
    }
    if let Some(input) = sig.inputs.first() {
        errors.push(syn::Error::new_spanned(input, "`main` takes no arguments"));
    }
}

/// The function as one that needs no runtime, since the compiler has an error of its own for an async `main`.
fn without_async(function: &Function) -> TokenStream {
    let (head, output) = head(function);
    let body = function.body.as_ref().map(|body| &body.tokens);
    quote!(#head #output { let _ = async move { #body }; loop {} })
}

/// Whether the attribute may be a runtime's: any that is not the compiler's own.
fn may_run_futures(attr: &Attribute) -> bool {
    const OWN: &[&str] = &[
        "allow",
        "cfg",
        "cfg_attr",
        "cold",
        "deny",
        "deprecated",
        "doc",
        "expect",
        "forbid",
        "inline",
        "must_use",
        "no_mangle",
        "warn",
        "clippy",
        "rustfmt",
    ];
    let first = attr.path().segments.first();
    first.is_none_or(|first| !OWN.iter().any(|name| first.ident == name))
}

// Input:
//     #[tokio::main]
//     async fn main() -> R { body }
//
// Output:
//     fn main() -> R {
//         #[tokio::main]
//         async fn main() -> R {
//             root(async move { body }).await
//         }
//         main_sync(main)
//     }
//
// The guard lives outside the runtime, so that what the runtime's own end records is still sent.
fn asynchronous(options: &Options, function: &Function) -> Option<TokenStream> {
    let span = at(function.sig.ident.span());
    let krate = krate(options.krate.as_ref(), span);
    let body = &function.body.as_ref()?.tokens;
    let value = crate::returns::declared(&function.sig.output).map(crate::returns::erase);
    let edge = edge(value.as_ref(), span);
    let inner = function.with_body(&quote_spanned!(span=> #krate::__private::root(async move { #edge #body }).await));
    Some(around(function, &inner, &krate, span))
}

// Input:
//     fn main() -> R { body }
//
// Output:
//     fn main() -> R {
//         fn main() -> R { body }
//         main_sync(|| root_run(main))
//     }
//
// The inner function keeps `return` and `?` what they were.
fn sync(options: &Options, function: &Function) -> Option<TokenStream> {
    let span = at(function.sig.ident.span());
    let krate = krate(options.krate.as_ref(), span);
    let body = function.body.as_ref()?;
    if let Some(scoped) = body.statements().and_then(|stmts| scope_future_of_runtime(&stmts, &krate, span)) {
        let inner = function.with_body(&scoped);
        return Some(around(function, &inner, &krate, span));
    }
    let inner = function.with_body(&body.tokens);
    let name = &function.sig.ident;
    let (head, output) = head(function);
    Some(quote_spanned! {span=>
        #head #output {
            #inner
            #krate::__private::main_sync(|| #krate::__private::root_run(#name))
        }
    })
}

fn around(function: &Function, inner: &TokenStream, krate: &TokenStream, span: Span) -> TokenStream {
    let name = &function.sig.ident;
    let (head, output) = head(function);
    quote_spanned! {span=>
        #head #output {
            #inner
            #krate::__private::main_sync(#name)
        }
    }
}

/// The outer function: the signature without `async`, and the documentation.
fn head(function: &Function) -> (TokenStream, TokenStream) {
    let Function { vis, sig, .. } = function;
    let name = &sig.ident;
    let docs = function.attrs.iter().filter(|attr| attr.path().is_ident("doc"));
    let fn_token = sig.fn_token;
    (quote!(#(#docs)* #vis #fn_token #name()), sig.output.to_token_stream())
}

fn edge(value: Option<&syn::Type>, span: Span) -> TokenStream {
    match value {
        None => quote_spanned!(span=> if false { return; }),
        Some(syn::Type::Infer(_) | syn::Type::Never(_)) => TokenStream::new(),
        Some(value) => quote_spanned! {span=>
            #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value)]
            if false {
                let returned: #value = loop {};
                return returned;
            }
        },
    }
}

// Input, where the runtime's attribute stood above ours and has expanded:
//     let body = async { .. };
//     return Builder::new_multi_thread().build().block_on(body);
//
// Output:
//     let body = root(async { .. });
//     return Builder::new_multi_thread().build().block_on(body);
//
// The root scope must not be on the thread on which `block_on` polls the program's other tasks.
fn scope_future_of_runtime(stmts: &[Stmt], krate: &TokenStream, span: Span) -> Option<TokenStream> {
    let (first, rest) = stmts.split_first()?;
    let Stmt::Local(Local { pat: Pat::Ident(name), init: Some(LocalInit { expr, diverge: None, .. }), .. }) = first
    else {
        return None;
    };
    let Expr::Async(future) = &**expr else { return None };
    let rest: TokenStream = rest.iter().map(ToTokens::to_token_stream).collect();
    let block_on = Ident::new("block_on", Span::call_site());
    (mentions(&rest, &block_on) && mentions(&rest, &name.ident)).then(|| {
        let root = quote_spanned!(span=> #krate::__private::root(#future));
        quote!(let #name = #root; #rest)
    })
}
