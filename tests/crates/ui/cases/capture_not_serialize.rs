#[derive(Debug)]
struct Options;

#[tracium::tool(capture(options))]
fn weather(options: Options) -> String {
    format!("{options:?}")
}

fn main() {
    weather(Options);
}
