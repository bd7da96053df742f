//! `capture(..)` and `input = ..`

use super::{Halves, Layer, Target, at};
use crate::args::{Capture, Options};
use crate::borrow::Borrows;
use crate::errors::Errors;
use crate::nearest::nearest;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Ident, LitStr};

impl Layer {
    // Input:
    //     capture(question, ?limit)
    //
    // Output:
    //     capture_input(|input| {
    //         input.value("question", &question);
    //         input.debug("limit", &limit);
    //     });
    pub(super) fn capture(&mut self, options: &Options, target: Target<'_>, errors: &mut Errors) {
        let Self { krate, span, opening, is_plain, halves, expressions, .. } = self;
        let mut recorded = TokenStream::new();
        for Capture { name, debug } in &options.capture {
            let Some(param) = target.params.iter().find(|param| param.ident == *name) else {
                errors.at(name.span(), no_argument(name, target));
                continue;
            };
            // The parameter's hygiene, since it may come from a macro; the attribute's place, since it is what is wrong
            // when the type cannot be captured.
            let argument = Ident::new(&name.to_string(), param.ident.span().located_at(name.span()));
            let key = LitStr::new(&name.unraw().to_string(), name.span());
            let here = at(name.span());
            let method = Ident::new(if *debug { "debug" } else { "value" }, here);
            let cfgs = &param.cfgs;
            recorded.extend(quote_spanned!(here=> #(#cfgs)* __tracium_input.#method(#key, &#argument);));
            expressions.extend(argument.to_token_stream());
        }
        if let Some(input) = &options.input {
            let here = at(input.span());
            let mut borrows = Borrows::default();
            let borrowed = borrows.of(input, target.params);
            let references = borrows.references;
            recorded.extend(quote_spanned!(here=> #references __tracium_input.whole(&#borrowed);));
            expressions.extend(input.to_token_stream());
        }
        if !recorded.is_empty() {
            *is_plain = false;
            let collect = quote_spanned!(*span=> |__tracium_input| { #recorded });
            let (early, late) =
                halves.take().map_or((None, opening.clone()), |Halves { early, late }| (Some(early), late));
            *halves = Some(Halves {
                early: quote_spanned!(*span=> #early let input = #krate::__private::prepare_input(#collect);),
                late: quote_spanned!(*span=> #late #krate::__private::capture_prepared_input(input);),
            });
            opening.extend(quote_spanned!(*span=> #krate::__private::capture_input(#collect);));
        }
    }
}

fn no_argument(name: &Ident, target: Target<'_>) -> String {
    let known: Vec<String> = target.params.iter().map(|param| param.ident.to_string()).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let function = &target.function.sig.ident;
    let fix = match nearest(&name.to_string(), &known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => "it has none; `input = ..` captures any expression".to_owned(),
        None => format!("its arguments are `{}`; `input = ..` captures any expression", known.join("`, `")),
    };
    format!("`{name}` is no argument of `{function}`: {fix}")
}
