#[tracium::span(kind = "tool")]
mod tools {
    pub fn call() {}
}

fn main() {
    tools::call();
}
