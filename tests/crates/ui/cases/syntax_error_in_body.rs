#[tracium::span(kind = "tool")]
fn weather(city: &str) -> Result<String, String> {
    let length = city.len(;
    Ok(city.to_owned())
}

fn main() {
    drop(weather("Oslo"));
}
