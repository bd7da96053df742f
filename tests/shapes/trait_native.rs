//! Async methods of traits without a helper, and `impl Future` implemented by `async fn`.

use crate::wait;
use std::future::Future;

pub trait Tool {
    fn call(&self, number: u8) -> impl Future<Output = Result<u8, String>> + Send;

    fn by_default(&self, number: u8) -> impl Future<Output = Result<u8, String>> + Send
    where
        Self: Sync;
}

macro_rules! implement {
    ($name:ident, $(#[$attribute:meta])*) => {
        pub struct $name;

        impl Tool for $name {
            $(#[$attribute])*
            async fn call(&self, number: u8) -> Result<u8, String> {
                std::future::ready(()).await;
                if number == 0 { Err("zero".to_owned()) } else { Ok(number) }
            }

            $(#[$attribute])*
            fn by_default(&self, number: u8) -> impl Future<Output = Result<u8, String>> + Send {
                let called = self.call(number);
                async move { called.await }
            }
        }
    };
}

implement!(Traced, #[tracium::trace(agent = "support-bot")]);
implement!(Spanned, #[tracium::span(kind = "tool")]);
implement!(Scoped, #[tracium::tenant_scope(from = "acme")]);
implement!(Stacked, #[tracium::tenant_scope(from = "acme")] #[tracium::trace(agent = "support-bot")]);

#[test]
fn methods_come_to_what_they_did() {
    assert_eq!(wait(Stacked.call(1)), Ok(1));
    assert_eq!(wait(Stacked.by_default(0)), Err("zero".to_owned()));
}
