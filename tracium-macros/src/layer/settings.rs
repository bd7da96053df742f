//! The settings of a trace or span: what is known while compiling, and what is evaluated on a call.

use super::at;
use crate::args::{Options, Text, find_await};
use crate::borrow::Borrows;
use crate::errors::Errors;
use crate::params::Param;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Ident, LitStr};

pub(super) struct Settings<'a> {
    params: &'a [Param],
    span: Span,
    /// `.model("gpt-4o")`, on the static.
    pub(super) fixed: TokenStream,
    /// `.model(&model)`, on the options of a call.
    pub(super) varying: TokenStream,
    pub(super) borrows: Borrows,
    /// The expressions as written.
    pub(super) expressions: TokenStream,
}

impl<'a> Settings<'a> {
    pub(super) fn new(params: &'a [Param], span: Span) -> Self {
        Self {
            params,
            span,
            fixed: TokenStream::new(),
            varying: TokenStream::new(),
            borrows: Borrows::default(),
            expressions: TokenStream::new(),
        }
    }

    /// A text that the static begins with; `default` where there is none or it varies.
    pub(super) fn required(&mut self, method: &str, text: Option<&Text>, default: &str) -> LitStr {
        if let Some(Text::Literal(literal)) = text {
            return literal.clone();
        }
        self.text(method, text);
        LitStr::new(default, self.span)
    }

    pub(super) fn text(&mut self, method: &str, text: Option<&Text>) {
        match text {
            Some(Text::Literal(literal)) => {
                let method = Ident::new(method, at(literal.span()));
                self.fixed.extend(quote!(.#method(#literal)));
            }
            Some(Text::Expr(expr)) => self.dynamic(method, Some(expr)),
            None => {}
        }
    }

    pub(super) fn dynamic(&mut self, method: &str, expr: Option<&Expr>) {
        if let Some(expr) = expr {
            let here = at(expr.span());
            let method = Ident::new(method, here);
            let borrowed = self.borrow(expr);
            self.varying.extend(quote_spanned!(here=> .#method(&#borrowed)));
        }
    }

    pub(super) fn tags(&mut self, tags: &[Text]) {
        let mut literals = Vec::new();
        for tag in tags {
            match tag {
                Text::Literal(literal) => literals.push(literal),
                Text::Expr(expr) => self.dynamic("tag", Some(expr)),
            }
        }
        if !literals.is_empty() {
            let span = self.span;
            self.fixed.extend(quote_spanned!(span=> .tags(&[#(#literals),*])));
        }
    }

    pub(super) fn metadata(&mut self, pairs: &[(LitStr, Expr)]) {
        for (key, value) in pairs {
            let here = at(value.span());
            let borrowed = self.borrow(value);
            self.varying.extend(quote_spanned!(here=> .metadata(#key, &#borrowed)));
        }
    }

    fn borrow(&mut self, expr: &Expr) -> Expr {
        self.expressions.extend(expr.to_token_stream());
        self.borrows.of(expr, self.params)
    }
}

/// These are evaluated in closures; only `from` has a way to be awaited.
pub(super) fn refuse_await(options: &Options, errors: &mut Errors) {
    let Options { agent, kind, name, model, version, workspace, tags, metadata, .. } = options;
    let texts = [agent, kind, name, model, version, workspace].into_iter().flatten().chain(tags);
    let texts = texts.filter_map(|text| match text {
        Text::Expr(expr) => Some(expr),
        Text::Literal(_) => None,
    });
    let Options { tenant, session, user, trace_id, input, .. } = options;
    let exprs = [tenant, session, user, trace_id, input].into_iter().flatten();
    for expr in texts.chain(exprs).chain(metadata.iter().map(|(_, value)| value)) {
        if let Some(awaits) = find_await(expr.to_token_stream()) {
            errors.at(awaits, "an option cannot await: set it in the body, through the handle of `bind = ..`");
        }
    }
}
