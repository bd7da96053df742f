//! Tenancy does not depend on telemetry: its tests hold whether it is on, off, disabled or not initialized yet.
//!
//! A process is initialized once, so each state has a process of its own.

use std::thread;

use tracium::set_tenant;

use crate::support::{Rule, again, assert_here, pause, state};

const RULES: &[&[Rule]] = &[
    crate::carried::RULES,
    crate::ids::RULES,
    crate::isolation::RULES,
    crate::panics::RULES,
    crate::set_tenant::RULES,
    crate::spawned::RULES,
    crate::streams::RULES,
    crate::tenant_scope::RULES,
];

/// Puts the process into `state`; whether traces are recorded in it.
#[cfg(feature = "collect")]
fn enter(state: &str) -> (Option<tracium::Guard>, bool) {
    use tracium::ExporterKind;
    let guard = match state {
        "before-init" => None,
        "disabled" => Some(tracium::builder().disabled(true).init().unwrap()),
        "none" => Some(tracium::builder().exporter(ExporterKind::None).init().unwrap()),
        "discard" => Some(tracium::builder().exporter(ExporterKind::Discard).init().unwrap()),
        other => panic!("no state {other}"),
    };
    (guard, state == "discard")
}

#[cfg(not(feature = "collect"))]
fn enter(state: &str) -> (Option<tracium::Guard>, bool) {
    ((state == "disabled").then(|| tracium::init().unwrap()), false)
}

#[test]
fn tenant_rules_hold_in_the_state_asked_for() {
    let Some(state) = state() else { return };
    let (guard, recorded) = enter(&state);
    tracium::start_trace("worker").run(|| assert_eq!(tracium::current_trace().is_recording(), recorded));
    let mut broken = Vec::new();
    for (name, rule) in RULES.iter().copied().flatten() {
        // The thread's name is what a panic tells first.
        let thread = thread::Builder::new().name((*name).to_owned()).spawn(rule).unwrap();
        if thread.join().is_err() {
            broken.push(*name);
        }
    }
    assert!(broken.is_empty(), "in the state `{state}` these do not hold: {broken:#?}");
    drop(guard);
    println!("all hold: {}", RULES.iter().map(|rules| rules.len()).sum::<usize>());
}

fn assert_all_hold(state: &str) {
    let text = again("states::tenant_rules_hold_in_the_state_asked_for", state, &[]);
    assert!(text.contains("all hold: "), "{text}");
}

#[test]
fn tenant_rules_hold_before_init() {
    assert_all_hold("before-init");
}

#[test]
fn tenant_rules_hold_when_disabled() {
    assert_all_hold("disabled");
}

#[test]
#[cfg(feature = "collect")]
fn tenant_rules_hold_with_no_exporter() {
    assert_all_hold("none");
}

#[test]
#[cfg(feature = "collect")]
fn tenant_rules_hold_while_collecting() {
    assert_all_hold("discard");
}

#[tracium::main]
#[tokio::main(flavor = "current_thread")]
async fn program() -> &'static str {
    assert_here(None);
    set_tenant("acme").unwrap();
    pause().await;
    assert_here("acme");
    "asynchronous"
}

#[tracium::main]
fn program_without_a_runtime() -> &'static str {
    assert_here(None);
    set_tenant("acme").unwrap();
    assert_here("acme");
    "synchronous"
}

#[test]
fn as_a_program() {
    let Some(state) = state() else { return };
    let ran = match state.as_str() {
        "asynchronous" => program(),
        _ => program_without_a_runtime(),
    };
    assert_here(None);
    println!("ran {ran}");
}

#[test]
fn a_programs_main_is_a_scope() {
    for state in ["asynchronous", "synchronous"] {
        for settings in [("TRACIUM_DISABLED", "true"), ("TRACIUM_EXPORTER", "discard"), ("TRACIUM_EXPORTER", "wrong")] {
            let text = again("states::as_a_program", state, &[settings]);
            assert!(text.contains(&format!("ran {state}")), "{text}");
        }
    }
}
