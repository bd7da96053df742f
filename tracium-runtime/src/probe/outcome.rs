//! Whether a value is a failure, by what its type can tell.
//!
//! `(&&&&&&Returned(&value)).failure()` tries in this order: a `Result` whose error is an `Error`, one that points to
//! an `Error` (`anyhow::Error`, `Box<dyn Error>`), one that can be displayed, one with a `Debug` form, any other
//! `Result`, any value.

use super::{Failure, Returned};
use std::error::Error;
use std::fmt;
use std::ops::Deref;

/// `Result<_, E>` with `E: Error`.
pub trait OfError {
    /// The failure that the value is.
    fn failure(&self) -> Option<Failure>;
}

impl<T, E: Error> OfError for &&&&&Returned<'_, Result<T, E>> {
    fn failure(&self) -> Option<Failure> {
        let error = self.0.as_ref().err()?;
        Some(Failure::of_error::<E>(error))
    }
}

/// `Result<_, E>` with `E: Deref<Target: Error>`.
pub trait OfDeref {
    /// The failure that the value is.
    fn failure(&self) -> Option<Failure>;
}

impl<T, E: Deref<Target: Error>> OfDeref for &&&&Returned<'_, Result<T, E>> {
    fn failure(&self) -> Option<Failure> {
        let error = self.0.as_ref().err()?;
        Some(Failure::of_error::<E>(&**error))
    }
}

/// `Result<_, E>` with `E: Display`.
pub trait OfDisplay {
    /// The failure that the value is.
    fn failure(&self) -> Option<Failure>;
}

impl<T, E: fmt::Display> OfDisplay for &&&Returned<'_, Result<T, E>> {
    fn failure(&self) -> Option<Failure> {
        self.0.as_ref().err().map(Failure::of_display)
    }
}

/// `Result<_, E>` with `E: Debug`.
pub trait OfDebug {
    /// The failure that the value is.
    fn failure(&self) -> Option<Failure>;
}

impl<T, E: fmt::Debug> OfDebug for &&Returned<'_, Result<T, E>> {
    fn failure(&self) -> Option<Failure> {
        self.0.as_ref().err().map(Failure::of_debug)
    }
}

/// Any other `Result`.
pub trait OfResult {
    /// The failure that the value is.
    fn failure(&self) -> Option<Failure>;
}

impl<T, E> OfResult for &Returned<'_, Result<T, E>> {
    fn failure(&self) -> Option<Failure> {
        self.0.as_ref().err().map(|_| Failure::of_type::<E>())
    }
}

/// Any value: no failure.
pub trait OfAny {
    /// Always `None`.
    fn failure(&self) -> Option<Failure>;
}

impl<T> OfAny for Returned<'_, T> {
    fn failure(&self) -> Option<Failure> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Failure, OfAny as _, OfDebug as _, OfDeref as _, OfDisplay as _, OfError as _, OfResult as _, Returned,
    };
    use std::error::Error;
    use std::fmt;

    /// What the attributes write.
    macro_rules! failure {
        ($value:expr) => {{
            #[allow(clippy::needless_borrow)]
            (&&&&&&Returned(&$value)).failure()
        }};
    }

    fn message(failure: Option<Failure>) -> String {
        failure.map_or_else(|| "no failure".to_owned(), |failure| failure.message)
    }

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("no port")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    fn outer() -> Outer {
        Outer("x".parse::<u16>().unwrap_err())
    }

    const CHAIN: &str = "no port: invalid digit found in string";

    #[test]
    fn an_error_tells_its_sources() {
        let failed: Result<(), Outer> = Err(outer());
        let failure = failure!(failed).unwrap();
        assert_eq!(failure.message, CHAIN);
        assert!(failure.type_name.ends_with("Outer"));
    }

    #[test]
    fn an_alias_is_the_result_it_names() {
        let failed: fmt::Result = Err(fmt::Error);
        assert_eq!(failure!(failed).unwrap().type_name, "core::fmt::Error");
    }

    #[test]
    fn boxed_errors_tell_their_sources() {
        let failed: Result<(), Box<dyn Error>> = Err(outer().into());
        assert_eq!(message(failure!(failed)), CHAIN);
        let failed: Result<(), Box<dyn Error + Send + Sync>> = Err(outer().into());
        assert_eq!(message(failure!(failed)), CHAIN);
        let failed: Result<(), std::sync::Arc<dyn Error + Send + Sync>> = Err(std::sync::Arc::new(outer()));
        assert_eq!(message(failure!(failed)), CHAIN);
    }

    #[test]
    fn other_errors_tell_what_they_can() {
        struct Bare;
        #[derive(Debug)]
        #[allow(dead_code)]
        struct Shown(u8);
        let failed: Result<(), &str> = Err("by text");
        assert_eq!(message(failure!(failed)), "by text");
        let failed: Result<(), Shown> = Err(Shown(3));
        assert_eq!(message(failure!(failed)), "Shown(3)");
        let failed: Result<(), Bare> = Err(Bare);
        assert!(message(failure!(failed)).ends_with("Bare"));
    }

    #[test]
    fn what_is_ok_or_no_result_is_no_failure() {
        assert_eq!(failure!(Ok::<_, Outer>(())), None);
        assert_eq!(failure!(Some(1)), None);
        assert_eq!(failure!(Some(Err::<(), _>(outer()))), None);
    }

    #[test]
    fn generic_functions_tell_what_their_bounds_allow() {
        fn bounded<T, E: Error>(value: &Result<T, E>) -> String {
            message(failure!(*value))
        }
        fn unbounded<T, E>(value: &Result<T, E>) -> String {
            message(failure!(*value))
        }
        fn any<T>(value: &T) -> String {
            message(failure!(*value))
        }
        let failed: Result<(), Outer> = Err(outer());
        assert_eq!(bounded(&failed), CHAIN);
        assert!(unbounded(&failed).ends_with("Outer"));
        assert_eq!(any(&failed), "no failure");
    }
}
