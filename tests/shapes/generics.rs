//! Type parameters, const generics, where-clauses, higher-ranked bounds, `impl Trait`, `AsyncFn`.

// The lints named here are about the plain functions.
#![allow(clippy::elidable_lifetime_names)]

use crate::wait;
use std::fmt::{Debug, Display};

each_attribute!(
    mod const_generic {
        pub fn f<T, const N: usize>(items: [T; N]) -> Option<T>
        where
            T: Clone + Debug,
        {
            items.into_iter().next()
        }
    }
);

each_attribute!(
    mod generic_error {
        pub fn f<T: Debug, E: From<String>>(value: T, fails: bool) -> Result<T, E> {
            if fails {
                return Err(E::from(format!("{value:?}")));
            }
            Ok(value)
        }
    }
);

each_attribute!(
    mod async_generic_error {
        pub async fn f<T: Debug, E: From<std::num::ParseIntError>>(value: T, text: &str) -> Result<(T, u8), E> {
            let number = text.parse()?;
            std::future::ready(()).await;
            Ok((value, number))
        }
    }
);

each_attribute!(
    mod higher_ranked {
        pub fn f<F>(shorten: F) -> usize
        where
            F: for<'a> Fn(&'a str) -> &'a str,
        {
            shorten("abc").len()
        }
    }
);

each_attribute!(
    mod impl_argument {
        pub fn f(value: impl Display + Copy) -> String {
            value.to_string()
        }
    }
);

each_attribute!(
    mod impl_return {
        pub fn f(value: u8) -> impl Display + Clone {
            value
        }
    }
);

each_attribute!(
    mod impl_in_result {
        pub fn f(value: u8) -> Result<impl Display, std::fmt::Error> {
            if value == 0 {
                return Err(std::fmt::Error);
            }
            Ok(value)
        }
    }
);

each_attribute!(
    mod async_impl_in_result {
        pub async fn f(value: u8) -> Result<impl Display, std::fmt::Error> {
            std::future::ready(()).await;
            if value == 0 { Err(std::fmt::Error) } else { Ok(value) }
        }
    }
);

each_attribute!(
    mod precise_capturing {
        pub fn f<'a, T>(text: &'a str, _value: &T) -> impl Display + use<'a, T> {
            text
        }
    }
);

each_attribute!(
    mod async_closure {
        pub async fn f(call: impl AsyncFn(u8) -> u8) -> u8 {
            call(1).await
        }
    }
);

pub trait Lend {
    type Item<'a>
    where
        Self: 'a;
    fn lend<'a>(&'a mut self) -> Result<Self::Item<'a>, String>;
}

pub struct Slot(u8);

#[tracium::trace(agent = "support-bot")]
#[tracium::tenant_scope(from = "acme")]
impl Lend for Slot {
    type Item<'a> = &'a mut u8;

    fn lend<'a>(&'a mut self) -> Result<Self::Item<'a>, String> {
        if self.0 == 0 { Err("empty".to_owned()) } else { Ok(&mut self.0) }
    }
}

#[test]
fn generic_functions_still_infer() {
    assert_eq!(const_generic::stacked::f([1, 2]), Some(1));
    assert_eq!(generic_error::stacked::f::<u8, String>(3, true), Err("3".to_owned()));
    let parsed: Result<_, Box<dyn std::error::Error>> = wait(async_generic_error::stacked::f("x", "7"));
    assert_eq!(parsed.ok(), Some(("x", 7)));
    assert_eq!(wait(async_closure::stacked::f(async |number| number + 1)), 2);
    assert_eq!(impl_in_result::stacked::f(3).ok().map(|value| value.to_string()).as_deref(), Some("3"));
}
