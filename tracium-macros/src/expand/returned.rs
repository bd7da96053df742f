//! Functions that are not async but return a future: the scope begins when that future is first polled.

use super::{return_edge, stream};
use crate::args::leaves;
use crate::errors::Errors;
use crate::function::Function;
use crate::layer::{Binding, Halves, Layer};
use crate::params::{Param, mentions, names};
use crate::returns::{self, ReturnedFuture, Wrapping};
use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, ExprAsync, ExprCall, GenericParam, Local, Pat, Stmt, Type};

pub(super) fn body(
    layer: &Layer,
    function: &Function,
    params: &[Param],
    future: &ReturnedFuture,
    ty: &Type,
    errors: &mut Errors,
) -> Option<TokenStream> {
    let Layer { span, meta, .. } = layer;
    let source = function.body.as_ref()?;
    let tail = Tail { layer, params, future, async_trait: is_async_trait(function) };
    if let Some(Rewritten { statements, early }) = source.statements().and_then(|stmts| tail.rewrite(&stmts, &[])) {
        return Some(quote_spanned!(*span=> #meta #early #statements));
    }
    if let Some(Binding { handle, .. }) = &layer.binding {
        errors.at(
            handle.span(),
            "`bind` names a handle for a body that runs in the span, and this future is made elsewhere: end the \
             function in an `async move` block, or make it an `async fn`",
        );
    }
    Some(value(layer, future, ty, &source.tokens))
}

// Input:
//     fn f(x: T) -> BoxFuture<'static, R> {
//         statements
//         future
//     }
//
// Output:
//     fn f(x: T) -> BoxFuture<'static, R> {
//         static META: SpanMeta = ..;
//         let future: BoxFuture<'static, R> = {
//             statements
//             future
//         };
//         Box::pin(scoped(&META, async move { open_span(&META); future.await }, |returned| { .. }))
//     }
//
// The statements run when they did before: on the call.
fn value(layer: &Layer, future: &ReturnedFuture, ty: &Type, body: &TokenStream) -> TokenStream {
    let Layer { krate, span, meta, .. } = layer;
    let erased = returns::erase(ty);
    let produced = if leaves(body.clone()) {
        quote_spanned!(*span=> #krate::__private::produce(|| -> #erased { #body }))
    } else {
        quote_spanned!(*span=> { #body })
    };
    let (early, opening) = halves(layer);
    let inner = quote_spanned!(*span=> async move);
    let ready = quote_spanned!(*span=> future.await);
    let scoped = scoped(layer, future, &inner, &quote!(#opening #ready));
    let wrapped = match future.wrapping {
        Wrapping::Bare => scoped,
        Wrapping::Pinned => quote_spanned!(*span=> ::std::boxed::Box::pin(#scoped)),
        Wrapping::Boxed => quote_spanned!(*span=> ::std::boxed::Box::new(::std::boxed::Box::pin(#scoped))),
    };
    quote_spanned! {*span=>
        #meta
        #early
        let future: #erased = #produced;
        #wrapped
    }
}

/// What has to be evaluated on the call, and the opening that goes with it.
fn halves(layer: &Layer) -> (Option<&TokenStream>, &TokenStream) {
    match &layer.halves {
        Some(Halves { early, late }) => (Some(early), late),
        None => (None, &layer.opening),
    }
}

/// `scoped(&META, async move { .. }, ..)`
fn scoped(layer: &Layer, future: &ReturnedFuture, opener: &TokenStream, body: &TokenStream) -> TokenStream {
    let output = future.output.as_ref();
    let edge = output.map(|output| return_edge(layer, Some(output)));
    let span = layer.span;
    stream::scoped(layer, output, &quote_spanned!(span=> #opener { #edge #body }))
}

/// The function's last expression, where that makes the future.
struct Tail<'a> {
    layer: &'a Layer,
    params: &'a [Param],
    future: &'a ReturnedFuture,
    async_trait: bool,
}

struct Rewritten<'a> {
    statements: TokenStream,
    /// To be evaluated on the call, before the statements.
    early: Option<&'a TokenStream>,
}

impl<'a> Tail<'a> {
    // Input:
    //     statements
    //     Box::pin(async move { body })
    //
    // Output:
    //     statements
    //     Box::pin(scoped(&META, async move { open_span(&META); body }, |returned| { .. }))
    fn rewrite(&self, stmts: &[Stmt], outer: &[Stmt]) -> Option<Rewritten<'a>> {
        let (last, before) = stmts.split_last()?;
        let Stmt::Expr(last, None) = last else { return None };
        // What returns earlier returns another future, which has to be in the scope too.
        if before.iter().any(|stmt| leaves(stmt.to_token_stream())) {
            return None;
        }
        let earlier = outer.iter().chain(before).map(ToTokens::to_token_stream).collect::<TokenStream>();
        let Rewritten { statements, early } = match last {
            Expr::Block(block) if block.attrs.is_empty() && block.label.is_none() => {
                let outer = outer.iter().chain(before).cloned().collect::<Vec<_>>();
                let Rewritten { statements, early } = self.rewrite(&block.block.stmts, &outer)?;
                Rewritten { statements: quote!({ #statements }), early }
            }
            Expr::Group(group) => self.rewrite_last(&group.expr, &earlier)?,
            last => self.rewrite_last(last, &earlier)?,
        };
        Some(Rewritten { statements: quote!(#(#before)* #statements), early })
    }

    fn rewrite_last(&self, last: &Expr, earlier: &TokenStream) -> Option<Rewritten<'a>> {
        match (self.future.wrapping, last) {
            (Wrapping::Bare, last) => self.rewrite_future(last, earlier),
            (Wrapping::Pinned, Expr::Call(call)) if is_path(&call.func, &["Box", "pin"]) && call.args.len() == 1 => {
                let ExprCall { func, args, .. } = call;
                let Rewritten { statements, early } = self.rewrite_future(args.first()?, earlier)?;
                Some(Rewritten { statements: quote!(#func(#statements)), early })
            }
            // `async move { .. }.boxed()`
            (Wrapping::Pinned, Expr::MethodCall(call)) if call.args.is_empty() => {
                let method = &call.method;
                let known = method == "boxed" || method == "boxed_local";
                let Rewritten { statements, early } =
                    known.then(|| self.rewrite_future(&call.receiver, earlier)).flatten()?;
                Some(Rewritten { statements: quote!(#statements.#method()), early })
            }
            _ => None,
        }
    }

    fn rewrite_future(&self, future: &Expr, earlier: &TokenStream) -> Option<Rewritten<'a>> {
        match future {
            Expr::Async(block) if block.attrs.is_empty() => Some(self.block_with(block, earlier)),
            // What an attribute that expanded before ours made of such a block: it is made in our scope.
            Expr::Call(call)
                if is_path(&call.func, &["__private", "scoped"])
                    || is_path(&call.func, &["__private", "scoped_stream"]) =>
            {
                let Some(Expr::Async(block)) = call.args.iter().nth(1) else { return None };
                let (early, opening, binding) = self.opening(&call.to_token_stream(), earlier);
                let span = self.layer.span;
                let mut inner = call.clone();
                if let (true, Some(Expr::Async(block))) = (self.async_trait, inner.args.iter_mut().nth(1)) {
                    self.use_arguments(&mut block.block.stmts);
                }
                let ready = quote_spanned!(span=> #inner.await);
                let statements = self.scoped(block, &quote!(#opening #binding #ready));
                Some(Rewritten { statements, early })
            }
            _ => None,
        }
    }

    /// Uses in a block what our options use outside it: `async_trait` has taken the arguments over in the block, and
    /// the compiler says of those variables whether they are used.
    fn use_arguments(&self, stmts: &mut Vec<Stmt>) {
        let Some(AsyncTraitPrologue { length, .. }) = AsyncTraitPrologue::of(stmts) else {
            // Of several attributes, each has put its block around that of the one before.
            if let Some(Stmt::Expr(Expr::Await(ready), None)) = stmts.last_mut()
                && let Expr::Call(call) = &mut *ready.base
                && let Some(Expr::Async(block)) = call.args.iter_mut().nth(1)
            {
                self.use_arguments(&mut block.block.stmts);
            }
            return;
        };
        let taken = patterns_of(&stmts[..length]).flat_map(names).map(|name| name.ident);
        let used: Vec<Ident> = taken.filter(|ident| mentions(&self.layer.expressions, ident)).collect();
        let span = self.layer.span;
        stmts.splice(
            length..length,
            used.iter().map(|ident| {
                syn::parse_quote_spanned! {span=>
                    #[allow(clippy::used_underscore_binding)]
                    let _ = &#ident;
                }
            }),
        );
    }

    fn block_with(&self, block: &ExprAsync, earlier: &TokenStream) -> Rewritten<'a> {
        let stmts = &block.block.stmts;
        let (early, opening, binding) = self.opening(&block.block.to_token_stream(), earlier);
        let prologue = if self.async_trait { AsyncTraitPrologue::of(stmts) } else { None };
        let body = if let Some(AsyncTraitPrologue { length, own_self }) = prologue {
            let opening = rename_self(opening.clone(), own_self.as_ref());
            let (prologue, stmts) = stmts.split_at(length);
            quote!(#(#prologue)* #opening #binding #(#stmts)*)
        } else {
            quote!(#opening #binding #(#stmts)*)
        };
        Rewritten { statements: self.scoped(block, &body), early }
    }

    fn scoped(&self, block: &ExprAsync, body: &TokenStream) -> TokenStream {
        let ExprAsync { async_token, capture, .. } = block;
        scoped(self.layer, self.future, &quote!(#async_token #capture), body)
    }

    /// The opening for a scope around `block`, after the statements `earlier`.
    ///
    /// The options are evaluated at the first poll, unless their arguments are not there any more then.
    fn opening(
        &self,
        block: &TokenStream,
        earlier: &TokenStream,
    ) -> (Option<&'a TokenStream>, &'a TokenStream, Option<&'a TokenStream>) {
        let layer = self.layer;
        let binding = layer.binding();
        let used = self.params.iter().map(|param| &param.ident).filter(|ident| mentions(&layer.expressions, ident));
        let gone = |ident: &Ident| mentions(earlier, ident) || !mentions(block, ident);
        if !self.async_trait && used.into_iter().any(gone) {
            let (early, opening) = halves(layer);
            (early, opening, binding)
        } else {
            (None, &layer.opening, binding)
        }
    }
}

/// `async_trait` makes a plain function of an async one, with this lifetime.
fn is_async_trait(function: &Function) -> bool {
    function.sig.generics.params.iter().any(|param| match param {
        GenericParam::Lifetime(param) => param.lifetime.ident == "async_trait",
        _ => false,
    })
}

/// The statements in which `async_trait` takes over the arguments: `let __self = self; let (a, b) = { .. };`.
struct AsyncTraitPrologue {
    length: usize,
    /// Its variable for `self`.
    own_self: Option<Ident>,
}

impl AsyncTraitPrologue {
    fn of(stmts: &[Stmt]) -> Option<Self> {
        let length = stmts.iter().position(|stmt| matches!(stmt, Stmt::Local(Local { pat: Pat::Type(_), .. })))?;
        let own_self = patterns_of(&stmts[..length]).find_map(|pat| match pat {
            Pat::Ident(pat) if pat.ident == "__self" => Some(pat.ident.clone()),
            _ => None,
        });
        Some(Self { length, own_self })
    }
}

fn patterns_of(stmts: &[Stmt]) -> impl Iterator<Item = &Pat> {
    stmts.iter().filter_map(|stmt| match stmt {
        Stmt::Local(local) => Some(&local.pat),
        _ => None,
    })
}

/// Names that a pattern bound before `async_trait` moved the pattern into the body.
pub(super) fn add_patterns_of_async_trait(function: &Function, params: &mut Vec<Param>) {
    let moved = params.iter().any(|param| param.ident.to_string().starts_with("__arg"));
    if !moved || !is_async_trait(function) {
        return;
    }
    let stmts = function.body.as_ref().and_then(super::super::function::Body::statements).unwrap_or_default();
    let block = stmts.last().and_then(|last| match last {
        Stmt::Expr(Expr::Call(call), None) => match call.args.first() {
            Some(Expr::Async(block)) => Some(&block.block.stmts),
            _ => None,
        },
        _ => None,
    });
    let Some(stmts) = block else { return };
    if let Some(AsyncTraitPrologue { length, .. }) = AsyncTraitPrologue::of(stmts) {
        let patterns = patterns_of(&stmts[..length]).filter(|pat| !matches!(pat, Pat::Ident(_)));
        params.extend(patterns.flat_map(names).map(|name| Param::named(name.ident)));
    }
}

fn rename_self(tokens: TokenStream, own_self: Option<&Ident>) -> TokenStream {
    let Some(own_self) = own_self else { return tokens };
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Ident(ident) if ident == "self" => TokenTree::Ident(own_self.clone()),
            TokenTree::Group(group) => {
                let mut renamed = Group::new(group.delimiter(), rename_self(group.stream(), Some(own_self)));
                renamed.set_span(group.span());
                TokenTree::Group(renamed)
            }
            other => other,
        })
        .collect()
}

/// Whether the expression is a path that ends in these two segments.
fn is_path(expr: &Expr, end: &[&str; 2]) -> bool {
    let Expr::Path(path) = expr else { return false };
    let segments = &path.path.segments;
    segments.len() >= 2 && segments.iter().rev().zip(end.iter().rev()).all(|(segment, name)| segment.ident == name)
}
