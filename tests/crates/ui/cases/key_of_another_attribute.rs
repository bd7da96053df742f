#[tracium::span(agent = "support-bot")]
fn answer() {}

fn main() {
    answer();
}
