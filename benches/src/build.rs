//! What the attributes cost those who compile: the macros from clean, and a thousand annotated functions.
//!
//! It runs cargo in a directory of its own, with the versions of the workspace's lock file, and takes some minutes; so
//! only by name.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::sides::Plan;
use crate::table::{Findings, Table, ratio};

/// The macros from clean, over those of `tracing`.
const MACROS_AT_MOST: f64 = 1.3;
/// A thousand functions under our attribute, over as many under `tracing::instrument`.
const FUNCTIONS_AT_MOST: f64 = 1.2;

pub(crate) fn report(plan: Plan, findings: &mut Findings) -> Result<(), String> {
    let place = Place::new()?;
    let rounds = plan.pick(3, 1);
    macros(&place, rounds, findings)?;
    functions(&place, rounds, findings)
}

fn macros(place: &Place, rounds: usize, findings: &mut Findings) -> Result<(), String> {
    let ours = place.package("macros", "tracium-macros = { path = \"{root}/tracium-macros\" }", "")?;
    let theirs = place.package("tracing-macros", "tracing-attributes = \"0.1\"", "")?;
    let clean = |package: &Path| {
        fs::remove_dir_all(package.join("target")).ok();
        seconds(package, "build")
    };
    let [ours, theirs] = medians(rounds, [&ours, &theirs], clean)?;
    let mut table =
        Table::new("The macros from clean, debug build, in seconds", &["", "seconds", "over tracing", "goal"]);
    table.row(vec!["tracing-attributes".to_owned(), format!("{theirs:.2}"), String::new(), String::new()]);
    let goal = findings.goal("macros from clean", ours / theirs, MACROS_AT_MOST, "at most 1.3");
    table.row(vec!["tracium-macros".to_owned(), format!("{ours:.2}"), ratio(ours, theirs), goal]);
    findings.add(table);
    Ok(())
}

fn functions(place: &Place, rounds: usize, findings: &mut Findings) -> Result<(), String> {
    let tracing = "tracing = { version = \"0.1\", default-features = false, features = [\"attributes\", \"std\"] }";
    let tracium = "tracium = { path = \"{root}\", default-features = false }";
    let packages = [
        place.package("plain", "", &source(""))?,
        place.package("instrumented", tracing, &source("#[tracing::instrument]"))?,
        place.package("skipping", tracing, &source("#[tracing::instrument(skip_all)]"))?,
        place.package("annotated", tracium, &source("#[tracium::span(kind = \"tool\")]"))?,
    ];
    let packages = packages.each_ref().map(PathBuf::as_path);
    let names = ["none", "tracing::instrument", "tracing::instrument(skip_all)", "tracium::span"];
    let header = ["attribute", "check", "build", "over tracing: check", "build", "goal"];
    let mut table = Table::new("1,000 functions, half of them async, debug, in seconds", &header);
    let again = |what: &'static str| {
        move |package: &Path| {
            let file = package.join("lib.rs");
            let source = fs::read_to_string(&file).map_err(|error| error.to_string())?;
            fs::write(&file, source + "\n").map_err(|error| error.to_string())?;
            seconds(package, what)
        }
    };
    for package in packages {
        seconds(package, "check")?;
        seconds(package, "build")?;
    }
    let check = medians(rounds, packages, again("check"))?;
    let build = medians(rounds, packages, again("build"))?;
    let [_, instrument_check, _, _] = check;
    let [_, instrument_build, _, _] = build;
    for (name, (check, build)) in names.into_iter().zip(check.into_iter().zip(build)) {
        let ours = name.starts_with("tracium");
        let goal = if ours {
            let worse = (check / instrument_check).max(build / instrument_build);
            findings.goal("1,000 functions", worse, FUNCTIONS_AT_MOST, "at most 1.2")
        } else {
            String::new()
        };
        let over = [ratio(check, instrument_check), ratio(build, instrument_build)];
        let [over_check, over_build] = if ours { over } else { [const { String::new() }; 2] };
        table.row(vec![name.to_owned(), format!("{check:.2}"), format!("{build:.2}"), over_check, over_build, goal]);
    }
    findings.add(table);
    Ok(())
}

/// What services have: arguments, a loop, an early error, an `.await`.
fn source(attribute: &str) -> String {
    let mut source = String::new();
    for number in 0..500 {
        let _ = write!(
            source,
            "{attribute}
pub async fn asynchronous_{number}(question: String, limit: usize) -> Result<String, std::fmt::Error> {{
    if limit == {number} {{
        return Err(std::fmt::Error);
    }}
    let mut parts = Vec::new();
    for word in question.split(' ').take(limit) {{
        parts.push(word.to_owned());
    }}
    std::future::ready(()).await;
    Ok(parts.join(\"-\"))
}}

{attribute}
pub fn sync_{number}(text: &str, numbers: &[u64]) -> Result<u64, std::num::ParseIntError> {{
    let first: u64 = text.parse()?;
    Ok(first + numbers.iter().filter(|number| *number % 2 == 0).sum::<u64>())
}}

"
        );
    }
    source
}

/// One round after the other, so that what else the machine does falls on all.
fn medians<const N: usize>(
    rounds: usize,
    packages: [&Path; N],
    measure: impl Fn(&Path) -> Result<f64, String>,
) -> Result<[f64; N], String> {
    let mut samples = [const { Vec::new() }; N];
    for _ in 0..rounds {
        for (samples, package) in samples.iter_mut().zip(packages) {
            samples.push(measure(package)?);
        }
    }
    Ok(samples.map(|mut samples| {
        samples.sort_by(f64::total_cmp);
        samples[samples.len() / 2]
    }))
}

/// How long cargo takes for `what`.
fn seconds(package: &Path, what: &str) -> Result<f64, String> {
    let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo.args([what, "--quiet", "--offline"]).current_dir(package).env("CARGO_TARGET_DIR", package.join("target"));
    cargo.env("CARGO_INCREMENTAL", "0").env_remove("RUSTFLAGS").stdout(Stdio::null());
    let begun = Instant::now();
    let status = cargo.status().map_err(|error| format!("cargo: {error}"))?;
    let taken = begun.elapsed().as_secs_f64();
    if status.success() { Ok(taken) } else { Err(format!("cargo {what} failed in {}", package.display())) }
}

/// A directory that goes when this is dropped.
struct Place(PathBuf);

impl Place {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("tracium-benches-build-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// A package with one dependency, in which `{root}` is the workspace.
    fn package(&self, name: &str, dependency: &str, source: &str) -> Result<PathBuf, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let package = self.0.join(name);
        let dependency = dependency.replace("{root}", &root.display().to_string());
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\npath = \"lib.rs\"\n\n\
             [dependencies]\n{dependency}\n\n[workspace]\n"
        );
        let lock = include_str!("../../Cargo.lock");
        fs::create_dir_all(&package)
            .and_then(|()| fs::write(package.join("Cargo.toml"), manifest))
            .and_then(|()| fs::write(package.join("Cargo.lock"), lock))
            .and_then(|()| fs::write(package.join("lib.rs"), source))
            .map_err(|error| format!("{}: {error}", package.display()))?;
        Ok(package)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
