async fn find(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[tracium::tenant_scope(from = find(name).await)]
fn answer(name: &str) -> usize {
    name.len()
}

fn main() {
    answer("acme");
    drop(find("acme"));
}
