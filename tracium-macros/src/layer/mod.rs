//! What an attribute adds to a function, whatever the function's shape.

mod capture;
mod settings;
mod span;
mod tenant;

use crate::args::{Kind, Options};
use crate::errors::Errors;
use crate::function::Function;
use crate::params::{Param, mentions};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt;
use syn::{Ident, LitStr, Path, Type};

pub(crate) struct Layer {
    pub(crate) krate: TokenStream,
    /// Where what we generate is said to come from: hygienic, at the function's name.
    pub(crate) span: Span,
    /// `static META: .. = ..;`
    pub(crate) meta: TokenStream,
    /// The name of that static.
    pub(crate) meta_name: Ident,
    /// What a `move` block takes arguments in with, before the opening.
    pub(crate) taking_in: TokenStream,
    /// The first statements in the scope.
    pub(crate) opening: TokenStream,
    /// They only open a span of which all is known while compiling.
    pub(crate) is_plain: bool,
    /// `let handle = ..;`
    pub(crate) binding: Option<Binding>,
    /// The same opening in two halves, where it uses arguments.
    pub(crate) halves: Option<Halves>,
    /// Whether the outcome is observed.
    pub(crate) watched: bool,
    /// `output`, where it was asked for.
    pub(crate) output: Option<Span>,
    /// The expressions of the options, as far as they may name arguments.
    pub(crate) expressions: TokenStream,
}

/// The handle of `bind = ..`.
pub(crate) struct Binding {
    pub(crate) handle: Ident,
    pub(crate) statement: TokenStream,
}

pub(crate) struct Halves {
    /// Goes where the arguments are.
    pub(crate) early: TokenStream,
    /// Goes into the scope.
    pub(crate) late: TokenStream,
}

/// The function under an attribute.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) function: &'a Function,
    pub(crate) params: &'a [Param],
    /// The type that a call comes to, once awaited.
    pub(crate) value: Option<&'a Type>,
}

/// The path of the crate, `::tracium` unless `crate = path` says another.
pub(crate) fn krate(path: Option<&Path>, span: Span) -> TokenStream {
    path.map_or_else(|| quote_spanned!(span=> ::tracium), ToTokens::to_token_stream)
}

/// Our name for what stands at `token`: variables of ours and the user's never meet.
pub(crate) fn at(token: Span) -> Span {
    Span::mixed_site().located_at(token)
}

/// The tokens as if they stood at `place`: an error about a call covers all of its path.
fn moved_to(place: Span, tokens: &TokenStream) -> TokenStream {
    let moved = tokens.clone().into_iter().map(|mut token| {
        token.set_span(token.span().located_at(place));
        token
    });
    moved.collect()
}

/// Where the function stands, by which the runtime knows two attributes of one function as such.
fn place(krate: &TokenStream, span: Span, function: &LitStr) -> TokenStream {
    let start = function.span().start();
    let (line, column) = (bounded(start.line), bounded(start.column));
    quote_spanned! {span=>
        #krate::__private::Place::new(::core::module_path!(), #function, #line, #column)
    }
}

fn bounded(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Layer {
    /// The path of the crate for a call that is made because of `place`.
    pub(crate) fn krate_at(&self, place: Span) -> TokenStream {
        moved_to(place, &self.krate)
    }

    pub(crate) fn new(kind: Kind, options: &Options, target: Target<'_>, errors: &mut Errors) -> Self {
        let ident = &target.function.sig.ident;
        let span = at(ident.span());
        let name = LitStr::new(&ident.unraw().to_string(), ident.span());
        let mut layer = Self {
            krate: krate(options.krate.as_ref(), span),
            span,
            meta: TokenStream::new(),
            meta_name: unused_name(target.function, span),
            taking_in: TokenStream::new(),
            opening: TokenStream::new(),
            is_plain: false,
            binding: None,
            halves: None,
            watched: kind != Kind::Tenant,
            output: options.output,
            expressions: TokenStream::new(),
        };
        settings::refuse_await(options, errors);
        match kind {
            Kind::Trace => layer.open_trace(options, target.params, &name),
            Kind::Tenant => layer.bind_tenant(options, target, &name, errors),
            _ => layer.open_span(kind, options, target.params, &name),
        }
        layer.capture(options, target, errors);
        if let Some(handle) = &options.bind {
            let Self { krate, span, .. } = &layer;
            let current = if kind == Kind::Trace { "current_trace" } else { "current_span" };
            let current = Ident::new(current, *span);
            let statement = quote_spanned!(*span=> let #handle = #krate::#current(););
            layer.binding = Some(Binding { handle: handle.clone(), statement });
        }
        layer
    }

    /// `let handle = ..;`, or nothing.
    pub(crate) fn binding(&self) -> Option<&TokenStream> {
        self.binding.as_ref().map(|binding| &binding.statement)
    }
}

/// A name for the static. Items have no hygiene: where attributes are stacked, each needs a name of its own.
fn unused_name(function: &Function, span: Span) -> Ident {
    let taken = |name: &Ident| function.body.as_ref().is_some_and(|body| mentions(&body.tokens, name));
    let mut name = Ident::new("__TRACIUM_META", span);
    let mut layers = 1;
    while taken(&name) {
        layers += 1;
        name = Ident::new(&format!("__TRACIUM_META_{layers}"), span);
    }
    name
}
