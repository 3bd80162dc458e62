//! Exports the audit log to JSON Lines: `cargo run --example audit_export -- audit.jsonl [page size]`.
//!
//! May be killed at any time and started again: a checkpoint file beside the export says which page comes next and how
//! long the export was when that was so. What a killed run wrote beyond it is cut off, so that no entry is lost and
//! none stands there twice. A file that has no checkpoint is somebody else's, and is left alone.

mod instance;
#[path = "instance/record.rs"]
mod record;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use instance::{Outcome, misuse, note, say};
use nomic_client::audit_logs::Filter;
use record::{Origin, at, lock};
use serde::{Deserialize, Serialize};

const USAGE: &str = "\
usage: audit_export [FILE [PAGE-SIZE]]
Exports the audit log to FILE (audit.jsonl) as JSON Lines, in pages of 1 to 1000 entries; may be killed and started again.";

/// What is safe on disk.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    /// The instance whose log it is.
    origin: Origin,
    /// The page that comes next; `None` at the beginning.
    cursor: Option<String>,
    /// How long the export is up to there, in bytes.
    length: u64,
    /// Whether everything is there.
    done: bool,
}

impl Checkpoint {
    fn read(path: &Path) -> Outcome<Option<Self>> {
        match fs::read(path) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text).map_err(|error| at(path)(error.into()))?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(path)(error)),
        }
    }

    /// Written beside and renamed: there is always a whole one, the old or the new.
    fn write(&self, path: &Path) -> Outcome {
        let beside = with(path, ".new");
        let mut file = File::create(&beside).map_err(at(&beside))?;
        file.write_all(&serde_json::to_vec(self)?).and_then(|()| file.sync_all()).map_err(at(&beside))?;
        fs::rename(&beside, path).map_err(at(path))
    }
}

fn main() -> ExitCode {
    instance::program("audit_export", USAGE, run)
}

fn run(arguments: Vec<OsString>) -> Outcome {
    let mut arguments = arguments.into_iter();
    let path = arguments.next().map_or_else(|| PathBuf::from("audit.jsonl"), PathBuf::from);
    let page_size = match arguments.next() {
        Some(size) => {
            size.to_str().and_then(|size| size.parse().ok()).ok_or_else(|| misuse("PAGE-SIZE is a number"))?
        }
        None => 1000,
    };
    let (nomic, emulator) = instance::connect()?;
    let origin = Origin::of(&nomic, emulator.as_ref());

    let beside = with(&path, ".checkpoint");
    let (export, mut checkpoint) = begin(&path, &beside, origin)?;
    if checkpoint.done {
        say!("{} is complete; remove it and {} to begin anew", path.display(), beside.display())?;
        return Ok(());
    }

    let mut entries = nomic.audit_logs(&Filter::default()).page_size(page_size);
    if let Some(cursor) = &checkpoint.cursor {
        note(format_args!("going on after {} bytes", checkpoint.length));
        entries = entries.starting_at(cursor);
    }
    for page in entries.pages() {
        let page = page?;
        let mut lines = Vec::new();
        for entry in &page.data {
            serde_json::to_writer(&mut lines, entry)?;
            lines.push(b'\n');
        }
        (&export).write_all(&lines).and_then(|()| export.sync_data()).map_err(at(&path))?;
        // Only what is on disk is checked off.
        checkpoint.length += lines.len() as u64;
        checkpoint.done = page.next_cursor.is_none();
        checkpoint.cursor = page.next_cursor;
        checkpoint.write(&beside)?;
    }
    Ok(say!("{} has {} bytes", path.display(), checkpoint.length)?)
}

/// The export as far as it is safe on disk, for this run alone; or a new one, where there is nothing to be lost.
fn begin(path: &Path, beside: &Path, origin: Origin) -> Outcome<(File, Checkpoint)> {
    let anew = format!("to begin anew, remove it and {}, or give another file", beside.display());
    let found = Checkpoint::read(beside)?;
    let length = fs::metadata(path).map_or(0, |of| of.len());
    let is_new = found.is_none();
    let checkpoint = match found {
        Some(found) => {
            origin.expect(&found.origin, path, &anew)?;
            if length < found.length {
                return Err(format!("{} has lost what was exported; {anew}", path.display()).into());
            }
            found
        }
        None if path.exists() => {
            return Err(format!("{} is there, and is no export of this program's; give another", path.display()).into());
        }
        None => Checkpoint { origin, cursor: None, length: 0, done: false },
    };
    if is_new {
        // Before the export: who is killed between the two finds it to be his own.
        checkpoint.write(beside)?;
    }
    let mut export = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(at(path))?;
    lock(&export, path)?;
    if !checkpoint.done {
        export.set_len(checkpoint.length).and_then(|()| export.seek(SeekFrom::End(0))).map_err(at(path))?;
    }
    Ok((export, checkpoint))
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(ending);
    path.into()
}
