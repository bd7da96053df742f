#[tracium::trace(agent = "support-bot", tags = ["prod", "eu\n"])]
fn answer() {}

fn main() {
    answer();
}
