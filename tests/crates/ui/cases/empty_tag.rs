#[tracium::trace(agent = "support-bot", tags = ["prod", ""])]
fn answer() {}

fn main() {
    answer();
}
