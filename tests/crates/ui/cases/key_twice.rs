#[tracium::trace(agent = "support-bot", agent = "other-bot")]
fn answer() {}

fn main() {
    answer();
}
