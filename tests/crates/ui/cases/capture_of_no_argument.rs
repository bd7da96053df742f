#[tracium::tool(capture(town))]
fn weather(city: &str, day: u8) -> String {
    format!("{city} {day}")
}

fn main() {
    weather("Oslo", 1);
}
