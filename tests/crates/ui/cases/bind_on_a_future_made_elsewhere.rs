use std::future::Future;

#[tracium::span(bind = handle)]
fn answer() -> impl Future<Output = ()> {
    std::future::ready(())
}

fn main() {
    drop(answer());
}
