// The error is that of the plain call, at its argument.
#[tracium::span(kind = "tool")]
async fn fetch() {
    tokio::spawn(1);
    std::thread::spawn("work");
}

fn main() {}
