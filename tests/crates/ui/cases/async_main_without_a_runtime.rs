#[tracium::main]
async fn main() {}
