//! Results by any name, with errors that tell much or nothing.

// The lints named here are about the plain functions.
#![allow(clippy::unnecessary_wraps)]

use crate::wait;

/// Tells nothing of itself.
#[derive(PartialEq, Eq)]
pub struct Bare;

pub type Outcome<T> = Result<T, Bare>;

each_attribute!(
    mod bare_error {
        pub fn f(fails: bool) -> Result<u8, Bare> {
            if fails { Err(Bare) } else { Ok(1) }
        }
    }
);

each_attribute!(
    mod alias {
        pub async fn f(fails: bool) -> Outcome<u8> {
            std::future::ready(()).await;
            if fails { Err(Bare) } else { Ok(1) }
        }
    }
);

each_attribute!(
    mod any_error {
        pub async fn f(text: &str) -> anyhow::Result<u8> {
            let number = text.parse()?;
            std::future::ready(()).await;
            anyhow::ensure!(number > 3, "too small: {number}");
            Ok(number)
        }
    }
);

each_attribute!(
    mod boxed_error {
        pub fn f(text: &str) -> Result<u8, Box<dyn std::error::Error>> {
            Ok(text.parse()?)
        }
    }
);

each_attribute!(
    mod unbounded_error {
        pub fn f<T, E>(result: Result<T, E>) -> Result<T, E> {
            result
        }
    }
);

each_attribute!(
    mod option {
        pub fn f(number: Option<u8>) -> Option<u8> {
            let number = number?;
            number.checked_add(1)
        }
    }
);

each_attribute!(
    mod collected {
        pub fn f(texts: &[&str]) -> Result<Vec<u8>, std::num::ParseIntError> {
            texts.iter().map(|text| text.parse()).collect()
        }
    }
);

each_attribute!(
    mod coerced {
        pub fn f(first: bool) -> Result<Box<dyn Fn(u8) -> u8>, String> {
            if first {
                return Ok(Box::new(|number| number));
            }
            Ok(Box::new(|number| number + 1))
        }
    }
);

each_attribute!(
    mod async_coerced {
        pub async fn f(first: bool) -> Box<dyn Fn(u8) -> u8 + Send> {
            std::future::ready(()).await;
            if first {
                return Box::new(|number| number);
            }
            Box::new(|number| number + 1)
        }
    }
);

each_attribute!(
    mod borrowed {
        pub fn f<'a>(text: &'a str, other: &str) -> Result<&'a str, String> {
            if other.is_empty() {
                return Err(other.to_owned());
            }
            Ok(text)
        }
    }
);

#[test]
fn results_are_what_they_were() {
    assert!(bare_error::stacked::f(true) == Err(Bare));
    assert!(wait(alias::stacked::f(false)) == Ok(1));
    assert_eq!(wait(any_error::stacked::f("1")).map_err(|error| error.to_string()), Err("too small: 1".to_owned()));
    assert_eq!(collected::stacked::f(&["1", "2"]), Ok(vec![1, 2]));
    assert_eq!(wait(async_coerced::stacked::f(false))(1), 2);
    assert_eq!(borrowed::stacked::f("a", "b"), Ok("a"));
}
