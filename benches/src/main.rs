//! Comparisons of tracium with its peers.
fn main() {}
