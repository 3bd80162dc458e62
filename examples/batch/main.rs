//! Parses every document of a folder into a JSON file: `cargo run --example batch -- drawings/ parsed/ 8`.
//!
//! A run can be killed at any time and resumed. `manifest.jsonl` in the results folder records every step of every
//! document before the next one starts: an upload that is recorded is not repeated, and no document is submitted twice
//! unless its content changes. Without an API key the batch uses an emulator; such a run cannot be resumed, because the
//! emulator ends with it.

mod content_hash;
mod folder;
#[path = "../instance/mod.rs"]
mod instance;
mod manifest;
mod process;
mod record;
mod summary;
mod workers;

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use manifest::Manifest;
use process::Batch;
use record::{Origin, with_path};

/// What the functions of this example return.
pub(crate) type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// Parse every document of a folder into a JSON file; a run can be killed and resumed
#[derive(Parser)]
#[command(name = "batch")]
struct Args {
    /// The folder with the documents
    folder: PathBuf,
    /// The folder for the results
    results: PathBuf,
    /// The number of documents to process at the same time
    #[arg(default_value = "8")]
    threads: NonZero<usize>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Displayed, not debugged: a message may hold a line to copy into the manifest.
            let _ = writeln!(io::stderr(), "batch: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result {
    let Args { folder, results, threads } = args;
    let documents = folder::documents(folder)?;
    fs::create_dir_all(results).map_err(with_path(results))?;
    if folder.canonicalize().map_err(with_path(folder))? == results.canonicalize().map_err(with_path(results))? {
        let message = "RESULTS must not be FOLDER: the next run would parse the results";
        Args::command().error(ErrorKind::ValueValidation, message).exit();
    }

    let (nomic, emulator) = instance::connect()?;
    let manifest = Manifest::open(&results.join("manifest.jsonl"), &Origin::of(&nomic, emulator.as_ref()))?;
    let batch = Batch { nomic, manifest, results };
    let start = Instant::now();
    let (outcomes, abort_reason) = workers::process_all(&batch, &documents, threads.get());
    summary::write(io::stdout().lock(), &batch, &documents, &outcomes, start.elapsed())
        .map_err(|error| format!("cannot write to standard output: {error}"))?;

    let done = outcomes.values().filter(|outcome| outcome.is_ok()).count();
    match (abort_reason, documents.len() - done) {
        (Some(reason), _) => Err(format!("stopped, because every other document would fail too: {reason}").into()),
        (None, 0) => Ok(()),
        (None, failed) => Err(format!("{failed} of {} documents have no result", documents.len()).into()),
    }
}
