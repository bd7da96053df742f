#[tracium::main(agent = "support-bot")]
fn main() {}
