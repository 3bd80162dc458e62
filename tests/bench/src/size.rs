//! What a program of one call costs: crates, a cold release build, and the stripped program; ours beside others.
//!
//! Each program speaks TLS, gets its key from the environment and prints one thing. What does not build is left out.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// A program: name, dependencies, `main`.
const PROGRAMS: [(&str, &str, &str); 6] = [
    (
        "nomic-client",
        "nomic-client = { path = \"{}\" }",
        r#"fn main() -> nomic_client::Result<()> {
            println!("{:?}", nomic_client::Nomic::from_env()?.agent(&"a".into())?);
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

pub fn run() -> ExitCode {
    let folder = std::env::temp_dir().join(format!("nomic-bench-{}", std::process::id()));
    println!("{:20} {:>7} {:>11} {:>10}", "a program of one call", "crates", "cold build", "stripped");
    for (name, dependencies, main) in PROGRAMS {
        match build(&folder.join(name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")), dependencies, main) {
            Ok((crates, took, size)) => println!(
                "{name:20} {crates:>7} {:>9.1} s {:>6.2} MiB",
                took.as_secs_f64(),
                size as f64 / f64::from(1 << 20)
            ),
            Err(why) => println!("{name:20} does not build: {why}"),
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    println!("release profile with strip = true; the crates are the program's own and all that it links or runs");
    ExitCode::SUCCESS
}

/// Builds a program from nothing; its crates, seconds, and bytes.
fn build(folder: &Path, dependencies: &str, main: &str) -> Result<(usize, Duration, u64), String> {
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let manifest = format!(
        "[package]\nname = \"one-call\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n\
         [profile.release]\nstrip = true\n[dependencies]\n{}\n",
        dependencies.replace("{}", client)
    );
    let write = |path: &str, text: &str| std::fs::write(folder.join(path), text).map_err(|error| error.to_string());
    std::fs::create_dir_all(folder.join("src")).map_err(|error| error.to_string())?;
    write("Cargo.toml", &manifest)?;
    write("src/main.rs", main)?;
    // What is downloaded is not measured.
    cargo(folder, &["fetch"])?;
    let tree = cargo(folder, &["tree", "-e", "normal,build", "--prefix", "none", "--format", "{p}"])?;
    let crates: BTreeSet<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    let began = Instant::now();
    cargo(folder, &["build", "--release", "--offline"])?;
    let took = began.elapsed();
    let program = std::fs::metadata(folder.join("target/release/one-call")).map_err(|error| error.to_string())?;
    Ok((crates.len() - 1, took, program.len()))
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
