//! Parses a folder of documents into a JSON file each: `cargo run --example batch -- drawings/ parsed/ 8`.
//!
//! It may be killed at any time and started again. What was uploaded and submitted stands in `manifest.jsonl` beside the
//! results, a line for every step, written before the next one begins: no document is uploaded again that is known to be
//! there, and none is ever submitted twice.

mod instance;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use instance::{Outcome, misuse, say};
use nomic_client::files::Upload;
use nomic_client::parse::{self, ParseJob};
use nomic_client::{FileVersionId, Nomic};
use serde::{Deserialize, Serialize};

const USAGE: &str = "\
usage: batch FOLDER RESULTS [THREADS]
Parses every document of FOLDER into a JSON file in RESULTS, 8 at a time; may be killed and started again.";

/// How far a document is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Uploaded(FileVersionId),
    /// Written before the job is submitted: whoever finds this last does not know whether it was.
    Submitting(FileVersionId),
    Submitted(ParseJob),
    Done,
}

#[derive(Serialize, Deserialize)]
struct Line {
    document: String,
    #[serde(flatten)]
    step: Step,
}

/// What was done, on disk.
struct Manifest {
    file: Mutex<File>,
    known: HashMap<String, Step>,
}

impl Manifest {
    fn open(path: &Path) -> Outcome<Self> {
        let mut known = HashMap::new();
        if let Ok(file) = File::open(path) {
            // A last line that was cut off says nothing: its step is taken for not begun.
            for line in BufReader::new(file).lines().map_while(Result::ok) {
                if let Ok(Line { document, step }) = serde_json::from_str(&line) {
                    known.insert(document, step);
                }
            }
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        // After such a line the next one begins anew.
        file.write_all(b"\n")?;
        Ok(Self { file: Mutex::new(file), known })
    }

    fn note(&self, document: &str, step: Step) -> Outcome {
        let line = serde_json::to_string(&Line { document: document.to_owned(), step })? + "\n";
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes())?;
        Ok(file.sync_data()?)
    }
}

fn main() -> ExitCode {
    instance::program("batch", USAGE, run)
}

fn run(arguments: Vec<OsString>) -> Outcome {
    let mut arguments = arguments.into_iter().map(PathBuf::from);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err(misuse("say which folder, and where to"));
    };
    let threads = arguments.next().and_then(|threads| threads.to_str()?.parse().ok()).unwrap_or(8_usize);
    let mut documents: Vec<PathBuf> = fs::read_dir(&from)
        .map_err(|error| format!("{}: {error}", from.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()).filter(|path| path.is_file()))
        .collect();
    documents.sort();
    fs::create_dir_all(&to)?;
    let manifest = Manifest::open(&to.join("manifest.jsonl"))?;
    let (nomic, _emulator) = instance::connect()?;

    let began = Instant::now();
    let bars = MultiProgress::new();
    let overall =
        bars.add(ProgressBar::new(documents.len() as u64).with_style(style("{pos} of {len} {wide_bar} {eta}")));
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, documents.len().max(1)) {
            scope.spawn(|| {
                let bar = bars.add(ProgressBar::no_length().with_style(style("  {spinner} {wide_msg} {bytes}")));
                while let Some(path) = documents.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let outcome = document(&nomic, &manifest, path, &name, &to, &bar);
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(name, outcome);
                    overall.inc(1);
                }
                bar.finish_and_clear();
            });
        }
    });
    overall.finish_and_clear();

    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    let failed = outcomes.values().filter(|outcome| outcome.is_err()).count();
    let shown = show(&outcomes, &to, failed, began);
    if failed > 0 {
        return Err(format!("{failed} of {} documents have no result", outcomes.len()).into());
    }
    shown
}

fn show(outcomes: &BTreeMap<String, Outcome<Option<usize>>>, to: &Path, failed: usize, began: Instant) -> Outcome {
    say!("{:40} {:>6}  {}", "document", "pages", "result")?;
    for (name, outcome) in outcomes {
        match outcome {
            Ok(Some(pages)) => say!("{name:40} {pages:>6}  {}", result(to, name).display())?,
            Ok(None) => say!("{name:40} {:>6}  done before", "")?,
            Err(error) => say!("{name:40} {:>6}  {error}", "")?,
        }
    }
    Ok(say!("{} documents, {failed} without a result, {:.1} s", outcomes.len(), began.elapsed().as_secs_f64())?)
}

/// Takes one document from where it is to its result; gives the number of its pages, or nothing if it was done before.
fn document(
    nomic: &Nomic,
    manifest: &Manifest,
    path: &Path,
    name: &str,
    to: &Path,
    bar: &ProgressBar,
) -> Outcome<Option<usize>> {
    let mut step = manifest.known.get(name).cloned();
    let job = loop {
        step = Some(match step {
            None => {
                bar.set_message(format!("{name}: upload"));
                let upload = Upload::from_path(path).progress(|sent, _| bar.set_position(sent));
                let uploaded = Step::Uploaded(nomic.upload(upload)?.file_version_id);
                manifest.note(name, uploaded.clone())?;
                uploaded
            }
            Some(Step::Uploaded(version)) => {
                bar.set_message(format!("{name}: submit"));
                manifest.note(name, Step::Submitting(version.clone()))?;
                match nomic.parse(&version, &parse::Options::default()) {
                    Ok(job) => {
                        manifest.note(name, Step::Submitted(job.clone()))?;
                        Step::Submitted(job)
                    }
                    // Who may have been heard is not repeated; who was not is begun again the next time.
                    Err(error) if error.may_have_been_carried_out() => return Err(error.into()),
                    Err(error) => {
                        manifest.note(name, Step::Uploaded(version))?;
                        return Err(error.into());
                    }
                }
            }
            Some(Step::Submitting(_)) => {
                let remedy = "to submit it all the same, take its last line out of manifest.jsonl";
                return Err(format!("it may have been submitted already, and would be paid twice; {remedy}").into());
            }
            Some(Step::Submitted(job)) => break job,
            Some(Step::Done) => return Ok(None),
        });
    };
    bar.set_message(format!("{name}: parse"));
    let parsed = nomic.wait(&job)?;
    // Written aside and moved: what is there is whole.
    let aside = to.join(format!("{name}.json.new"));
    fs::write(&aside, serde_json::to_vec_pretty(&parsed)?)?;
    fs::rename(&aside, result(to, name))?;
    manifest.note(name, Step::Done)?;
    Ok(Some(parsed.pages().len()))
}

fn result(to: &Path, name: &str) -> PathBuf {
    to.join(format!("{name}.json"))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
