//! The calls that put a body into its scope. Where it returns a stream, the scope goes on with that.

use super::observe::{item_observer, observer};
use crate::errors::Errors;
use crate::layer::Layer;
use crate::returns::{self, ReturnedStream, Wrapping};
use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::Type;

// Input:
//     fn f(x: T) -> Result<BoxStream<'static, I>, E> {
//         statements
//     }
//
// Output:
//     fn f(x: T) -> Result<BoxStream<'static, I>, E> {
//         static META: SpanMeta = ..;
//         run_stream(
//             &META,
//             move || -> Result<BoxStream<'static, I>, E> {
//                 open_span(&META);
//                 statements
//             },
//             |returned| { .. },
//             |value, scope| {
//                 Result::map(value, |stream| -> BoxStream<'static, I> {
//                     Box::pin(scope.carry(stream, |returned| { .. }))
//                 })
//             },
//         )
//     }
pub(super) fn run(layer: &Layer, value: Option<&Type>, body: &TokenStream) -> TokenStream {
    call(layer, ["run", "run_stream"], value, body)
}

/// The same for a closure whose span opens with its scope, and which returns no stream.
pub(super) fn run_span(layer: &Layer, value: Option<&Type>, body: &TokenStream) -> TokenStream {
    call(layer, ["run_span", "run_stream"], value, body)
}

/// The same for an async block.
pub(super) fn scoped(layer: &Layer, value: Option<&Type>, body: &TokenStream) -> TokenStream {
    call(layer, ["scoped", "scoped_stream"], value, body)
}

/// The same for an async block whose span opens with its scope.
pub(super) fn scoped_span(layer: &Layer, value: Option<&Type>, body: &TokenStream) -> TokenStream {
    call(layer, ["scoped_span", "scoped_stream"], value, body)
}

/// The call of ours that takes the body, by the name for any value or by that for a stream.
fn call(layer: &Layer, [any, streaming]: [&str; 2], value: Option<&Type>, body: &TokenStream) -> TokenStream {
    let Layer { krate, span, meta_name, .. } = layer;
    let observer = observer(layer, value);
    let wrap = value.and_then(returns::returned_stream).map(|stream| wrap(layer, &stream));
    let name = Ident::new(if wrap.is_some() { streaming } else { any }, *span);
    let wrap = wrap.into_iter();
    quote_spanned!(*span=> #krate::__private::#name(&#meta_name, #body, #observer, #(#wrap)*))
}

/// `|value, scope| ..`: the value, with its stream in the scope.
fn wrap(layer: &Layer, stream: &ReturnedStream) -> TokenStream {
    let Layer { krate, span, .. } = layer;
    let span = *span;
    let observer = item_observer(layer, stream.item.as_ref());
    // What the type says of the items is not known yet in a body that leaves it open.
    let item = stream.item.as_ref().map(returns::erase);
    let items = item.map(|item| quote_spanned!(span=> let stream = #krate::__private::stream_of::<#item, _>(stream);));
    let carried = quote_spanned!(span=> scope.carry(stream, #observer));
    let carried = match stream.wrapping {
        Wrapping::Bare => carried,
        Wrapping::Pinned => quote_spanned!(span=> ::std::boxed::Box::pin(#carried)),
        Wrapping::Boxed => quote_spanned!(span=> ::std::boxed::Box::new(::std::boxed::Box::pin(#carried))),
    };
    let ty = returns::erase(&stream.ty);
    if stream.in_result {
        quote_spanned! {span=>
            |value, scope| ::core::result::Result::map(value, |stream| -> #ty { #items #carried })
        }
    } else {
        quote_spanned!(span=> |stream, scope| -> #ty { #items #carried })
    }
}

/// A stream cannot be captured as an output.
pub(super) fn refuse_output(layer: &Layer, value: Option<&Type>, errors: &mut Errors) {
    if let Some(output) = layer.output
        && value.and_then(returns::returned_stream).is_some()
    {
        errors.at(
            output,
            "a stream is no output: record what it comes to in the body, with \
             `tracium::current_span().record_output(..)`",
        );
    }
}
