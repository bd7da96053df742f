struct Options;

#[tracium::tool(capture(?options))]
async fn weather(options: &Options) {
    let _ = options;
}

fn main() {
    drop(weather(&Options));
}
