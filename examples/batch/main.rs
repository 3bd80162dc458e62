//! Parses every document of a folder into a JSON file: `cargo run --example batch -- drawings/ parsed/ 8`.
//!
//! A run can be killed at any time and resumed. `manifest.jsonl` in the results folder records every step of every
//! document before the next one starts: an upload that is recorded is not repeated, and no document is submitted twice
//! unless its content changes. Without an API key the batch uses an emulator; such a run cannot be resumed, because the
//! emulator ends with it.

mod document;
#[path = "../instance/mod.rs"]
mod instance;
mod manifest;
#[path = "../instance/record.rs"]
mod record;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use document::{Batch, Failure, Pages};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use instance::{Result, note, outln, usage_error};
use manifest::Manifest;
use record::{Origin, with_path};

const USAGE: &str = "\
usage: batch FOLDER RESULTS [THREADS]
Parses every document of FOLDER into a JSON file in RESULTS, 8 at a time; can be killed and resumed.";

fn main() -> ExitCode {
    instance::run_example("batch", USAGE, run)
}

fn run(arguments: Vec<OsString>) -> Result {
    let [folder, results, threads @ ..] = &arguments[..] else {
        return Err(usage_error("FOLDER and RESULTS are required"));
    };
    let threads = match threads {
        [] => 8,
        [threads] => match threads.to_str().and_then(|threads| threads.parse::<NonZero<usize>>().ok()) {
            Some(threads) => threads.get(),
            None => {
                let message = format!("THREADS must be a positive number, not {}", threads.to_string_lossy());
                return Err(usage_error(message));
            }
        },
        _ => return Err(usage_error("too many arguments")),
    };
    let (folder, results) = (Path::new(folder), Path::new(results));
    let documents = documents(folder)?;
    fs::create_dir_all(results).map_err(with_path(results))?;
    if folder.canonicalize().map_err(with_path(folder))? == results.canonicalize().map_err(with_path(results))? {
        return Err(usage_error("RESULTS must not be FOLDER: the next run would parse the results"));
    }

    let (nomic, emulator) = instance::connect()?;
    let manifest = Manifest::open(&results.join("manifest.jsonl"), &Origin::of(&nomic, emulator.as_ref()))?;
    let batch = Batch { nomic, manifest, results };
    let start = Instant::now();
    let (outcomes, abort_reason) = process_all(&batch, &documents, threads);

    let failed = outcomes.values().filter(|outcome| outcome.is_err()).count() + documents.len() - outcomes.len();
    let printed = print_summary(&batch, &outcomes, &documents, start);
    match abort_reason {
        Some(reason) => Err(format!("stopped, because every other document would fail too: {reason}").into()),
        None if failed > 0 => Err(format!("{failed} of {} documents have no result", documents.len()).into()),
        None => printed,
    }
}

/// The names and paths of the documents in a folder. Prints a note for every other entry.
fn documents(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut documents = Vec::new();
    for entry in fs::read_dir(folder).map_err(with_path(folder))? {
        let path = entry.map_err(with_path(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_str().map(str::to_owned);
        let reason = match (&name, fs::metadata(&path)) {
            (None, _) => "its name is not Unicode".to_owned(),
            (Some(name), _) if name.starts_with('.') => "it is hidden".to_owned(),
            (_, Ok(metadata)) if metadata.is_dir() => "it is a folder".to_owned(),
            (_, Ok(metadata)) if !metadata.is_file() => "it is not a regular file".to_owned(),
            (_, Err(error)) => error.to_string(),
            (Some(name), Ok(_)) => {
                documents.push((name.clone(), path));
                continue;
            }
        };
        note(format_args!("{} is skipped: {reason}", path.display()));
    }
    documents.sort();
    Ok(documents)
}

/// Processes the documents on several threads. Returns the outcome of each document that was tried, and the reason if
/// the batch was aborted.
fn process_all(
    batch: &Batch,
    documents: &[(String, PathBuf)],
    threads: usize,
) -> (BTreeMap<String, Pages>, Option<String>) {
    let bars = MultiProgress::new();
    let overall = ProgressBar::new(documents.len() as u64).with_style(style("{pos} of {len} {wide_bar} {eta}"));
    let overall = bars.add(overall);
    let (next, abort_reason) = (AtomicUsize::new(0), OnceLock::new());
    let outcomes = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(documents.len()) {
            scope.spawn(|| {
                let bar = bars.add(ProgressBar::no_length().with_style(style("  {spinner} {wide_msg} {bytes}")));
                while abort_reason.get().is_none()
                    && let Some((name, path)) = documents.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let outcome = batch.process(name, path, &bar);
                    if let Err(Failure::Batch(reason)) = &outcome {
                        abort_reason.get_or_init(|| reason.clone());
                    }
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), outcome);
                    overall.inc(1);
                }
                bar.finish_and_clear();
            });
        }
    });
    overall.finish_and_clear();
    (outcomes.into_inner().unwrap_or_else(PoisonError::into_inner), abort_reason.into_inner())
}

fn print_summary(
    batch: &Batch,
    outcomes: &BTreeMap<String, Pages>,
    documents: &[(String, PathBuf)],
    start: Instant,
) -> Result {
    outln!("{:40} {:>6}  {}", "document", "pages", "result")?;
    for (name, outcome) in outcomes {
        match outcome {
            Ok(Some(pages)) => outln!("{name:40} {pages:>6}  {}", batch.result_path(name).display())?,
            Ok(None) => outln!("{name:40} {:>6}  already done", "")?,
            Err(Failure::Document(reason) | Failure::Batch(reason)) => outln!("{name:40} {:>6}  {reason}", "")?,
        }
    }
    let failed = outcomes.values().filter(|outcome| outcome.is_err()).count();
    let not_tried = documents.len() - outcomes.len();
    let not_tried = if not_tried > 0 { format!(", {not_tried} not tried") } else { String::new() };
    let seconds = start.elapsed().as_secs_f64();
    Ok(outln!("{} documents, {failed} without a result{not_tried}, {seconds:.1} s", documents.len())?)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
