#[tracium::tenant_scope(from = tenant.unwrap())]
async fn answer(tenant: Option<String>) {
    std::future::ready(()).await;
}

fn main() {
    drop(answer(None));
}
