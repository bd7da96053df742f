#[tracium::span(kind = "llm", modle = "gpt-4o")]
fn complete() {}

fn main() {
    complete();
}
