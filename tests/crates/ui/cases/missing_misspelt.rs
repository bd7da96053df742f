#[tracium::tenant_scope(from = tenant, missing = refuse)]
fn answer(tenant: &str) -> Result<usize, tracium::TenantError> {
    Ok(tenant.len())
}

fn main() {
    drop(answer("acme"));
}
