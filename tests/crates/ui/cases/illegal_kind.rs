#[tracium::span(kind = "to\tol")]
fn answer() {}

fn main() {
    answer();
}
