//! `cargo run --example jobs` and `cargo run --example axum_openai`.
