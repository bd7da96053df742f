#[tracium::tenant_scope(missing = none)]
fn answer() {}

fn main() {
    answer();
}
