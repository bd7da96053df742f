#[tracium::tenant_scope(from = count)]
fn answer(count: usize) -> usize {
    count
}

fn main() {
    answer(3);
}
