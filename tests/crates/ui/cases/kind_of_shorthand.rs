#[tracium::llm(kind = "tool")]
fn complete() {}

fn main() {
    complete();
}
