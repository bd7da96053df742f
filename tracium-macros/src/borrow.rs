//! Expressions of the options look at the arguments, and leave them to the body.

use crate::layer::at;
use crate::params::Param;
use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, FieldValue, Ident, PatIdent, Token, UnOp, token};

/// Expressions that name arguments through references to them.
#[derive(Default)]
pub(crate) struct Borrows {
    /// `let request = &request;`, ours by hygiene. Whatever else of ours is in sight there has a `__tracium_` before
    /// its name, which no argument has.
    pub(crate) references: TokenStream,
    known: Vec<Ident>,
}

impl Borrows {
    // Input:
    //     request.into_tenant()
    //
    // Output:
    //     (*request).into_tenant()
    //
    // `*request` has the type of the user's `request`, and what moves out of it is an error at that token. Without
    // this the error would be in the body, where the argument is gone, or there would be none and the argument would
    // be dropped early.
    pub(crate) fn of(&mut self, expr: &Expr, params: &[Param]) -> Expr {
        let mut shadowed = Shadowed(Vec::new());
        shadowed.visit_expr(expr);
        let mut deref = Deref { params, shadowed: shadowed.0, used: Vec::new() };
        let mut borrowed = expr.clone();
        deref.visit_expr_mut(&mut borrowed);
        for Param { ident, cfgs, .. } in deref.used {
            if !self.known.contains(ident) {
                let span = at(ident.span());
                let reference = reference(ident, ident.span());
                self.references.extend(quote_spanned!(span=> #(#cfgs)* let #reference = &#ident;));
                self.known.push(ident.clone());
            }
        }
        borrowed
    }
}

/// Our name for the reference; `self` cannot be a variable's.
fn reference(ident: &Ident, location: Span) -> Ident {
    let span = at(location);
    let name = ident.to_string();
    match name.strip_prefix("r#") {
        Some(raw) => Ident::new_raw(raw, span),
        None if name == "self" => Ident::new("__tracium_self", span),
        None => Ident::new(&name, span),
    }
}

/// Names that the expression binds itself, such as a closure's parameters: they hide the arguments of that name.
struct Shadowed(Vec<Ident>);

impl<'ast> Visit<'ast> for Shadowed {
    fn visit_pat_ident(&mut self, pat: &'ast PatIdent) {
        self.0.push(pat.ident.clone());
        visit::visit_pat_ident(self, pat);
    }
}

struct Deref<'a> {
    params: &'a [Param],
    shadowed: Vec<Ident>,
    used: Vec<&'a Param>,
}

impl<'a> Deref<'a> {
    fn argument(&self, expr: &Expr) -> Option<(Ident, &'a Param)> {
        let Expr::Path(path) = expr else { return None };
        let ident = path.path.get_ident().filter(|_| path.qself.is_none())?;
        let param = self.params.iter().find(|param| param.ident == *ident)?;
        (!self.shadowed.contains(ident)).then(|| (ident.clone(), param))
    }
}

impl VisitMut for Deref<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        let Some((ident, param)) = self.argument(expr) else {
            visit_mut::visit_expr_mut(self, expr);
            return;
        };
        self.used.push(param);
        let span = at(ident.span());
        let reference = reference(&ident, ident.span());
        let reference = syn::ExprPath { attrs: Vec::new(), qself: None, path: reference.into() };
        let star = UnOp::Deref(Token![*](span));
        let deref = syn::ExprUnary { attrs: Vec::new(), op: star, expr: Box::new(Expr::Path(reference)) };
        let paren_token = token::Paren(span);
        *expr = Expr::Paren(syn::ExprParen { attrs: Vec::new(), paren_token, expr: Box::new(Expr::Unary(deref)) });
    }

    fn visit_field_value_mut(&mut self, field: &mut FieldValue) {
        // `Key { tenant }` has to become `Key { tenant: *tenant }`.
        if field.colon_token.is_none() {
            field.colon_token = Some(Token![:](at(Span::call_site())));
        }
        visit_mut::visit_field_value_mut(self, field);
    }
}
