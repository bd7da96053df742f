async fn title(question: &str) -> String {
    question.to_owned()
}

#[tracium::span(name = title(question).await)]
async fn answer(question: &str) {
    drop(title(question).await);
}

fn main() {
    drop(answer("?"));
}
