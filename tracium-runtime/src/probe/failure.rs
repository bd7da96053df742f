//! Why a call failed, as text.

use std::any::type_name;
use std::error::Error;
use std::fmt::{self, Write};

use crate::panics::caught;

/// Characters of a message; the API takes no more.
const LONGEST: usize = 10_000;

/// Sources of an error that are followed; a chain could be a circle.
const DEEPEST: usize = 64;

/// What a call failed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The error's type. It is all that is sent where content is not captured.
    pub type_name: &'static str,
    /// The error's text, of at most 10,000 characters.
    pub message: String,
}

impl Failure {
    /// A failure with a message, which is cut after 10,000 characters.
    pub fn new(type_name: &'static str, mut message: String) -> Self {
        // A text of so many bytes cannot have more characters, and needs no counting.
        if message.len() > LONGEST
            && let Some((end, _)) = message.char_indices().nth(LONGEST)
        {
            message.truncate(end);
        }
        Self { type_name, message }
    }

    /// An error's message and those of its sources, joined by `: `.
    pub(super) fn of_error<T: ?Sized>(error: &(impl Error + ?Sized)) -> Self {
        Self::written::<T>(|text| {
            write!(text, "{error}")?;
            let mut source = error.source();
            for _ in 0..DEEPEST {
                let Some(error) = source else { break };
                write!(text, ": {error}")?;
                source = error.source();
            }
            Ok(())
        })
    }

    pub(super) fn of_display<T: fmt::Display>(error: &T) -> Self {
        Self::written::<T>(|text| write!(text, "{error}"))
    }

    pub(super) fn of_debug<T: fmt::Debug>(error: &T) -> Self {
        Self::written::<T>(|text| write!(text, "{error:?}"))
    }

    /// A failure of which only the type is known.
    pub(super) fn of_type<T: ?Sized>() -> Self {
        Self::written::<T>(|text| text.write_str(type_name::<T>()))
    }

    /// Has the user's code write the message. A panic there is not one of the annotated function, which did return.
    fn written<T: ?Sized>(write: impl FnOnce(&mut Bounded) -> fmt::Result) -> Self {
        let mut text = Bounded { text: String::new(), left: LONGEST };
        // An error means that the message is full, or the user's code gave up: what was written stands.
        if caught(|| write(&mut text)).is_err() {
            let _ = text.write_str("<panicked while formatting>");
        }
        Self { type_name: type_name::<T>(), message: text.text }
    }
}

/// A text that stops the writer once it is full.
struct Bounded {
    text: String,
    /// In characters.
    left: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if let Some((end, _)) = part.char_indices().nth(self.left) {
            self.text.push_str(&part[..end]);
            self.left = 0;
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        self.left -= part.chars().count();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, LONGEST};
    use std::error::Error;
    use std::fmt;

    #[test]
    fn a_message_is_cut_between_characters() {
        let message = Failure::new("E", "ö".repeat(LONGEST + 1)).message;
        assert_eq!(message.chars().count(), LONGEST);
        let whole = "ö".repeat(LONGEST);
        assert_eq!(Failure::new("E", whole.clone()).message, whole);
    }

    #[test]
    fn formatting_stops_once_the_message_is_full() {
        struct Endless(std::cell::Cell<usize>);
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    self.0.set(self.0.get() + 1);
                    f.write_str("0123456789")?;
                }
            }
        }
        let endless = Endless(std::cell::Cell::new(0));
        let failure = Failure::of_display(&endless);
        assert_eq!(failure.message.len(), LONGEST);
        assert_eq!(endless.0.get(), LONGEST / 10 + 1);
    }

    #[test]
    fn a_circle_of_sources_ends() {
        #[derive(Debug)]
        struct Circle;
        impl fmt::Display for Circle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("o")
            }
        }
        impl Error for Circle {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&Circle)
            }
        }
        assert!(Failure::of_error::<Circle>(&Circle).message.starts_with("o: o: o"));
    }

    #[test]
    fn a_panic_in_the_error_itself_is_contained() {
        struct Broken;
        impl fmt::Display for Broken {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half ")?;
                panic!("in Display")
            }
        }
        assert_eq!(Failure::of_display(&Broken).message, "half <panicked while formatting>");
    }

    #[test]
    fn an_error_that_fails_to_format_keeps_what_it_wrote() {
        struct GivesUp;
        impl fmt::Display for GivesUp {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        assert_eq!(Failure::of_display(&GivesUp).message, "half");
    }
}
