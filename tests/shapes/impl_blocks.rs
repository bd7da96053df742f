//! An attribute on an `impl` block marks its functions.

use std::fmt;

macro_rules! block {
    ($name:ident, $(#[$attribute:meta])*) => {
        pub struct $name {
            base: String,
        }

        $(#[$attribute])*
        impl $name {
            pub const LIMIT: usize = { 3 };

            pub const fn new(base: String) -> Self {
                Self { base }
            }

            pub fn call(&self) -> Result<&str, String> {
                if self.helper() == 0 { Err(String::new()) } else { Ok(&self.base) }
            }

            pub async fn call_async(&self) -> usize {
                std::future::ready(()).await;
                self.helper()
            }

            #[tracium::skip]
            fn helper(&self) -> usize {
                self.base.len()
            }
        }

        $(#[$attribute])*
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.base)
            }
        }
    };
}

block!(Traced, #[tracium::trace(agent = "support-bot")]);
block!(Spanned, #[tracium::span(kind = "tool")]);
block!(Tool, #[tracium::tool]);
block!(Scoped, #[tracium::tenant_scope(from = "acme")]);
block!(Stacked, #[tracium::tenant_scope(from = self.base)] #[tracium::trace(agent = "a", name = self.base)]);

#[test]
fn marked_methods_do_what_they_did() {
    let stacked = Stacked::new("acme".to_owned());
    assert_eq!(stacked.call(), Ok("acme"));
    assert_eq!(stacked.to_string(), "acme");
    assert_eq!(crate::wait(stacked.call_async()), 4);
}
