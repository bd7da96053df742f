#[tracium::tenant_scope(from = "acme", retries = 3)]
fn answer() {}

fn main() {
    answer();
}
