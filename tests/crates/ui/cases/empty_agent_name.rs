#[tracium::trace(agent = "")]
fn answer() {}

fn main() {
    answer();
}
