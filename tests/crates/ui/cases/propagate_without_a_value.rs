#[tracium::span(propagate = "no")]
fn answer() {}

fn main() {
    answer();
}
