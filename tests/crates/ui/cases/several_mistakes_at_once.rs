#[tracium::trace(agent = "", modle = "gpt-4o", tags = "prod", capture(question))]
fn answer(query: &str) {
    drop(query.len());
}

fn main() {
    answer("?");
}
