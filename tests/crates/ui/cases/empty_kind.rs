#[tracium::span(kind = "")]
fn answer() {}

fn main() {
    answer();
}
