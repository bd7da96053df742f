struct Error;

#[tracium::tenant_scope(from = tenant, missing = reject)]
fn answer(tenant: &str) -> Result<usize, Error> {
    if tenant.is_empty() { Err(Error) } else { Ok(tenant.len()) }
}

fn main() {
    drop(answer("acme"));
}
