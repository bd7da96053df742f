#[tracium::trace(agent = "support-bot")]
struct Bot {
    name: String,
}

fn main() {
    let bot = Bot { name: String::new() };
    drop(bot.name);
}
