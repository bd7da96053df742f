use futures::stream::{self, Stream};

#[tracium::llm(output)]
fn tokens() -> impl Stream<Item = u8> {
    stream::iter(0..3)
}

fn main() {
    drop(tokens());
}
