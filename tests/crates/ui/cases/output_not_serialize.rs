struct Weather;

#[tracium::tool(output)]
fn weather() -> Result<Weather, String> {
    Ok(Weather)
}

fn main() {
    drop(weather());
}
