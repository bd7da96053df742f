//! `async fn`

use super::{return_edge, stream};
use crate::function::Function;
use crate::layer::Layer;
use crate::params::{Param, take_over};
use crate::returns;
use proc_macro2::TokenStream;
use quote::quote_spanned;

// Input:
//     async fn f(x: T, y: U) -> R {
//         statements
//     }
//
// Output:
//     async fn f(x: T, y: U) -> R {
//         static META: SpanMeta = ..;
//         scoped(
//             &META,
//             async move {
//                 let _ = &y;
//                 let _ = &x;
//                 if false {
//                     let returned: R = loop {};
//                     return returned;
//                 }
//                 open_span(&META);
//                 statements
//             },
//             |returned| { .. },
//         )
//         .await
//     }
//
// One async block: a second one would double the size of the future.
pub(super) fn body(layer: &Layer, function: &Function, params: &[Param]) -> Option<TokenStream> {
    let Layer { krate, span, meta, meta_name, taking_in, opening, .. } = layer;
    let binding = layer.binding();
    let body = &function.body.as_ref()?.tokens;
    let take_over = take_over(params, body, *span);
    if returns::is_never(&function.sig.output) {
        // `!` cannot be written in a body, nor inferred for a block; another type without values can.
        let never = syn::parse_quote_spanned!(*span=> ::core::convert::Infallible);
        let edge = return_edge(layer, Some(&never));
        return Some(quote_spanned! {*span=>
            #meta
            match #krate::__private::scoped(
                &#meta_name,
                async move {
                    #take_over
                    #edge
                    #taking_in
                    #opening
                    #binding
                    #body
                },
                |_| {},
            )
            .await
            {
            }
        });
    }
    let value = returns::declared(&function.sig.output);
    let edge = return_edge(layer, value);
    // A plain span is opened with its scope: most spans are like this, and it is most of what they cost.
    let plain = layer.is_plain && value.and_then(returns::returned_stream).is_none();
    let opening = (!plain).then_some(opening);
    let block = quote_spanned! {*span=>
        async move {
            #take_over
            #edge
            #taking_in
            #opening
            #binding
            #body
        }
    };
    let scoped = if plain { stream::scoped_span(layer, value, &block) } else { stream::scoped(layer, value, &block) };
    Some(quote_spanned!(*span=> #meta #scoped.await))
}
