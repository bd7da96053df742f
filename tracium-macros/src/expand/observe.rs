//! What is told of a call when it is over.

use crate::layer::{Layer, at};
use crate::returns;
use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::Type;

/// Whether the value of a call is looked at: for its outcome, or as the output.
pub(super) fn observes(layer: &Layer, value: Option<&Type>) -> bool {
    watches(layer, value) || (layer.output.is_some() && value.is_some())
}

fn watches(layer: &Layer, value: Option<&Type>) -> bool {
    layer.watched && returns::may_be_result(value)
}

// Output:
//     |returned| {
//         use ..::{OfError as _, ..};
//         outcome((&&&&&&Returned(returned)).failure());
//         if let Some(output) = (&&Returned(returned)).output() {
//             capture_output(output);
//         }
//     }
//
// The number of `&` is the number of ways to tell an outcome: method lookup takes the first that the type allows.
pub(super) fn observer(layer: &Layer, value: Option<&Type>) -> TokenStream {
    let Layer { krate, span, .. } = layer;
    if !observes(layer, value) {
        return quote_spanned!(*span=> |_| {});
    }
    let outcome = watches(layer, value).then(|| {
        let failure = failure(layer);
        quote_spanned!(*span=> #krate::__private::outcome({ #failure });)
    });
    let output = layer.output.map(|output| {
        let here = at(output);
        let krate_here = layer.krate_at(here);
        let capture = quote_spanned!(here=> #krate_here::__private::capture_output(output));
        quote_spanned! {*span=>
            #[allow(unused_imports)]
            use #krate::__private::{OutputOfAny as _, OutputOfResult as _};
            if let ::core::option::Option::Some(output) = (&&#krate::__private::Returned(returned)).output() {
                #capture;
            }
        }
    });
    quote_spanned!(*span=> |returned| { #outcome #output })
}

/// What a stream's items are shown to: one that is an `Err` is a failure, if it is the last.
pub(super) fn item_observer(layer: &Layer, item: Option<&Type>) -> TokenStream {
    let span = layer.span;
    // A type that cannot be read may be anything.
    if layer.watched && item.is_none_or(|item| returns::may_be_result(Some(item))) {
        let failure = failure(layer);
        quote_spanned!(span=> |returned| { #failure })
    } else {
        quote_spanned!(span=> |_| ::core::option::Option::None)
    }
}

fn failure(layer: &Layer) -> TokenStream {
    let Layer { krate, span, .. } = layer;
    quote_spanned! {*span=>
        #[allow(unused_imports)]
        use #krate::__private::{
            OfAny as _, OfDebug as _, OfDeref as _, OfDisplay as _, OfError as _, OfResult as _,
        };
        (&&&&&&#krate::__private::Returned(returned)).failure()
    }
}
