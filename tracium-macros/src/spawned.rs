//! Work that a body spawns keeps the context by itself: what the known calls are given is wrapped.
//!
//! | spelled | what is wrapped |
//! |---|---|
//! | `tokio::spawn`, `tokio::task::spawn`, `tokio::task::spawn_local` | the future |
//! | `tokio::task::spawn_blocking`, `std::thread::spawn`, `rayon::spawn` | the closure |
//! | `.spawn`, `.spawn_local`, `.spawn_blocking` on a local or argument declared as a `JoinSet` | the future or closure |
//! | `rayon::join` | both closures; meanwhile the thread itself runs under no scope |
//! | `rayon::scope`, and `.spawn` on what its closure is given | the closure, where it is written there; the same |
//!
//! A path counts when it is written out as here, with or without `::` before it. Calls inside `join!`, `try_join!`,
//! `select!` and `vec!` count too. Nested items and other macros are left alone, and so is what is run once for many:
//! arguments of `get_or_init`, `get_or_try_init`, `call_once`, `call_once_force`, `LazyLock::new`, `LazyCell::new`.
//!
//! All of it is done on tokens, as a body may be more than `syn` knows.

mod paths;
mod wrap;

use crate::function::Function;
use crate::layer::Layer;
use paths::{Call, after_turbofish, begins_path, join_set_declared, known_call, last_macro};
use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::{FnArg, Pat, Signature, Type};
use wrap::Wrapper;

/// Wraps what `function`'s body spawns; `named` where the attribute says what the path of the crate is.
pub(crate) fn carry(function: &mut Function, layer: &Layer, named: bool) {
    let Some(body) = &function.body else { return };
    if !may_spawn(&body.tokens) {
        return;
    }
    let wrapper = Wrapper { krate: layer.krate.clone(), named };
    let mut carrier = Carrier { wrapper, names: join_sets(&function.sig) };
    let tokens = carrier.tokens(body.tokens.clone());
    if let Some(body) = &mut function.body {
        body.tokens = tokens;
    }
}

/// Whether any of the names is there at all, which most bodies have not.
fn may_spawn(tokens: &TokenStream) -> bool {
    const NAMES: &[&str] = &["spawn", "spawn_blocking", "spawn_local", "join", "scope"];
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Group(group) => may_spawn(&group.stream()),
        TokenTree::Ident(ident) => NAMES.iter().any(|name| ident == name),
        TokenTree::Literal(_) | TokenTree::Punct(_) => false,
    })
}

/// The arguments that are declared as a `JoinSet`.
fn join_sets(sig: &Signature) -> Vec<Name> {
    let typed = sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    let named = typed.filter_map(|typed| match &*typed.pat {
        Pat::Ident(pat) if is_join_set(&typed.ty) => Some(Name { ident: pat.ident.clone(), of: Spawner::JoinSet }),
        _ => None,
    });
    named.collect()
}

fn is_join_set(ty: &Type) -> bool {
    match ty {
        Type::Group(group) => is_join_set(&group.elem),
        Type::Paren(paren) => is_join_set(&paren.elem),
        Type::Reference(reference) => is_join_set(&reference.elem),
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "JoinSet"),
        _ => false,
    }
}

/// What has a `.spawn` that is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spawner {
    JoinSet,
    RayonScope,
}

#[derive(Clone)]
struct Name {
    ident: Ident,
    of: Spawner,
}

struct Carrier {
    wrapper: Wrapper,
    /// The names in sight whose `.spawn` is known.
    names: Vec<Name>,
}

impl Carrier {
    fn tokens(&mut self, tokens: TokenStream) -> TokenStream {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut done = TokenStream::new();
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            let length = match tree {
                TokenTree::Ident(ident) => self.at_ident(ident, &trees, at, &mut done),
                TokenTree::Group(group) => {
                    done.extend([TokenTree::Group(self.group(group))]);
                    1
                }
                other => {
                    done.extend([other.clone()]);
                    1
                }
            };
            at += length;
        }
        done
    }

    /// The same group with what is in it rewritten; names end with the block they are in.
    fn group(&mut self, group: &Group) -> Group {
        let names = self.names.clone();
        let rewritten = self.tokens(group.stream());
        if group.delimiter() == Delimiter::Brace {
            self.names = names;
        }
        with_content(group, rewritten)
    }

    /// Writes what begins at the identifier; gives how many tokens that was.
    fn at_ident(&mut self, ident: &Ident, trees: &[TokenTree], at: usize, done: &mut TokenStream) -> usize {
        if let Some(length) = paths::item(&trees[at..]).or_else(|| paths::run_once(&trees[at..])) {
            done.extend(trees[at..at + length].iter().cloned());
            return length;
        }
        if ident == "let" {
            self.declare(&trees[at + 1..]);
        } else if let Some(length) = last_macro(&trees[at..]) {
            // The group of a macro that is not entered.
            done.extend(trees[at..at + length].iter().cloned());
            return length;
        } else if begins_path(trees, at)
            && let Some((call, length)) = known_call(&trees[at..])
        {
            return self.call(call, &trees[at..], length, done);
        } else if let Some((call, length)) = self.method(trees, at) {
            return self.call(call, &trees[at..], length, done);
        }
        done.extend([TokenTree::Ident(ident.clone())]);
        1
    }

    /// Writes a call whose arguments are behind `callee` tokens.
    fn call(&mut self, call: Call, trees: &[TokenTree], callee: usize, done: &mut TokenStream) -> usize {
        let (path, rest) = trees.split_at(callee);
        let path: TokenStream = path.iter().cloned().collect();
        if let Some(TokenTree::Group(arguments)) = rest.first() {
            let names = self.names.clone();
            if matches!(call, Call::RayonScope | Call::RayonScopeSpawn)
                && let Some(ident) = wrap::only_parameter(arguments)
            {
                self.names.push(Name { ident, of: Spawner::RayonScope });
            }
            let rewritten = with_content(arguments, self.tokens(arguments.stream()));
            self.names = names;
            done.extend(self.wrapper.call(call, &path, arguments, &rewritten));
        }
        callee + 1
    }

    /// `name.spawn(..)` at `spawn`.
    fn method(&self, trees: &[TokenTree], at: usize) -> Option<(Call, usize)> {
        let TokenTree::Ident(method) = &trees[at] else { return None };
        let [before @ .., TokenTree::Ident(receiver), TokenTree::Punct(dot)] = &trees[..at] else { return None };
        let part_of_more =
            matches!(before.last(), Some(TokenTree::Punct(punct)) if matches!(punct.as_char(), '.' | ':'));
        if dot.as_char() != '.' || part_of_more {
            return None;
        }
        let name = self.names.iter().rev().find(|name| name.ident == *receiver)?;
        let call = match (name.of, method.to_string().as_str()) {
            (Spawner::JoinSet, "spawn" | "spawn_local") => Call::Future,
            (Spawner::JoinSet, "spawn_blocking") => Call::Closure,
            (Spawner::RayonScope, "spawn") => Call::RayonScopeSpawn,
            _ => return None,
        };
        let length = 1 + after_turbofish(&trees[at + 1..])?;
        Some((call, length))
    }

    /// Takes note of `let mut set = JoinSet::new()`, and of a name that hides such a one.
    fn declare(&mut self, rest: &[TokenTree]) {
        let rest = match rest {
            [TokenTree::Ident(mutable), rest @ ..] if mutable == "mut" => rest,
            rest => rest,
        };
        let [TokenTree::Ident(ident), rest @ ..] = rest else { return };
        self.names.retain(|name| name.ident != *ident);
        if join_set_declared(rest) {
            self.names.push(Name { ident: ident.clone(), of: Spawner::JoinSet });
        }
    }
}

fn with_content(group: &Group, content: TokenStream) -> Group {
    let mut changed = Group::new(group.delimiter(), content);
    changed.set_span(group.span());
    changed
}
