//! The names that a function's parameters bind.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, FnArg, Ident, Pat, PatIdent, ReceiverKind, Signature, Type};

/// One name bound by a parameter.
pub(crate) struct Param {
    pub(crate) ident: Ident,
    /// `#[cfg(..)]` of the parameter: whatever names it needs the same.
    pub(crate) cfgs: Vec<Attribute>,
    /// It may have something to drop.
    owned: bool,
    /// `mut name: &T`
    mutable_reference: bool,
}

impl Param {
    /// A name alone: bound, but with nothing to keep.
    pub(crate) fn named(ident: Ident) -> Self {
        Self { ident, cfgs: Vec::new(), owned: false, mutable_reference: false }
    }
}

/// The names bound by the parameters, in their order.
pub(crate) fn params(sig: &Signature) -> Vec<Param> {
    let mut params = Vec::new();
    for input in &sig.inputs {
        let (attrs, names, ty) = match input {
            FnArg::Receiver(receiver) => {
                let owned = match &receiver.kind {
                    ReceiverKind::Value => true,
                    ReceiverKind::Typed(_, ty) => owns(ty),
                    _ => false,
                };
                let ident = Ident::new("self", receiver.self_token.span);
                params.push(Param { ident, cfgs: cfgs(&receiver.attrs), owned, mutable_reference: false });
                continue;
            }
            FnArg::Typed(typed) => (&typed.attrs, names(&typed.pat), &typed.ty),
        };
        for name in names {
            let plain = name.by_ref.is_none();
            let mutable_reference = plain && name.mutability.is_some() && is_reference(ty);
            let owned = plain && owns(ty);
            params.push(Param { ident: name.ident, cfgs: cfgs(attrs), owned, mutable_reference });
        }
    }
    params
}

/// The names bound by a pattern.
pub(crate) fn names(pat: &Pat) -> Vec<PatIdent> {
    struct Names(Vec<PatIdent>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_pat_ident(&mut self, pat: &'ast PatIdent) {
            // Both sides of `A(x) | B(x)` bind the same name.
            if !self.0.iter().any(|known| known.ident == pat.ident) {
                self.0.push(pat.clone());
            }
            visit::visit_pat_ident(self, pat);
        }
    }
    let mut names = Names(Vec::new());
    names.visit_pat(pat);
    names.0
}

/// Leaves to a `move` block what of the arguments has no name: a block takes over what it names and drops that first,
/// and the rest would be dropped late where it was early.
///
/// A `_` gets a name. A pattern with nameless parts moves into the block, with all arguments behind it, as the compiler
/// does with those of an `async fn`; the statements for it are given back. Only names and patterns of the signature
/// change, and only behind an argument that owns something, which is rare.
pub(crate) fn take_in(sig: &mut Signature) -> TokenStream {
    let mut statements = TokenStream::new();
    let mut named_before = false;
    let mut moves = false;
    for (at, input) in sig.inputs.iter_mut().enumerate() {
        let FnArg::Typed(typed) = input else {
            named_before = true;
            continue;
        };
        let owned = owns(&typed.ty);
        moves |= owned && named_before && !matches!(*typed.pat, Pat::Wild(_)) && has_nameless_part(&typed.pat);
        if moves {
            statements.extend(move_in(at, typed));
        } else if let Pat::Wild(wild) = &*typed.pat {
            if owned && named_before {
                let span = Span::mixed_site().located_at(wild.underscore_token.span);
                *typed.pat = named(Ident::new(&format!("_{at}"), span), wild.attrs.clone());
            }
        } else {
            named_before |= owned;
        }
    }
    statements
}

// Input:
//     (a, _): (A, B)
//
// Output:
//     _1: (A, B)
//
//     let _1 = _1;
//     let (a, _) = _1;
fn move_in(at: usize, typed: &mut syn::PatType) -> TokenStream {
    let attrs = cfgs(&typed.attrs);
    let pat = (*typed.pat).clone();
    let ident = match &pat {
        Pat::Ident(PatIdent { ident, by_ref: None, subpat: None, .. }) => ident.clone(),
        other => Ident::new(&format!("_{at}"), Span::mixed_site().located_at(other.span())),
    };
    let span = ident.span();
    *typed.pat = named(ident.clone(), Vec::new());
    let own = match &pat {
        Pat::Ident(PatIdent { by_ref: None, subpat: None, .. }) => None,
        _ => Some(quote_spanned!(span=> #(#attrs)* let #ident = #ident;)),
    };
    quote_spanned! {span=>
        #own
        #(#attrs)*
        #[allow(clippy::used_underscore_binding)]
        let #pat = #ident;
    }
}

fn named(ident: Ident, attrs: Vec<Attribute>) -> Pat {
    Pat::Ident(PatIdent { attrs, by_ref: None, mutability: None, ident, subpat: None })
}

/// Whether the pattern leaves a part of an owned value without a name to own it.
fn has_nameless_part(pat: &Pat) -> bool {
    match pat {
        Pat::Ident(pat) => pat.by_ref.is_some(),
        Pat::Paren(pat) => has_nameless_part(&pat.pat),
        Pat::Slice(pat) => pat.elems.iter().any(has_nameless_part),
        Pat::Struct(pat) => pat.rest.is_some() || pat.fields.iter().any(|field| has_nameless_part(&field.pat)),
        Pat::Tuple(pat) => pat.elems.iter().any(has_nameless_part),
        Pat::TupleStruct(pat) => pat.elems.iter().any(has_nameless_part),
        Pat::Reference(_) => false,
        _ => true,
    }
}

fn cfgs(attrs: &[Attribute]) -> Vec<Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg")).cloned().collect()
}

fn is_reference(ty: &Type) -> bool {
    match ty {
        Type::Group(group) => is_reference(&group.elem),
        Type::Paren(paren) => is_reference(&paren.elem),
        Type::Reference(_) => true,
        _ => false,
    }
}

/// Whether a value of the type may have something to drop, as far as its spelling tells.
fn owns(ty: &Type) -> bool {
    match ty {
        Type::Group(group) => owns(&group.elem),
        Type::Paren(paren) => owns(&paren.elem),
        Type::Reference(_) | Type::Ptr(_) | Type::FnPtr(_) | Type::Never(_) => false,
        other => !is_primitive(other),
    }
}

pub(crate) fn is_primitive(ty: &Type) -> bool {
    const PRIMITIVES: &[&str] = &[
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16", "u32", "u64",
        "u128", "usize",
    ];
    match ty {
        Type::Group(group) => is_primitive(&group.elem),
        Type::Paren(paren) => is_primitive(&paren.elem),
        Type::Path(path) => path.path.get_ident().is_some_and(|ident| PRIMITIVES.iter().any(|name| ident == name)),
        _ => false,
    }
}

/// What a `move` block begins with so that the arguments keep their meaning in it.
///
/// A block drops what it captured in the order in which it first names it, a function drops its arguments last to
/// first: so they are named in that order. A `mut` reference that the body assigns to is made a variable of the
/// block, since the borrow checker forgets old loans on assignment for variables, and not for what was captured.
pub(crate) fn take_over(params: &[Param], body: &TokenStream, span: Span) -> TokenStream {
    let several = params.iter().filter(|param| param.owned).count() > 1;
    let mut tokens = TokenStream::new();
    for Param { ident, cfgs, owned, mutable_reference } in params.iter().rev() {
        // Naming an argument hides from the compiler that the body does not: only done where an order is to be kept.
        if *owned && (several || mentions(body, ident)) {
            tokens.extend(quote_spanned! {span=>
                #(#cfgs)*
                #[allow(clippy::used_underscore_binding)]
                let _ = &#ident;
            });
        }
        if *mutable_reference && assigns(body, ident) {
            tokens.extend(quote_spanned! {span=>
                #(#cfgs)*
                let _ = &mut #ident;
                #(#cfgs)*
                let mut #ident = #ident;
            });
        }
    }
    tokens
}

/// Whether the tokens name `ident` anywhere.
pub(crate) fn mentions(tokens: &TokenStream, ident: &Ident) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(&group.stream(), ident),
        TokenTree::Ident(found) => found == *ident,
        // `"{name}"`
        TokenTree::Literal(literal) => literal.to_token_stream().to_string().contains(&format!("{{{ident}")),
        TokenTree::Punct(_) => false,
    })
}

/// Whether `ident = ..` is somewhere in the tokens. A name that is only shadowed may count too, which does no harm.
fn assigns(tokens: &TokenStream, ident: &Ident) -> bool {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    trees.iter().enumerate().any(|(at, tree)| match tree {
        TokenTree::Group(group) => assigns(&group.stream(), ident),
        TokenTree::Ident(found) if found == ident => {
            let punct = |offset: usize| match trees.get(at + offset) {
                Some(TokenTree::Punct(punct)) => Some(punct.as_char()),
                _ => None,
            };
            punct(1) == Some('=') && !matches!(punct(2), Some('=' | '>'))
                // In a destructuring assignment: `(x, y) = (y, x)`.
                || matches!(punct(1), None | Some(','))
        }
        _ => false,
    })
}
