//! Parses a folder of documents into a JSON file each: `cargo run --example batch -- drawings/ parsed/ 8`.
//!
//! It may be killed at any time and started again. What was uploaded and submitted stands in `manifest.jsonl` beside the
//! results, a line for every step, written before the next one begins: no document is uploaded again that is known to be
//! there, and none is ever submitted twice, unless its content changed. Without a key it runs on a Nomic in a box, which
//! is gone when the run ends: such results cannot be gone on with.

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

use document::{Batch, Pages, Trouble};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use instance::{Outcome, misuse, note, say};
use manifest::Manifest;
use record::{Origin, at};

const USAGE: &str = "\
usage: batch FOLDER RESULTS [THREADS]
Parses every document of FOLDER into a JSON file in RESULTS, 8 at a time; may be killed and started again.";

fn main() -> ExitCode {
    instance::program("batch", USAGE, run)
}

fn run(arguments: Vec<OsString>) -> Outcome {
    let [from, to, threads @ ..] = &arguments[..] else { return Err(misuse("say which folder, and where to")) };
    let threads = match threads {
        [] => 8,
        [threads] => match threads.to_str().and_then(|threads| threads.parse::<NonZero<usize>>().ok()) {
            Some(threads) => threads.get(),
            None => return Err(misuse(format!("THREADS is a number from 1, not {}", threads.to_string_lossy()))),
        },
        _ => return Err(misuse("that is too much")),
    };
    let (from, to) = (Path::new(from), Path::new(to));
    let documents = documents(from)?;
    fs::create_dir_all(to).map_err(at(to))?;
    if from.canonicalize().map_err(at(from))? == to.canonicalize().map_err(at(to))? {
        return Err(misuse("RESULTS is FOLDER: the next run would take the results for documents"));
    }

    let (nomic, emulator) = instance::connect()?;
    let manifest = Manifest::open(&to.join("manifest.jsonl"), &Origin::of(&nomic, emulator.as_ref()))?;
    let batch = Batch { nomic, manifest, to };
    let began = Instant::now();
    let (outcomes, stopped) = parse_all(&batch, &documents, threads);

    let failed = outcomes.values().filter(|outcome| outcome.is_err()).count() + documents.len() - outcomes.len();
    let shown = show(&batch, &outcomes, &documents, began);
    match stopped {
        Some(reason) => Err(format!("stopped, since no document would fare better: {reason}").into()),
        None if failed > 0 => Err(format!("{failed} of {} documents have no result", documents.len()).into()),
        None => shown,
    }
}

/// The documents of a folder, with their names. What is none is named, so that nobody misses it.
fn documents(folder: &Path) -> Outcome<Vec<(String, PathBuf)>> {
    let mut documents = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_str().map(str::to_owned);
        let reason = match (&name, fs::metadata(&path)) {
            (None, _) => "its name is no Unicode".to_owned(),
            (Some(name), _) if name.starts_with('.') => "it is hidden".to_owned(),
            (_, Ok(of)) if of.is_dir() => "it is a folder".to_owned(),
            (_, Ok(of)) if !of.is_file() => "it is no file".to_owned(),
            (_, Err(error)) => error.to_string(),
            (Some(name), Ok(_)) => {
                documents.push((name.clone(), path));
                continue;
            }
        };
        note(format_args!("{} is left out: {reason}", path.display()));
    }
    documents.sort();
    Ok(documents)
}

/// Does all documents on so many threads; gives what came of each, and why it stopped early, if it did.
fn parse_all(
    batch: &Batch,
    documents: &[(String, PathBuf)],
    threads: usize,
) -> (BTreeMap<String, Pages>, Option<String>) {
    let bars = MultiProgress::new();
    let overall = ProgressBar::new(documents.len() as u64).with_style(style("{pos} of {len} {wide_bar} {eta}"));
    let overall = bars.add(overall);
    let (next, stopped) = (AtomicUsize::new(0), OnceLock::new());
    let outcomes = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(documents.len()) {
            scope.spawn(|| {
                let bar = bars.add(ProgressBar::no_length().with_style(style("  {spinner} {wide_msg} {bytes}")));
                while stopped.get().is_none()
                    && let Some((name, path)) = documents.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let outcome = batch.document(name, path, &bar);
                    if let Err(Trouble::Common(reason)) = &outcome {
                        stopped.get_or_init(|| reason.clone());
                    }
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), outcome);
                    overall.inc(1);
                }
                bar.finish_and_clear();
            });
        }
    });
    overall.finish_and_clear();
    (outcomes.into_inner().unwrap_or_else(PoisonError::into_inner), stopped.into_inner())
}

fn show(batch: &Batch, outcomes: &BTreeMap<String, Pages>, documents: &[(String, PathBuf)], began: Instant) -> Outcome {
    say!("{:40} {:>6}  {}", "document", "pages", "result")?;
    for (name, outcome) in outcomes {
        match outcome {
            Ok(Some(pages)) => say!("{name:40} {pages:>6}  {}", batch.result(name).display())?,
            Ok(None) => say!("{name:40} {:>6}  done before", "")?,
            Err(Trouble::Own(reason) | Trouble::Common(reason)) => say!("{name:40} {:>6}  {reason}", "")?,
        }
    }
    let failed = outcomes.values().filter(|outcome| outcome.is_err()).count();
    let untried = documents.len() - outcomes.len();
    let untried = if untried > 0 { format!(", {untried} not tried") } else { String::new() };
    let seconds = began.elapsed().as_secs_f64();
    Ok(say!("{} documents, {failed} without a result{untried}, {seconds:.1} s", documents.len())?)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
