#[tracium::tenant_scope(from = tenant, missing = reject)]
async fn answer(tenant: &str) -> usize {
    tenant.len()
}

fn main() {
    drop(answer("acme"));
}
