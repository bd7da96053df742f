#[tracium::span(name = 3)]
fn answer() {}

fn main() {
    answer();
}
