//! What is wrong with an attribute is said at its token, with the way out. The expected texts are in `ui/*.stderr`;
//! `TRYBUILD=overwrite cargo test --test ui` writes them anew.

#[test]
fn misuse_is_reported_at_its_token() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
