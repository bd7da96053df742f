trait Tool {
    #[tracium::span(kind = "tool")]
    fn call(&self, city: &str) -> String;
}

struct Weather;

impl Tool for Weather {
    fn call(&self, city: &str) -> String {
        city.to_owned()
    }
}

fn main() {
    Weather.call("Oslo");
}
