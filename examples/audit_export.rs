//! Exports the audit log to JSON Lines: `cargo run --example audit_export -- audit.jsonl [page size]`.
//!
//! The export can be killed at any time and resumed. A checkpoint file beside it holds the cursor of the next page and
//! the length of the export at that point. A resumed run truncates the export to that length, so that no entry is lost
//! or duplicated. A file without a checkpoint is never overwritten.

mod instance;
#[path = "instance/record.rs"]
mod record;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use instance::{Result, note, outln, usage_error};
use nomic_client::audit_logs::Filter;
use record::{Origin, lock, with_path};
use serde::{Deserialize, Serialize};

const USAGE: &str = "\
usage: audit_export [FILE [PAGE-SIZE]]
Exports the audit log to FILE (audit.jsonl) as JSON Lines, in pages of 1 to 1000 entries; can be killed and resumed.";

/// How much of the export is on disk.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    /// The instance that the log belongs to.
    origin: Origin,
    /// The cursor of the next page; `None` for the first.
    cursor: Option<String>,
    /// The length of the export before that page, in bytes.
    length: u64,
    /// Whether the export is complete.
    done: bool,
}

impl Checkpoint {
    fn read(path: &Path) -> Result<Option<Self>> {
        match fs::read(path) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text).map_err(|error| with_path(path)(error.into()))?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(with_path(path)(error)),
        }
    }

    /// Writes a temporary file and renames it: the checkpoint is replaced atomically.
    fn write(&self, path: &Path) -> Result {
        let temporary = with_suffix(path, ".new");
        let mut file = File::create(&temporary).map_err(with_path(&temporary))?;
        file.write_all(&serde_json::to_vec(self)?).and_then(|()| file.sync_all()).map_err(with_path(&temporary))?;
        fs::rename(&temporary, path).map_err(with_path(path))
    }
}

fn main() -> ExitCode {
    instance::run_example("audit_export", USAGE, run)
}

fn run(arguments: Vec<OsString>) -> Result {
    let mut arguments = arguments.into_iter();
    let path = arguments.next().map_or_else(|| PathBuf::from("audit.jsonl"), PathBuf::from);
    let page_size = match arguments.next() {
        Some(size) => {
            size.to_str().and_then(|size| size.parse().ok()).ok_or_else(|| usage_error("PAGE-SIZE must be a number"))?
        }
        None => 1000,
    };
    let (nomic, emulator) = instance::connect()?;
    let origin = Origin::of(&nomic, emulator.as_ref());

    let checkpoint_path = with_suffix(&path, ".checkpoint");
    let (export, mut checkpoint) = open(&path, &checkpoint_path, origin)?;
    if checkpoint.done {
        outln!("{} is complete; remove it and {} to start over", path.display(), checkpoint_path.display())?;
        return Ok(());
    }

    let mut entries = nomic.audit_logs(&Filter::default()).page_size(page_size);
    if let Some(cursor) = &checkpoint.cursor {
        note(format_args!("resuming after {} bytes", checkpoint.length));
        entries = entries.starting_at(cursor);
    }
    for page in entries.pages() {
        let page = page?;
        let mut lines = Vec::new();
        for entry in &page.data {
            serde_json::to_writer(&mut lines, entry)?;
            lines.push(b'\n');
        }
        (&export).write_all(&lines).and_then(|()| export.sync_data()).map_err(with_path(&path))?;
        // The checkpoint advances only after the page is on disk.
        checkpoint.length += lines.len() as u64;
        checkpoint.done = page.next_cursor.is_none();
        checkpoint.cursor = page.next_cursor;
        checkpoint.write(&checkpoint_path)?;
    }
    Ok(outln!("{} has {} bytes", path.display(), checkpoint.length)?)
}

/// Opens and locks an export: an existing one, truncated to its checkpoint, or a new one if the file does not exist.
fn open(path: &Path, checkpoint_path: &Path, origin: Origin) -> Result<(File, Checkpoint)> {
    let start_over = format!("to start over, remove it and {}, or pass another file", checkpoint_path.display());
    let found = Checkpoint::read(checkpoint_path)?;
    let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let is_new = found.is_none();
    let checkpoint = match found {
        Some(found) => {
            origin.expect(&found.origin, path, &start_over)?;
            if length < found.length {
                return Err(format!("{} is shorter than its checkpoint; {start_over}", path.display()).into());
            }
            found
        }
        None if path.exists() => {
            return Err(format!("{} exists and is not an export; pass another file", path.display()).into());
        }
        None => Checkpoint { origin, cursor: None, length: 0, done: false },
    };
    if is_new {
        // Written before the export is created: a run that is killed in between can be resumed.
        checkpoint.write(checkpoint_path)?;
    }
    let mut export = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(with_path(path))?;
    lock(&export, path)?;
    if !checkpoint.done {
        export.set_len(checkpoint.length).and_then(|()| export.seek(SeekFrom::End(0))).map_err(with_path(path))?;
    }
    Ok((export, checkpoint))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(suffix);
    path.into()
}
