//! Where the attributes put statements of the user's.

/// Evaluates statements that may return early.
///
/// A closure that is called where it is written is not known to be called once, and may then not give back what it
/// borrowed mutably; here it is.
pub fn produce<R>(statements: impl FnOnce() -> R) -> R {
    statements()
}

#[cfg(test)]
mod tests {
    use super::produce;

    #[test]
    fn produce_gives_back_what_was_borrowed_mutably() {
        fn first(items: &mut [u8]) -> Option<&mut u8> {
            produce(move || -> Option<&mut u8> { items.first_mut() })
        }
        let mut items = [1, 2];
        if let Some(item) = first(&mut items) {
            *item = 3;
        }
        assert_eq!(items, [3, 2]);
    }
}
