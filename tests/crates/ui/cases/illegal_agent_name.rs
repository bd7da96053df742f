#[tracium::trace(agent = "support/bot")]
fn answer() {}

fn main() {
    answer();
}
