#[tracium::trace(agent = "support-bot" model = "gpt-4o")]
fn answer() {}

fn main() {
    answer();
}
