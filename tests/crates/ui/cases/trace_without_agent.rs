#[tracium::trace(model = "gpt-4o")]
fn answer() {}

fn main() {
    answer();
}
