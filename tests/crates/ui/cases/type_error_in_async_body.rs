#[tracium::span(kind = "tool")]
async fn weather(city: &str) -> Result<String, String> {
    if city.is_empty() {
        return Err(3);
    }
    Ok(city.len())
}

fn main() {
    drop(weather("Oslo"));
}
