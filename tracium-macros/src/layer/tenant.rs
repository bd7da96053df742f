//! `tenant_scope`

use super::{Halves, Layer, Target, at, moved_to, place};
use crate::args::{Missing, Options, find_await};
use crate::borrow::Borrows;
use crate::errors::Errors;
use crate::returns;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, LitStr};

impl Layer {
    // Input:
    //     #[tenant_scope(from = request.tenant_id, missing = reject)]
    //     fn answer(request: Request) -> Result<Answer, Error> { .. }
    //
    // Output:
    //     static META: TenantMeta = TenantMeta::new(Place::new(..));
    //     let from = {
    //         let request = &request;
    //         resolve_tenant(&(*request).tenant_id)
    //     };
    //     if let Some(error) = bind_tenant(&META, from, Missing::Reject) {
    //         return Err(From::from(error));
    //     }
    pub(super) fn bind_tenant(
        &mut self,
        options: &Options,
        target: Target<'_>,
        function: &LitStr,
        errors: &mut Errors,
    ) {
        let Self { krate, span, meta_name, meta, .. } = self;
        let span = *span;
        let place = place(krate, span, function);
        *meta = quote_spanned! {span=>
            static #meta_name: #krate::__private::TenantMeta = #krate::__private::TenantMeta::new(#place);
        };
        let Some(from) = &options.from else { return };
        check(options, target, errors);
        let mut borrows = Borrows::default();
        // A reference that is held while it awaits would ask for more than the argument alone: for `Sync`.
        let awaits = find_await(from.to_token_stream()).is_some();
        let borrowed = if awaits { from.clone() } else { borrows.of(from, target.params) };
        let references = borrows.references;
        let here = at(from.span());
        let krate_here = moved_to(here, krate);
        let resolved = quote_spanned!(here=> #krate_here::__private::resolve_tenant(&#borrowed));
        let early = quote_spanned! {span=>
            let from = {
                #references
                #resolved
            };
        };
        let late = bind(krate, span, meta_name, options.missing.as_ref());
        self.opening = quote_spanned!(span=> #early #late);
        self.halves = Some(Halves { early, late });
        self.expressions.extend(from.to_token_stream());
    }
}

fn check(options: &Options, target: Target<'_>, errors: &mut Errors) {
    let awaits = options.from.as_ref().and_then(|from| find_await(from.to_token_stream()));
    if let (Some(awaits), None) = (awaits, &target.function.sig.asyncness) {
        errors.at(awaits, "`from` awaits, but the function is not async: make it an `async fn`, or await before");
    }
    if let Some(Missing::Reject(reject)) = &options.missing
        && returns::is_no_result(target.value)
    {
        errors.at(
            *reject,
            "`missing = reject` returns an error, but the function returns no `Result`: return one, or use \
                 `missing = none` or `missing = \"anonymous\"`",
        );
    }
}

fn bind(krate: &TokenStream, span: proc_macro2::Span, meta: &Ident, missing: Option<&Missing>) -> TokenStream {
    match missing {
        Some(Missing::Reject(reject)) => {
            let reject = at(*reject);
            let rejected = quote_spanned! {reject=>
                return ::core::result::Result::Err(::core::convert::From::from(error));
            };
            quote_spanned! {span=>
                if let ::core::option::Option::Some(error) =
                    #krate::__private::bind_tenant(&#meta, from, #krate::__private::Missing::Reject)
                {
                    #rejected
                }
            }
        }
        Some(Missing::Anonymous(id)) => quote_spanned! {span=>
            let _ = #krate::__private::bind_tenant(&#meta, from, #krate::__private::Missing::Anonymous(#id));
        },
        Some(Missing::None) | None => quote_spanned! {span=>
            let _ = #krate::__private::bind_tenant(&#meta, from, #krate::__private::Missing::None);
        },
    }
}
