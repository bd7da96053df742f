//! Tenant ids: refused or kept as they are, and in every encoding different from every other one.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use tracium_runtime::{Context, TenantId};

fn is_legal(id: &str) -> bool {
    (1..=TenantId::MAX_CHARS).contains(&id.chars().count()) && !id.chars().any(char::is_control)
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let _ = TenantId::from_header_value(&text);
    let mut encoded: HashMap<String, &str> = HashMap::new();
    for id in text.split('\n').take(8) {
        let tenant = TenantId::try_from(id);
        assert_eq!(tenant.is_ok(), is_legal(id), "{id:?}");
        let Ok(tenant) = tenant else { continue };
        assert_eq!(tenant.as_str(), id);
        let header = tenant.to_header_value();
        assert!(header.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && header.trim() == header, "{header:?}");
        assert_eq!(TenantId::from_header_value(&header).as_ref(), Ok(&tenant));
        assert_eq!(*encoded.entry(header).or_insert(id), id, "two tenants became one");
        let mut carrier: Vec<(String, String)> = Vec::new();
        Context::root().with_tenant(tenant.clone()).inject(&mut carrier);
        assert_eq!(Context::extract(&carrier).tenant(), Some(&tenant), "{carrier:?}");
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<TenantId>(&json).unwrap().as_str(), id);
    }
});
