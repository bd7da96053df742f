//! Functions that are neither async nor return a future.

use super::observe::observes;
use super::stream;
use crate::function::Function;
use crate::layer::Layer;
use crate::params::{Param, take_over};
use crate::returns;
use proc_macro2::TokenStream;
use quote::quote_spanned;

/// Whether the body stays where it is, since its value is not looked at.
pub(super) fn stays_in_place(layer: &Layer, function: &Function) -> bool {
    let output = &function.sig.output;
    // A closure would be the caller that `#[track_caller]` reports.
    let tracked = function.has_attribute("track_caller") && layer.output.is_none();
    let value = returns::declared(output);
    let observed = observes(layer, value) || value.and_then(returns::returned_stream).is_some();
    tracked || returns::is_never(output) || !observed
}

// Input:
//     fn f(x: &T) {
//         const LIMIT: usize = 10;
//         statements
//     }
//
// Output:
//     fn f(x: &T) {
//         const LIMIT: usize = 10;
//         let _guard = {
//             static META: SpanMeta = ..;
//             let guard = enter(&META);
//             open_span_with(&META, |options| ..);
//             guard
//         };
//         statements
//     }
pub(super) fn guarded(layer: &Layer, function: &Function) -> Option<TokenStream> {
    let Layer { krate, span, meta, meta_name, opening, .. } = layer;
    let binding = layer.binding();
    let (items, statements) = function.body.as_ref()?.split_leading_items();
    let enter = if layer.is_plain {
        // In one step, since most spans are like this and it is most of what they cost.
        quote_spanned!(*span=> #krate::__private::enter_span(&#meta_name))
    } else {
        quote_spanned! {*span=>
            let guard = #krate::__private::enter(&#meta_name);
            #opening
            guard
        }
    };
    Some(quote_spanned! {*span=>
        #items
        let _guard = {
            #meta
            #enter
        };
        #binding
        #statements
    })
}

// Input:
//     fn f(x: T, y: U) -> Result<V, E> {
//         statements
//     }
//
// Output:
//     fn f(x: T, y: U) -> Result<V, E> {
//         static META: SpanMeta = ..;
//         run(
//             &META,
//             move || -> Result<V, E> {
//                 let _ = &y;
//                 let _ = &x;
//                 open_span(&META);
//                 statements
//             },
//             |returned| { .. },
//         )
//     }
//
// The closure goes straight to where an `FnOnce` is asked for: only then may it give back what it borrowed mutably.
pub(super) fn run(layer: &Layer, function: &Function, params: &[Param]) -> Option<TokenStream> {
    let Layer { span, meta, taking_in, opening, .. } = layer;
    let binding = layer.binding();
    let declared = returns::declared(&function.sig.output)?;
    let value = returns::erase(declared);
    let body = &function.body.as_ref()?.tokens;
    let take_over = take_over(params, body, *span);
    // A plain span is opened with its scope: most spans are like this, and it is most of what they cost.
    let plain = layer.is_plain && returns::returned_stream(declared).is_none();
    let opening = (!plain).then_some(opening);
    let closure = quote_spanned! {*span=>
        move || -> #value {
            #take_over
            #taking_in
            #opening
            #binding
            #body
        }
    };
    let run = if plain {
        stream::run_span(layer, Some(declared), &closure)
    } else {
        stream::run(layer, Some(declared), &closure)
    };
    Some(quote_spanned!(*span=> #meta #run))
}
