//! Modules in which the names of std are something else.

mod own_names {
    pub struct Ok;
    pub struct Err;
    pub struct Some;
    pub struct None;
    pub struct Result;
    pub struct Option;
    pub struct Box;
    pub struct String;
    pub struct Send;
    pub struct From;
    pub mod std {}
    pub mod core {}
    pub mod tracium {}

    each_attribute!(
        mod sync {
            pub fn f(number: u8) -> ::core::result::Result<u8, ()> {
                if number == 0 { ::core::result::Result::Err(()) } else { ::core::result::Result::Ok(number) }
            }
        }
    );

    each_attribute!(
        mod asynchronous {
            pub async fn f(number: u8) -> ::core::result::Result<u8, ()> {
                ::core::future::ready(()).await;
                if number == 0 { ::core::result::Result::Err(()) } else { ::core::result::Result::Ok(number) }
            }
        }
    );

    each_attribute!(
        mod returned_early {
            pub fn f(number: u8) -> ::core::pin::Pin<::std::boxed::Box<dyn ::core::future::Future<Output = u8>>> {
                if number == 0 {
                    return ::std::boxed::Box::pin(async { 1 });
                }
                ::std::boxed::Box::pin(async move { number })
            }
        }
    );
}

mod without_prelude {
    #![no_implicit_prelude]

    #[::tracium::trace(agent = "support-bot")]
    #[::tracium::tenant_scope(from = "acme")]
    pub fn f(number: u8) -> ::core::result::Result<u8, ()> {
        if number == 0 { ::core::result::Result::Err(()) } else { ::core::result::Result::Ok(number) }
    }

    #[::tracium::span(kind = "tool", output)]
    pub async fn g(number: u8) -> u8 {
        ::core::future::ready(number).await
    }
}

/// The crate under another path.
mod elsewhere {
    pub mod vendored {
        pub use tracium;
    }

    #[vendored::tracium::tenant_scope(from = "acme", crate = vendored::tracium)]
    #[vendored::tracium::trace(agent = "support-bot", bind = trace, crate = vendored::tracium)]
    pub fn f() {
        trace.add_tags(["vendored"]);
    }
}
