//! From an attribute and its item to the instrumented item.

mod asynchronous;
mod observe;
mod order;
mod returned;
mod stream;
mod sync;

use crate::args::{Kind, Options};
use crate::errors::Errors;
use crate::function::Function;
use crate::impl_block;
use crate::item::{Item, classify};
use crate::layer::{Layer, Target};
use crate::params::{Param, params, take_in};
use crate::returns::{self, ReturnedFuture};
use crate::spawned;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;

/// Expands `trace`, `span` with its shorthands, and `tenant_scope`.
pub(crate) fn expand(kind: Kind, args: &TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(kind, args.clone(), &mut errors);
    let expanded = match classify(item) {
        Item::Function(function) => instrument(kind, &options, args, *function, &mut errors),
        Item::Impl => impl_block::mark(kind, &options, args, item, &mut errors),
        Item::Unreadable(error) => {
            errors.push(error);
            None
        }
        Item::Other(span, what) => {
            let name = kind.name();
            errors.at(span, format!("`{name}` goes on a function with a body or on an `impl` block, not on {what}"));
            None
        }
    };
    match expanded {
        Some(expanded) if errors.is_empty() => expanded,
        _ => errors.beside(item),
    }
}

fn instrument(
    kind: Kind,
    options: &Options,
    args: &TokenStream,
    mut function: Function,
    errors: &mut Errors,
) -> Option<TokenStream> {
    let name = kind.name();
    if let Some(constness) = &function.sig.constness {
        errors.at(constness.span, format!("a `const fn` has no calls to observe: remove `const` or `{name}`"));
    }
    if let Some(semi) = &function.semi {
        errors.at(
            semi.span,
            format!("`{name}` needs a body: put it on the methods of the implementations, or give a default body"),
        );
    }
    if let (Kind::Tenant, true) = (kind, errors.is_empty())
        && let Some(moved) = order::below_traces(options, args, &function)
    {
        return Some(moved);
    }
    let shape = Shape::of(&function);
    let params = shape.params(&function);
    let target = Target { function: &function, params: &params, value: shape.value() };
    let mut layer = Layer::new(kind, options, target, errors);
    stream::refuse_output(&layer, shape.value(), errors);
    if !errors.is_empty() {
        return None;
    }
    if options.propagate == Some(false) {
        order::leave_spawned_alone(&mut function);
    } else if !order::spawned_is_left_alone(&function) {
        spawned::carry(&mut function, &layer, options.krate.is_some());
    }
    let in_place = matches!(shape, Shape::Sync(_)) && sync::stays_in_place(&layer, &function);
    if !in_place && !matches!(shape, Shape::Returned(..)) {
        layer.taking_in = take_in(&mut function.sig);
    }
    let params = shape.params(&function);
    let body = match &shape {
        Shape::Async(_) => asynchronous::body(&layer, &function, &params),
        Shape::Returned(future, ty) => returned::body(&layer, &function, &params, future, ty, errors),
        Shape::Sync(_) if in_place => sync::guarded(&layer, &function),
        Shape::Sync(_) => sync::run(&layer, &function, &params),
    };
    // To clippy, an `async fn` may return a future, and the block that we make of it may not.
    let allow = match &shape {
        Shape::Async(Some(value)) if returns::may_be_future(value) => {
            Some(quote_spanned!(layer.span=> #[allow(clippy::async_yields_async)]))
        }
        _ => None,
    };
    let function = function.with_body(&body?);
    Some(quote!(#allow #function))
}

/// What kind of function it is.
#[allow(clippy::large_enum_variant)] // One at a time, on the stack.
enum Shape {
    Sync(Option<Type>),
    Async(Option<Type>),
    /// A plain function whose value is a future; the work happens when that is polled.
    Returned(ReturnedFuture, Type),
}

impl Shape {
    fn of(function: &Function) -> Self {
        let declared = returns::declared(&function.sig.output);
        if function.sig.asyncness.is_some() {
            return Self::Async(declared.cloned());
        }
        match declared.and_then(|ty| Some((returns::returned_future(ty)?, ty.clone()))) {
            Some((future, ty)) => Self::Returned(future, ty),
            None => Self::Sync(declared.cloned()),
        }
    }

    /// The type that a call comes to, once awaited.
    fn value(&self) -> Option<&Type> {
        match self {
            Self::Sync(value) | Self::Async(value) => value.as_ref(),
            // An output that cannot be read may be anything.
            Self::Returned(future, ty) => Some(future.output.as_ref().unwrap_or(ty)),
        }
    }

    /// The names that the options may use.
    fn params(&self, function: &Function) -> Vec<Param> {
        let mut params = params(&function.sig);
        if matches!(self, Self::Returned(..)) {
            returned::add_patterns_of_async_trait(function, &mut params);
        }
        params
    }
}

/// Makes the type of a block's value known before the body, as a function's return type is: what the body returns is
/// then coerced to it, and a mismatch is reported where it would be in a function.
fn return_edge(layer: &Layer, value: Option<&Type>) -> TokenStream {
    let span = layer.span;
    let Some(value) = value else {
        return quote_spanned!(span=> if false { return; });
    };
    let value = returns::erase(value);
    if returns::is_inferred(&value) {
        return TokenStream::new();
    }
    quote_spanned! {span=>
        #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value)]
        if false {
            let returned: #value = loop {};
            return returned;
        }
    }
}
