//! `trace`, `span` and its shorthands.

use super::settings::Settings;
use super::{Halves, Layer, place};
use crate::args::{Kind, Options, Text};
use crate::params::Param;
use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::{Ident, LitStr};

/// A span's kind when none is given: a step of the program's own.
const DEFAULT_KIND: &str = "workflow";

impl Layer {
    // Input:
    //     #[trace(agent = "support-bot", name = title)]
    //     fn answer(title: &str) { .. }
    //
    // Output:
    //     static META: TraceMeta = TraceMeta::new("support-bot", "answer").at(Place::new(..));
    //     open_trace_with(&META, |options| {
    //         let title = &title;
    //         options.name(&(*title))
    //     });
    pub(super) fn open_trace(&mut self, options: &Options, params: &[Param], function: &LitStr) {
        let Self { krate, span, meta_name, meta, .. } = self;
        let mut settings = Settings::new(params, *span);
        let agent = settings.required("agent", options.agent.as_ref(), "");
        settings.text("name", options.name.as_ref());
        settings.text("model", options.model.as_ref());
        settings.text("version", options.version.as_ref());
        settings.text("workspace", options.workspace.as_ref());
        settings.tags(&options.tags);
        settings.metadata(&options.metadata);
        settings.dynamic("tenant", options.tenant.as_ref());
        settings.dynamic("session", options.session.as_ref());
        settings.dynamic("user", options.user.as_ref());
        settings.dynamic("trace_id", options.trace_id.as_ref());
        if options.new_trace {
            settings.fixed.extend(quote_spanned!(*span=> .new_trace()));
        }
        let fixed = &settings.fixed;
        let place = place(krate, *span, function);
        *meta = quote_spanned! {*span=>
            static #meta_name: #krate::__private::TraceMeta =
                #krate::__private::TraceMeta::new(#agent, #function).at(#place) #fixed;
        };
        self.open("trace", settings);
    }

    pub(super) fn open_span(&mut self, kind: Kind, options: &Options, params: &[Param], function: &LitStr) {
        let Self { krate, span, meta_name, meta, .. } = self;
        let mut settings = Settings::new(params, *span);
        let default = match kind {
            Kind::Shorthand(kind) => kind,
            _ => DEFAULT_KIND,
        };
        let kind = settings.required("kind", options.kind.as_ref(), default);
        let name = match &options.name {
            Some(Text::Literal(name)) => name,
            varying => {
                settings.text("name", varying.as_ref());
                function
            }
        };
        settings.text("model", options.model.as_ref());
        settings.tags(&options.tags);
        settings.metadata(&options.metadata);
        let fixed = &settings.fixed;
        *meta = quote_spanned! {*span=>
            static #meta_name: #krate::__private::SpanMeta =
                #krate::__private::SpanMeta::new(#kind, #name, #function) #fixed;
        };
        self.open("span", settings);
    }

    // For a future whose arguments are gone when it is first polled, the same in two halves:
    //     let options = prepare_trace(|options| { .. });
    //
    //     open_prepared_trace(&META, options);
    fn open(&mut self, what: &str, settings: Settings<'_>) {
        let Self { krate, span, meta_name, opening, is_plain, expressions, .. } = self;
        let Settings { varying, borrows, expressions: written, .. } = settings;
        let name = |pattern: &str| Ident::new(&pattern.replace("{}", what), *span);
        if varying.is_empty() {
            *is_plain = what == "span";
            let open = name("open_{}");
            *opening = quote_spanned!(*span=> #krate::__private::#open(&#meta_name););
        } else {
            let references: TokenStream = borrows.references;
            let options = quote_spanned! {*span=>
                |__tracium_options| {
                    #references
                    __tracium_options #varying
                }
            };
            let (open, prepare, open_prepared) = (name("open_{}_with"), name("prepare_{}"), name("open_prepared_{}"));
            *opening = quote_spanned!(*span=> #krate::__private::#open(&#meta_name, #options););
            self.halves = Some(Halves {
                early: quote_spanned!(*span=> let options = #krate::__private::#prepare(#options);),
                late: quote_spanned!(*span=> #krate::__private::#open_prepared(&#meta_name, options);),
            });
        }
        expressions.extend(written);
    }
}
