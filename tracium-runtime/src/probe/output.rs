//! What of a returned value is its output: of a `Result` what is in `Ok`, else the value.

use super::Returned;

/// A `Result`.
pub trait OutputOfResult<'a> {
    /// The type of the output.
    type Output: ?Sized;
    /// What is in `Ok`.
    fn output(&self) -> Option<&'a Self::Output>;
}

impl<'a, T, E> OutputOfResult<'a> for &Returned<'a, Result<T, E>> {
    type Output = T;

    fn output(&self) -> Option<&'a T> {
        self.0.as_ref().ok()
    }
}

/// Any other value.
pub trait OutputOfAny<'a> {
    /// The type of the output.
    type Output: ?Sized;
    /// The value itself.
    fn output(&self) -> Option<&'a Self::Output>;
}

impl<'a, T> OutputOfAny<'a> for Returned<'a, T> {
    type Output = T;

    fn output(&self) -> Option<&'a T> {
        Some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{OutputOfAny as _, OutputOfResult as _};
    use crate::probe::Returned;

    /// What the attributes write.
    macro_rules! output {
        ($value:expr) => {{
            #[allow(clippy::needless_borrow)]
            (&&Returned(&$value)).output()
        }};
    }

    #[test]
    fn a_result_has_an_output_when_it_is_ok() {
        let done: Result<u8, String> = Ok(3);
        assert_eq!(output!(done), Some(&3));
        let failed: Result<u8, String> = Err("no".to_owned());
        assert_eq!(output!(failed), None);
    }

    #[test]
    fn any_other_value_is_its_output() {
        assert_eq!(output!(Some(3)), Some(&Some(3)));
        assert_eq!(output!(()), Some(&()));
    }
}
