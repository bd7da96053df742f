struct Request {
    city: String,
}

#[tracium::tool(capture(request.city))]
fn weather(request: &Request) -> usize {
    request.city.len()
}

fn main() {
    weather(&Request { city: String::new() });
}
