// The error is that of the plain call, at its argument.
#[tracium::span(kind = "tool")]
async fn fetch() {
    let shared = std::rc::Rc::new(1);
    tokio::spawn(async move {
        std::future::ready(()).await;
        drop(shared);
    });
}

fn main() {}
