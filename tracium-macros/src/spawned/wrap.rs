//! What the arguments of a known call become.

use super::paths::Call;
use super::with_content;
use crate::layer::at;
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Expr, Token};

/// By this name, an attribute knows what another one on the same function has wrapped already.
const CARRIED: &str = "__tracium_carried";
const CARRY: &str = "carry_to_spawn";

pub(super) struct Wrapper {
    pub(super) krate: TokenStream,
    /// The path is the user's.
    pub(super) named: bool,
}

impl Wrapper {
    /// The call of `path`, of which `rewritten` are the `arguments` after what is nested in them was wrapped.
    pub(super) fn call(&self, call: Call, path: &TokenStream, arguments: &Group, rewritten: &Group) -> TokenStream {
        let done = arguments.stream().into_iter().any(|tree| is_carried(&tree));
        let wrapped = if done { None } else { self.wrapped(call, path, rewritten) };
        wrapped.unwrap_or_else(|| {
            let arguments = if done { arguments } else { rewritten };
            quote!(#path #arguments)
        })
    }

    fn wrapped(&self, call: Call, path: &TokenStream, arguments: &Group) -> Option<TokenStream> {
        let with = |argument: TokenStream| {
            let arguments = with_content(arguments, argument);
            quote!(#path #arguments)
        };
        match call {
            Call::Future => Some(with(self.carried("future_to_spawn", &only(arguments)?))),
            Call::Closure => Some(with(self.carried("closure_to_spawn", &only(arguments)?))),
            Call::RayonJoin => self.join(path, arguments),
            Call::RayonScope => self.scope(path, arguments),
            Call::RayonScopeSpawn => {
                let span = at(arguments.span());
                let closure = Closure::of(&only(arguments)?)?;
                let entered = closure.under(&Ident::new(CARRIED, span));
                let krate = &self.krate;
                let carried = Ident::new(CARRIED, span);
                Some(with(quote_spanned!(span=> { let #carried = #krate::__private::spawning(); #entered })))
            }
        }
    }

    // Input:
    //     tokio::spawn(argument)
    //
    // Output:
    //     tokio::spawn(carry_to_spawn(argument, |work| future_to_spawn(&work).carrier().carry(work)))
    //
    // What `carrier` gives depends on the argument's type: what is no future is carried as it is. The call of ours
    // stands where the argument did, as far as the compiler knows: an error about it is then reported there.
    fn carried(&self, probe: &str, argument: &TokenStream) -> TokenStream {
        let (first, last) = ends(argument);
        let span = at(first);
        let krate = &self.krate;
        let probe = Ident::new(probe, span);
        let carry = quote_spanned!(span=> |work| #krate::__private::#probe(&work).carrier().carry(work));
        let krate = self.krate_as_written_at(first);
        let name = Ident::new(CARRY, first);
        let mut given = Group::new(Delimiter::Parenthesis, quote!(#argument, #carry));
        given.set_span(last);
        quote_spanned!(first=> #krate::__private::#name #given)
    }

    fn krate_as_written_at(&self, place: Span) -> TokenStream {
        let moved = self.krate.clone().into_iter().map(|mut token| {
            token.set_span(if self.named { token.span().located_at(place) } else { place });
            token
        });
        moved.collect()
    }

    // Output:
    //     match (carried(left), carried(right)) {
    //         (left, right) => {
    //             let _unscoped = unscoped();
    //             rayon::join(left, right)
    //         }
    //     }
    //
    // A thread that waits for `join` runs the work of others meanwhile.
    fn join(&self, path: &TokenStream, arguments: &Group) -> Option<TokenStream> {
        let both: Vec<Expr> = parse(arguments)?;
        let [left, right] = both.as_slice() else { return None };
        let span = at(arguments.span());
        let krate = &self.krate;
        let [left, right] = [left, right].map(|side| self.carried("closure_to_spawn", &side.to_token_stream()));
        let call = with_content(arguments, quote_spanned!(span=> __tracium_carried, right));
        Some(quote_spanned! {span=>
            match (#left, #right) {
                (__tracium_carried, right) => {
                    let _unscoped = #krate::__private::unscoped();
                    #path #call
                }
            }
        })
    }

    // Output:
    //     match spawning() {
    //         __tracium_carried => {
    //             let _unscoped = unscoped();
    //             rayon::scope(|scope| {
    //                 let _entered = __tracium_carried.enter();
    //                 body
    //             })
    //         }
    //     }
    fn scope(&self, path: &TokenStream, arguments: &Group) -> Option<TokenStream> {
        let span = at(arguments.span());
        let krate = &self.krate;
        let argument = only(arguments)?;
        let carried = Ident::new(CARRIED, span);
        let (taken, given) = match Closure::of(&argument) {
            Some(closure) => (quote_spanned!(span=> #krate::__private::spawning()), closure.under(&carried)),
            None => (argument, carried.to_token_stream()),
        };
        let call = with_content(arguments, given);
        Some(quote_spanned! {span=>
            match (#taken) {
                #carried => {
                    let _unscoped = #krate::__private::unscoped();
                    #path #call
                }
            }
        })
    }
}

/// A closure as it is written: `move |parameters| -> R { body }`.
struct Closure {
    /// Through the second `|`, or through the return type.
    head: TokenStream,
    parameters: Vec<TokenTree>,
    body: TokenStream,
    /// The braces of the body.
    block: Option<Group>,
}

impl Closure {
    fn of(argument: &TokenStream) -> Option<Self> {
        let trees: Vec<TokenTree> = argument.clone().into_iter().collect();
        let bar = |tree: &TokenTree| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == '|');
        let first = trees.iter().position(bar)?;
        let before = &trees[..first];
        if !before.iter().all(|tree| matches!(tree, TokenTree::Ident(ident) if ident == "move")) {
            return None;
        }
        let second = first + 1 + trees[first + 1..].iter().position(bar)?;
        let returns = matches!(trees.get(second + 1), Some(TokenTree::Punct(punct)) if punct.as_char() == '-');
        let end = if returns { trees.len() - 1 } else { second + 1 };
        let (head, body) = trees.split_at(end);
        let block = match body {
            [TokenTree::Group(group)] if group.delimiter() == Delimiter::Brace => Some(group.clone()),
            _ => None,
        };
        Some(Self {
            head: head.iter().cloned().collect(),
            parameters: trees[first + 1..second].to_vec(),
            body: body.iter().cloned().collect(),
            block,
        })
    }

    /// The closure with its body in `context`, which it takes over.
    fn under(&self, context: &Ident) -> TokenStream {
        let Self { head, body, block, .. } = self;
        let span = context.span();
        let enter = quote_spanned!(span=> let _entered = #context.enter(););
        let block = match block {
            Some(block) => {
                let body = block.stream();
                with_content(block, quote!(#enter #body))
            }
            None => Group::new(Delimiter::Brace, quote!(#enter #body)),
        };
        quote!(#head #block)
    }
}

/// The one parameter of the closure that a call is given.
pub(super) fn only_parameter(arguments: &Group) -> Option<Ident> {
    match Closure::of(&arguments.stream())?.parameters.first()? {
        TokenTree::Ident(ident) => Some(ident.clone()),
        _ => None,
    }
}

/// The one argument of a call.
fn only(arguments: &Group) -> Option<TokenStream> {
    let mut trees: Vec<TokenTree> = arguments.stream().into_iter().collect();
    let is_comma = |tree: &TokenTree| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == ',');
    if trees.last().is_some_and(is_comma) {
        trees.pop();
    }
    // A comma may be one of `|a, b|` or `f::<A, B>()`.
    if trees.is_empty() || (trees.iter().any(is_comma) && parse(arguments)?.len() != 1) {
        return None;
    }
    Some(trees.into_iter().collect())
}

fn parse(arguments: &Group) -> Option<Vec<Expr>> {
    let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
    Some(parser.parse2(arguments.stream()).ok()?.into_iter().collect())
}

fn is_carried(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Ident(ident) => ident == CARRIED || ident == CARRY,
        // What is done with a closure's context stands in the first statement.
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
            group.stream().into_iter().take(4).any(|tree| matches!(tree, TokenTree::Ident(ident) if ident == CARRIED))
        }
        _ => false,
    }
}

/// Where the tokens begin, and where they end.
fn ends(tokens: &TokenStream) -> (Span, Span) {
    let mut spans = tokens.clone().into_iter().map(|token| token.span());
    let first = spans.next().unwrap_or_else(Span::call_site);
    (first, spans.last().unwrap_or(first))
}
