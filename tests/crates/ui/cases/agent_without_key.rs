#[tracium::trace("support-bot")]
fn answer() {}

fn main() {
    answer();
}
