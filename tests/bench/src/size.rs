//! The cost of a program with one call: crates, clean release build, and stripped binary.
//!
//! Each program uses TLS, reads its key from the environment and prints one result. Build failures are reported and skipped.

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

/// Build scripts with one call, and a package without one: name, build dependencies, `main`.
const BUILD_SCRIPTS: [Program; 3] = [
    ("no build script", "", "fn main() {}"),
    (PROGRAMS[0].0, PROGRAMS[0].1, PROGRAMS[0].2),
    (PROGRAMS[1].0, PROGRAMS[1].1, PROGRAMS[1].2),
];

/// The rounds for programs that build within [`QUICK`]; the others are built once.
const ROUNDS: usize = 5;
const QUICK: Duration = Duration::from_secs(90);

/// The result of clean builds.
struct Built {
    crates: usize,
    took: Vec<Duration>,
    /// The CPU time.
    cpu: Vec<Duration>,
    bytes: u64,
}

/// Builds all programs, or those whose name contains one of these words.
pub fn run(only: &[&str]) -> ExitCode {
    println!("a program with one call, release profile with strip = true; clean build, median of {ROUNDS} rounds");
    println!("(one round if the build takes longer than {} s)", QUICK.as_secs());
    let chosen = |programs: &[Program]| -> Vec<Program> {
        let named = |name: &str| only.is_empty() || only.iter().any(|word| name.contains(word));
        programs.iter().filter(|(name, ..)| named(name)).copied().collect()
    };
    table(&chosen(&PROGRAMS), false);
    println!("a package with a build script with one call; `cargo build`, which does not make the call");
    table(&chosen(&BUILD_SCRIPTS), true);
    println!("crates: all normal and build dependencies");
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
                first.cpu.extend(again.cpu);
            }
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    println!("{:20} {:>7} {:>11} {:>14} {:>10}", "", "crates", "clean build", "CPU time", "binary");
    for ((name, ..), built) in programs.iter().zip(&built) {
        match built {
            Ok(built) => println!(
                "{name:20} {:>7} {:>9.1} s {:>12.1} s {:>6.2} MiB",
                built.crates,
                median(&built.took).as_secs_f64(),
                median(&built.cpu).as_secs_f64(),
                built.bytes as f64 / f64::from(1 << 20)
            ),
            Err(error) => println!("{name:20} does not build: {error}"),
        }
    }
}

fn quick(first: &Result<Built, String>) -> bool {
    first.as_ref().is_ok_and(|first| first.took[0] < QUICK)
}

/// Writes a package and fetches its dependencies, outside of the measured time. Returns the number of crates.
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
        // The script makes no call when it runs: there is no server.
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

/// Makes a clean build of a package.
fn build(folder: &Path, crates: usize, as_build_script: bool) -> Result<Built, String> {
    let _ = std::fs::remove_dir_all(folder.join("target"));
    let (kind, flags): (&str, &[&str]) = if as_build_script {
        ("debug", &["build", "--offline"])
    } else {
        ("release", &["build", "--offline", "--release"])
    };
    let (began, cpu) = (Instant::now(), cpu_time_of_children());
    cargo(folder, flags)?;
    let (took, cpu) = (began.elapsed(), cpu_time_of_children() - cpu);
    let program = folder.join("target").join(kind).join("one-call");
    let bytes = std::fs::metadata(program).map_err(|error| error.to_string())?.len();
    Ok(Built { crates, took: vec![took], cpu: vec![cpu], bytes })
}

/// The CPU time of all child processes that have exited.
fn cpu_time_of_children() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: u64 = fields[13..15].iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    // Linux reports ticks of 1/100 s to user space.
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
