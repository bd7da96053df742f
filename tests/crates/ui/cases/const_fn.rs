#[tracium::span(kind = "tool")]
const fn limit() -> usize {
    3
}

fn main() {
    limit();
}
