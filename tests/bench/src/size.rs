//! What a program of one call costs: crates, a cold release build, and the stripped program; ours beside others.
//!
//! Each program speaks TLS, gets its key from the environment and prints one thing. What does not build is left out.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::table::median;

/// A program: name, dependencies, `main`.
type Program = (&'static str, &'static str, &'static str);

const PROGRAMS: [Program; 6] = [
    (
        "nomic-client",
        "nomic-client = { path = \"{}\" }",
        r#"fn main() -> nomic_client::Result<()> {
            println!("{:?}", nomic_client::Nomic::from_env()?.agent("a")?);
            Ok(())
        }"#,
    ),
    (
        "ureq, serde_json",
        "ureq = \"3\"\nserde_json = \"1\"",
        r#"fn main() -> Result<(), Box<dyn std::error::Error>> {
            let key = std::env::var("KEY")?;
            let mut answer = ureq::get("https://acme.nomic.ai/a").header("authorization", &key).call()?;
            println!("{:?}", serde_json::from_slice::<serde_json::Value>(&answer.body_mut().read_to_vec()?)?);
            Ok(())
        }"#,
    ),
    (
        "reqwest blocking",
        "reqwest = { version = \"0.12\", default-features = false, features = [\"blocking\", \"json\", \"rustls-tls\"] }\n\
         serde_json = \"1\"",
        r#"fn main() -> Result<(), Box<dyn std::error::Error>> {
            let client = reqwest::blocking::Client::new();
            let answer = client.get("https://acme.nomic.ai/a").bearer_auth(std::env::var("KEY")?).send()?;
            println!("{:?}", answer.json::<serde_json::Value>()?);
            Ok(())
        }"#,
    ),
    (
        "hf-hub 0.5, ureq",
        "hf-hub = { version = \"0.5\", default-features = false, features = [\"ureq\", \"rustls-tls\"] }",
        r#"fn main() -> Result<(), Box<dyn std::error::Error>> {
            let api = hf_hub::api::sync::ApiBuilder::new().with_token(std::env::var("KEY").ok()).build()?;
            println!("{:?}", api.model("a".into()).info()?);
            Ok(())
        }"#,
    ),
    (
        "octocrab",
        "octocrab = \"0.49\"\ntokio = { version = \"1\", features = [\"rt-multi-thread\", \"macros\"] }",
        r#"#[tokio::main]
        async fn main() -> Result<(), Box<dyn std::error::Error>> {
            let hub = octocrab::Octocrab::builder().personal_token(std::env::var("KEY")?).build()?;
            println!("{:?}", hub.repos("a", "b").get().await?);
            Ok(())
        }"#,
    ),
    (
        "aws-sdk-textract",
        "aws-config = \"1\"\naws-sdk-textract = \"1\"\ntokio = { version = \"1\", features = [\"rt-multi-thread\", \"macros\"] }",
        r#"#[tokio::main]
        async fn main() -> Result<(), Box<dyn std::error::Error>> {
            let client = aws_sdk_textract::Client::new(&aws_config::load_from_env().await);
            println!("{:?}", client.get_document_analysis().job_id("a").send().await?);
            Ok(())
        }"#,
    ),
];

/// Build scripts of one call, and none: name, build dependencies, `main`.
const BUILD_SCRIPTS: [Program; 3] = [
    ("no build script", "", "fn main() {}"),
    (PROGRAMS[0].0, PROGRAMS[0].1, PROGRAMS[0].2),
    (PROGRAMS[1].0, PROGRAMS[1].1, PROGRAMS[1].2),
];

/// Builds of those that are quick enough to be repeated.
const ROUNDS: usize = 5;
const QUICK: Duration = Duration::from_secs(90);

/// What a build from nothing came to.
struct Built {
    crates: usize,
    took: Vec<Duration>,
    /// Of all processors together.
    worked: Vec<Duration>,
    bytes: u64,
}

/// Builds all, or those with one of these words in their name.
pub fn run(only: &[&str]) -> ExitCode {
    println!("a program of one call, release profile with strip = true; built from nothing, median of {ROUNDS} rounds");
    println!("(one round of those that take longer than {} s)", QUICK.as_secs());
    let chosen = |programs: &[Program]| -> Vec<Program> {
        let named = |name: &str| only.is_empty() || only.iter().any(|word| name.contains(word));
        programs.iter().filter(|(name, ..)| named(name)).copied().collect()
    };
    table(&chosen(&PROGRAMS), false);
    println!("a package with a build script of one call, as `cargo build` makes it; the script is built, not run");
    table(&chosen(&BUILD_SCRIPTS), true);
    println!("crates: all that is linked or run, without the program's own");
    ExitCode::SUCCESS
}

fn table(programs: &[Program], as_build_script: bool) {
    let folder = std::env::temp_dir().join(format!("nomic-bench-{}", std::process::id()));
    let mut built: Vec<Result<Built, String>> = Vec::new();
    for round in 0..ROUNDS {
        for (index, (name, dependencies, main)) in programs.iter().enumerate() {
            let folder = folder.join(name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
            if round == 0 {
                let first = prepare(&folder, dependencies, main, as_build_script);
                built.push(first.and_then(|crates| build(&folder, crates, as_build_script)));
            } else if let Some(Ok(first)) = built.get_mut(index).filter(|first| quick(first))
                && let Ok(again) = build(&folder, first.crates, as_build_script)
            {
                first.took.extend(again.took);
                first.worked.extend(again.worked);
            }
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    println!("{:20} {:>7} {:>11} {:>14} {:>10}", "", "crates", "cold build", "processor time", "program");
    for ((name, ..), built) in programs.iter().zip(&built) {
        match built {
            Ok(built) => println!(
                "{name:20} {:>7} {:>9.1} s {:>12.1} s {:>6.2} MiB",
                built.crates,
                median(&built.took).as_secs_f64(),
                median(&built.worked).as_secs_f64(),
                built.bytes as f64 / f64::from(1 << 20)
            ),
            Err(why) => println!("{name:20} does not build: {why}"),
        }
    }
}

fn quick(first: &Result<Built, String>) -> bool {
    first.as_ref().is_ok_and(|first| first.took[0] < QUICK)
}

/// Writes a package and fetches what it needs: that is not measured. Gives the number of its crates.
fn prepare(folder: &Path, dependencies: &str, main: &str, as_build_script: bool) -> Result<usize, String> {
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let section = if as_build_script { "build-dependencies" } else { "dependencies" };
    let manifest = format!(
        "[package]\nname = \"one-call\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n\
         [profile.release]\nstrip = true\n[{section}]\n{}\n",
        dependencies.replace("{}", client)
    );
    let write = |path: &str, text: &str| std::fs::write(folder.join(path), text).map_err(|error| error.to_string());
    std::fs::create_dir_all(folder.join("src")).map_err(|error| error.to_string())?;
    write("Cargo.toml", &manifest)?;
    let empty = "fn main() {}";
    if as_build_script && !dependencies.is_empty() {
        // It builds, and calls nobody: nobody is there.
        let call = main.replace("fn main()", "fn call()");
        let script = r#"fn main() { if std::env::var_os("NOMIC_CALL").is_some() { let _ = call(); } }"#;
        write("build.rs", &format!("{call}\n{script}\n"))?;
    }
    write("src/main.rs", if as_build_script { empty } else { main })?;
    cargo(folder, &["fetch"])?;
    let tree = cargo(folder, &["tree", "-e", "normal,build", "--prefix", "none", "--format", "{p}"])?;
    let crates: BTreeSet<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    Ok(crates.len() - 1)
}

/// Builds a package from nothing.
fn build(folder: &Path, crates: usize, as_build_script: bool) -> Result<Built, String> {
    let _ = std::fs::remove_dir_all(folder.join("target"));
    let (kind, flags): (&str, &[&str]) = if as_build_script {
        ("debug", &["build", "--offline"])
    } else {
        ("release", &["build", "--offline", "--release"])
    };
    let (began, worked) = (Instant::now(), time_of_children());
    cargo(folder, flags)?;
    let (took, worked) = (began.elapsed(), time_of_children() - worked);
    let program = folder.join("target").join(kind).join("one-call");
    let bytes = std::fs::metadata(program).map_err(|error| error.to_string())?.len();
    Ok(Built { crates, took: vec![took], worked: vec![worked], bytes })
}

/// The processor time of all processes that this one started and that have ended.
fn time_of_children() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: u64 = fields[13..15].iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    // A tick is a hundredth of a second, whatever the kernel's own clock.
    Duration::from_millis(ticks * 10)
}

fn cargo(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut cargo = Command::new(program);
    let output = cargo.args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", folder.join("target")).output();
    let output = output.map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let errors = text(&output.stderr);
    Err(errors.lines().find(|line| line.starts_with("error")).unwrap_or("cargo failed").to_owned())
}
