//! Every way to take `self`, sync and async.

// The lints named here are about the plain functions.
#![allow(clippy::boxed_local)]

use crate::wait;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

macro_rules! methods {
    ($name:ident, $(#[$attribute:meta])*) => {
        #[derive(Clone, Default)]
        pub struct $name {
            number: u32,
            text: String,
        }

        $(#[$attribute])*
        impl $name {
            pub fn value(self) -> Result<String, String> {
                Ok(self.text)
            }

            pub fn mut_value(mut self) -> Result<Self, String> {
                self.number += 1;
                Ok(self)
            }

            pub fn borrowed(&self) -> Result<&str, String> {
                Ok(&self.text)
            }

            pub fn borrowed_mutably(&mut self) -> Result<&mut u32, String> {
                if self.number > 3 {
                    return Err("full".to_owned());
                }
                Ok(&mut self.number)
            }

            pub fn in_place(&mut self) -> &mut u32 {
                &mut self.number
            }

            pub fn counted(self: Rc<Self>) -> Result<u32, String> {
                Ok(self.number)
            }

            pub fn pinned(self: Pin<&mut Self>) -> Result<u32, String> {
                Ok(self.number)
            }

            pub fn boxed(self: Box<Self>) -> Result<u32, String> {
                Ok(self.number)
            }

            pub async fn async_mut_value(mut self) -> Result<Self, String> {
                self.number += 1;
                std::future::ready(()).await;
                Ok(self)
            }

            pub async fn async_borrowed_mutably(&mut self, by: &u32) -> Result<&mut u32, String> {
                self.number += *by;
                std::future::ready(()).await;
                Ok(&mut self.number)
            }

            pub async fn async_counted(self: Rc<Self>) -> Result<u32, String> {
                std::future::ready(()).await;
                Ok(self.number)
            }

            pub async fn async_pinned(self: Pin<&mut Self>) -> Result<u32, String> {
                std::future::ready(()).await;
                Ok(self.number)
            }

            pub async fn async_boxed(self: Box<Self>) -> Result<u32, String> {
                std::future::ready(()).await;
                Ok(self.number)
            }

            pub async fn async_shared(self: &Arc<Self>) -> Result<u32, String> {
                std::future::ready(()).await;
                Ok(self.number)
            }
        }
    };
}

methods!(Traced, #[tracium::trace(agent = "support-bot")]);
methods!(Spanned, #[tracium::span(kind = "tool")]);
methods!(Scoped, #[tracium::tenant_scope(from = "acme")]);
methods!(Stacked, #[tracium::tenant_scope(from = "acme")] #[tracium::trace(agent = "a", tenant = self.text.as_str())]);

#[test]
fn receivers_are_what_they_were() {
    let mut stacked = Stacked::default();
    *stacked.in_place() = 3;
    *stacked.borrowed_mutably().expect("3 is allowed") += 1;
    assert!(stacked.borrowed_mutably().is_err());
    assert_eq!(wait(stacked.async_borrowed_mutably(&2)).copied(), Ok(6));
    assert_eq!(wait(Rc::new(stacked.clone()).async_counted()), Ok(6));
    assert_eq!(stacked.mut_value().map(|stacked| stacked.number), Ok(7));
}
