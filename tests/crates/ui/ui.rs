//! What is wrong with an attribute is said at its token, with the way out. The expected texts are in `cases/*.stderr`;
//! `TRYBUILD=overwrite cargo test -p tracium-tests-ui` writes them anew.

#[cfg(test)]
mod tests {
    #[test]
    fn misuse_is_reported_at_its_token() {
        trybuild::TestCases::new().compile_fail("cases/*.rs");
    }
}
