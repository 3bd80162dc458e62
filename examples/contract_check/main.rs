//! Compares a real instance with the contract: `cargo run --example contract_check [-- --write]`.
//!
//! The API is experimental, and its vendor recommends testing after an instance is upgraded. This program calls every
//! read operation that the key's scopes allow. For each it prints the status, what was decoded, unknown fields, missing
//! fields, and values that the contract does not list. It changes nothing unless `--write` is given: then it also
//! uploads a small file, parses it, extracts values from it, launches an agent on it, and deletes the agent. It exits
//! with 1 if a response contradicts the documentation, or if an operation has no response of the API, e.g. because a proxy
//! responds instead.

mod compare;
mod documented;
mod finding;
#[path = "../instance/mod.rs"]
mod instance;
mod known_values;
mod reads;
mod writes;

use std::error::Error;

use clap::Parser;

/// Compare an instance with the contract of the API
///
/// Exits with 1 if a response contradicts the documentation, or if an operation has no response of the API.
#[derive(Parser)]
struct Args {
    /// Also upload, parse and extract a small file, and run and delete an agent on it. Your organization is billed
    #[arg(long)]
    write: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let (nomic, _emulator) = instance::connect()?;
    let mut findings = Vec::new();
    let agent = if args.write { writes::check(&nomic, &mut findings) } else { None };
    reads::check(&nomic, agent.as_ref(), &mut findings);
    if let Some(agent) = agent {
        writes::delete(&nomic, &agent, &mut findings);
    }

    // Nothing is printed before: a closed pipe must not leave the agent behind.
    for finding in &findings {
        println!("{finding}");
    }
    let broken = findings.iter().filter(|finding| finding.broken).count();
    let unanswered = findings.iter().filter(|finding| finding.unanswered).count();
    let suffix = if unanswered > 0 { format!("; {unanswered} have no response of the API") } else { String::new() };
    println!("\n{} operations checked; {broken} contradict the documentation{suffix}", findings.len());
    match (broken, unanswered) {
        (0, 0) => Ok(()),
        (0, _) => Err("the check is incomplete: some operations have no response of the API".into()),
        _ => Err("the instance contradicts the documentation".into()),
    }
}
