//! What `init` says of bad settings, as a program sees it: each case is a process of its own.

use std::process::Command;

/// What the programs below print.
fn run(case: &str, environment: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", case, "--nocapture", "--ignored"])
        .env_remove("TRACIUM_API_KEY")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "user code runs on: {text}");
    text
}

#[tracium::trace(agent = "bot")]
fn work() -> u32 {
    tracium::set_tenant("acme").unwrap();
    42
}

#[test]
#[ignore = "a program that the tests below run"]
fn program() {
    match tracium::init() {
        Ok(_guard) => println!("initialized"),
        Err(error) => println!("error: {error}"),
    }
    println!("answer: {}", work());
}

#[test]
#[ignore = "a program that the tests below run"]
fn program_that_initializes_twice() {
    let _guard = tracium::init();
    println!("second: {}", tracium::init().unwrap_err());
    println!("answer: {}", work());
}

/// A `main` as `#[tracium::main]` makes it.
mod annotated {
    #[tracium::main]
    #[tokio::main]
    pub(super) async fn main() -> Result<(), String> {
        tracium::set_tenant("acme").map_err(|error| error.to_string())?;
        println!("answer: {}", super::work());
        println!("tenant: {}", tracium::current_tenant().unwrap());
        Ok(())
    }
}

#[test]
#[ignore = "a program that the tests below run"]
fn annotated_program() {
    annotated::main().unwrap();
}

#[test]
fn each_bad_setting_is_an_error_that_says_which_variable_and_what_to_do() {
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 5] = [
        (&[("TRACIUM_EXPORTER", "rest")], &["TRACIUM_API_KEY", "set it"]),
        (&[("TRACIUM_API_KEY", "k"), ("TRACIUM_BASE_URL", "::")], &["TRACIUM_BASE_URL", "https://api.tracium.ai"]),
        (
            &[("TRACIUM_API_KEY", "k"), ("TRACIUM_BASE_URL", "http://example.com")],
            &["TRACIUM_BASE_URL", "https", "allow_http_host"],
        ),
        (&[("TRACIUM_EXPORTER", "kafka")], &["TRACIUM_EXPORTER", "kafka", "`console`"]),
        (&[("TRACIUM_DISABLED", "si")], &["TRACIUM_DISABLED", "`true` or `false`"]),
    ];
    for (environment, words) in cases {
        let text = run("program", environment);
        let error = text.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{text}"));
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert!(text.contains("answer: 42"), "{text}");
    }
}

#[test]
fn a_second_init_is_an_error_and_no_panic() {
    let text = run("program_that_initializes_twice", &[("TRACIUM_EXPORTER", "discard")]);
    assert!(text.contains("second: tracium is initialized already"), "{text}");
    assert!(text.contains("answer: 42"), "{text}");
}

#[test]
fn an_annotated_main_has_a_root_scope_and_runs_also_where_init_fails() {
    for exporter in ["discard", "none", "rest"] {
        let text = run("annotated_program", &[("TRACIUM_EXPORTER", exporter)]);
        assert!(text.contains("answer: 42") && text.contains("tenant: acme"), "{text}");
        assert_eq!(text.contains("TRACIUM_API_KEY is not set"), exporter == "rest", "{text}");
    }
}

#[test]
fn disabled_or_off_nothing_is_exported_and_nothing_is_said() {
    for environment in [("TRACIUM_DISABLED", "1"), ("TRACIUM_EXPORTER", "none")] {
        let text = run("program", &[environment]);
        assert!(text.contains("initialized") && text.contains("answer: 42"), "{text}");
        assert!(!text.contains("bot"), "{text}");
    }
}
