//! See the test: it is `tests/shapes` of the root package.
