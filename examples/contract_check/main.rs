//! Compares a real instance with the contract: `cargo run --example contract_check [-- --write]`.
//!
//! The API is experimental, and its vendor recommends testing after an instance is upgraded. This program calls every
//! read operation that the key's scopes allow. For each it prints the status, what was decoded, unknown fields, missing
//! fields, and values that the contract does not list. It changes nothing unless `--write` is given: then it also
//! uploads a small file, parses it, extracts values from it, launches an agent on it, and deletes the agent. If an
//! operation is not at its inferred path, it looks for the right one. It exits with 1 if a response contradicts the
//! documentation, or a documented operation could not be checked.
//!
//! `--report FILE` writes the shapes of all responses to a file that can be posted: it has no values, only their types.

mod check;
mod compare;
mod documented;
mod finding;
#[path = "../instance/mod.rs"]
mod instance;
mod known_values;
mod likely_paths;
#[path = "../instance/operation_path.rs"]
mod operation_path;
mod reads;
mod report;
mod shape;
mod writes;

use std::error::Error;
use std::fs::File;
use std::path::PathBuf;

use check::Check;
use clap::Parser;
use operation_path::operation_path;

/// Compare an instance with the contract of the API
///
/// Looks for the paths of inferred operations that are not found. Exits with 1 if a response contradicts the documentation,
/// or a documented operation could not be checked.
#[derive(Parser)]
struct Args {
    /// Also upload, parse and extract a small file, run an agent on it, and delete the agent. Your organization is billed
    #[arg(long)]
    write: bool,
    /// Send an operation to another path, e.g. get_parse=/tasks/{taskId}; repeatable
    #[arg(long = "path", value_name = "OPERATION=PATH", value_parser = operation_path)]
    paths: Vec<(String, String)>,
    /// Write the types of all values to this file, as JSON without the values, e.g. to post them
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let cannot_write = |error| format!("--report: {error}");
    // Before anything is billed.
    let report = args.report.map(File::create).transpose().map_err(cannot_write)?;
    let (builder, _emulator) = instance::builder()?;
    let mut check = Check::new(builder, args.paths)?;
    let agent = if args.write { check.writes() } else { None };
    check.reads(agent.as_ref());
    if let Some(agent) = agent {
        check.delete(&agent);
    }

    // Nothing is printed before: a closed pipe must not leave the agent behind, or prevent the report.
    let written = report.map_or(Ok(()), |file| report::write(file, &check.findings));
    for finding in &check.findings {
        println!("{finding}");
    }
    let count = |is: fn(&finding::Finding) -> bool| check.findings.iter().filter(|finding| is(finding)).count();
    let (broken, failed) = (count(|finding| finding.broken), count(|finding| finding.failed));
    println!("\n{} operations checked; {broken} contradict the documentation", check.findings.len() - failed);
    written.map_err(cannot_write)?;
    match (broken, failed) {
        (0, 0) => Ok(()),
        (0, _) => Err(format!("{failed} of {} operations could not be checked", check.findings.len()).into()),
        _ => Err("the instance contradicts the documentation".into()),
    }
}
