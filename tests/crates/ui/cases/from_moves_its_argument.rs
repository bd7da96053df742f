struct Request {
    tenant: String,
}

impl Request {
    fn into_tenant(self) -> String {
        self.tenant
    }
}

#[tracium::tenant_scope(from = request.into_tenant())]
fn answer(request: Request) -> usize {
    request.tenant.len()
}

fn main() {
    answer(Request { tenant: String::new() });
}
