//! What an id may be, and that two never become one.

use tracium::{Context, TenantError, TenantId, set_tenant};

use crate::support::{Rule, assert_here, tenant, under};

pub(crate) const RULES: &[Rule] = rules![
    an_id_has_1_to_255_characters_and_no_control_characters,
    ids_that_differ_in_their_last_character_stay_two_tenants,
    ids_that_look_alike_stay_two_tenants,
    header_values_lead_back_to_the_one_id_that_they_came_from,
];

#[test]
fn an_id_has_1_to_255_characters_and_no_control_characters() {
    for id in ["a", " ", "50%", "Zürich-会社", "a/b\\c\"d", &"会".repeat(255)] {
        assert_eq!(tenant(id).as_str(), id);
        Context::root().run(|| {
            set_tenant(id).unwrap();
            assert_eq!(tracium::current_tenant().unwrap(), id);
        });
    }
    assert_eq!(TenantId::try_from(""), Err(TenantError::Empty));
    assert_eq!(TenantId::try_from("a".repeat(256)), Err(TenantError::TooLong { chars: 256 }));
    for id in ["a\nb", "a\rb", "\0", "\u{1b}[31m", "\u{7f}", "\u{85}"] {
        assert!(matches!(TenantId::try_from(id), Err(TenantError::ControlCharacter { .. })), "{id:?}");
    }
}

#[test]
fn ids_that_differ_in_their_last_character_stay_two_tenants() {
    let (ours, theirs) = ("x".repeat(254) + "1", "x".repeat(254) + "2");
    under(&ours).run(|| {
        assert!(matches!(set_tenant(&theirs), Err(TenantError::Conflict { .. })));
        set_tenant(&ours).unwrap();
    });
    let (ours, theirs) = (tenant(&ours), tenant(&theirs));
    assert_ne!(ours, theirs);
    assert_ne!(ours.to_header_value(), theirs.to_header_value());
    // One character more is no tenant, and not the one with a character less.
    Context::root().run(|| {
        assert!(set_tenant(format!("{ours}3")).is_err());
        assert_here(None);
    });
}

#[test]
fn ids_that_look_alike_stay_two_tenants() {
    for (ours, theirs) in [("acme", "Acme"), ("acme", "acme "), ("é", "e\u{301}"), ("a", "а"), ("%20", " ")] {
        under(ours).run(|| assert!(set_tenant(theirs).is_err(), "{ours:?} {theirs:?}"));
        assert_ne!(tenant(ours).to_header_value(), tenant(theirs).to_header_value());
    }
}

#[test]
fn header_values_lead_back_to_the_one_id_that_they_came_from() {
    for id in ["acme", " acme", "acme ", "50%", "%41", "a,b;c=d", "Zürich-会社", "é", "e\u{301}"] {
        let value = tenant(id).to_header_value();
        assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{value}");
        assert_eq!(value.trim(), value, "a proxy may trim it");
        assert_eq!(TenantId::from_header_value(&value).unwrap(), id);
    }
    assert!(TenantId::from_header_value("50%").is_err());
    assert!(TenantId::from_header_value("%0A").is_err());
}
