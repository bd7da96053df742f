#[tracium::tenant_scope(from = tenant, missing = reject)]
fn answer(tenant: &str) {
    drop(tenant.len());
}

fn main() {
    answer("acme");
}
