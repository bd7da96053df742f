//! A function as the attributes see it: the signature is parsed, the body stays the tokens it was.
//!
//! Keeping the tokens keeps what `syn` does not know yet, leaves syntax errors to the compiler, and is quick.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, Block, Signature, Stmt, Token, Visibility, token};

pub(crate) struct Function {
    /// The outer attributes that are left; ours is not among them.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    default: Option<Ident>,
    pub(crate) sig: Signature,
    pub(crate) body: Option<Body>,
    /// The `;` of a method without a body.
    pub(crate) semi: Option<Token![;]>,
}

pub(crate) struct Body {
    brace: token::Brace,
    /// `#![..]`, which have to stay first.
    inner: Vec<Attribute>,
    pub(crate) tokens: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let default = parse_default(input)?;
        let sig = input.parse()?;
        let semi: Option<Token![;]> = input.parse()?;
        let body = if semi.is_some() { None } else { Some(input.parse()?) };
        Ok(Self { attrs, vis, default, sig, body, semi })
    }
}

/// The contextual `default` of a specialized method.
fn parse_default(input: ParseStream<'_>) -> syn::Result<Option<Ident>> {
    let fork = input.fork();
    match fork.parse::<Ident>() {
        Ok(ident) if ident == "default" => input.parse().map(Some),
        _ => Ok(None),
    }
}

impl Parse for Body {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let content;
        let brace = syn::braced!(content in input);
        let inner = content.call(Attribute::parse_inner)?;
        let tokens = content.parse()?;
        Ok(Self { brace, inner, tokens })
    }
}

impl Function {
    pub(crate) fn has_attribute(&self, name: &str) -> bool {
        self.attrs.iter().any(|attr| attr.path().is_ident(name))
    }

    /// The function as it is, for its attributes to be put anew before it.
    pub(crate) fn without_attributes(&self) -> TokenStream {
        let Self { vis, default, sig, body, semi, .. } = self;
        let mut tokens = quote!(#vis #default #sig);
        if let Some(Body { brace, inner, tokens: body }) = body {
            brace.surround(&mut tokens, |tokens| {
                inner.iter().for_each(|attr| attr.to_tokens(tokens));
                body.to_tokens(tokens);
            });
        }
        semi.to_tokens(&mut tokens);
        tokens
    }

    /// The function with another body. The attributes, the signature and the braces stay the user's tokens.
    pub(crate) fn with_body(&self, body: &TokenStream) -> TokenStream {
        let Self { attrs, vis, default, sig, body: old, .. } = self;
        let head = quote!(#(#attrs)* #vis #default #sig);
        let Some(Body { brace, inner, .. }) = old else {
            return quote!(#head { #body });
        };
        let mut tokens = head;
        brace.surround(&mut tokens, |tokens| {
            inner.iter().for_each(|attr| attr.to_tokens(tokens));
            body.to_tokens(tokens);
        });
        tokens
    }
}

impl Body {
    /// The items that the body begins with, and the rest.
    ///
    /// A guard goes between the two: `clippy::items_after_statements` looks at what stands before an item.
    pub(crate) fn split_leading_items(&self) -> (TokenStream, TokenStream) {
        let parser = |input: ParseStream<'_>| {
            loop {
                let ahead = input.fork();
                match ahead.parse::<Stmt>() {
                    Ok(Stmt::Item(item)) if !matches!(item, syn::Item::Macro(_)) => drop(input.parse::<Stmt>()?),
                    _ => return Ok(input.parse::<TokenStream>()?.into_iter().count()),
                }
            }
        };
        let all = self.tokens.clone().into_iter();
        let rest = if self.may_begin_with_item() { Parser::parse2(parser, self.tokens.clone()).ok() } else { None };
        let Some(rest) = rest else { return (TokenStream::new(), self.tokens.clone()) };
        let mut trees = all.collect::<Vec<_>>();
        let rest = trees.split_off(trees.len().saturating_sub(rest));
        (trees.into_iter().collect(), rest.into_iter().collect())
    }

    /// Cheap, since most bodies begin with no item and need no parsing then.
    fn may_begin_with_item(&self) -> bool {
        const KEYWORDS: &[&str] = &[
            "async", "const", "enum", "extern", "fn", "impl", "mod", "pub", "static", "struct", "trait", "type",
            "union", "unsafe", "use",
        ];
        match self.tokens.clone().into_iter().next() {
            Some(TokenTree::Ident(first)) => KEYWORDS.contains(&first.to_string().as_str()),
            Some(TokenTree::Punct(first)) => first.as_char() == '#',
            _ => false,
        }
    }

    /// The statements, if `syn` knows them all.
    pub(crate) fn statements(&self) -> Option<Vec<Stmt>> {
        Parser::parse2(Block::parse_within, self.tokens.clone()).ok()
    }
}
