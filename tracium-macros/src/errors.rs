//! Errors are collected, so that one build shows all of a user's mistakes.

use proc_macro2::{Span, TokenStream};
use quote::quote;

/// The errors found so far in one attribute and its item.
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    /// Adds an error at `span`.
    pub(crate) fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The errors, followed by the item as the user wrote it: its callers still resolve, and what is wrong in
    /// its body is reported once and where it is.
    pub(crate) fn beside(self, item: &TokenStream) -> TokenStream {
        let errors = self.0.map(|error| error.to_compile_error());
        quote!(#errors #item)
    }

    #[cfg(test)]
    pub(crate) fn messages(&self) -> Vec<String> {
        let errors = self.0.iter().flat_map(|error| error.clone().into_iter());
        errors.map(|error| error.to_string()).collect()
    }
}
