//! Exports the audit log to JSON Lines: `cargo run --example audit_export -- audit.jsonl [page size]`.
//!
//! May be killed at any time and started again: a checkpoint file beside the export says which page comes next and how
//! long the export was when that was so. What a killed run wrote beyond it is cut off, so that no entry is lost and
//! none stands there twice.

mod instance;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use instance::{Outcome, misuse, note, say};
use nomic_client::audit_logs::Filter;
use serde::{Deserialize, Serialize};

const USAGE: &str = "\
usage: audit_export [FILE [PAGE-SIZE]]
Exports the audit log to FILE (audit.jsonl) as JSON Lines, in pages of 1 to 1000 entries; may be killed and started again.";

/// What is safe on disk.
#[derive(Default, Serialize, Deserialize)]
struct Checkpoint {
    /// The page that comes next; `None` at the beginning.
    cursor: Option<String>,
    /// How long the export is up to there, in bytes.
    length: u64,
    /// Whether everything is there.
    done: bool,
}

impl Checkpoint {
    fn read(path: &Path) -> Outcome<Self> {
        match fs::read(path) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Written beside and renamed: there is always a whole one, the old or the new.
    fn write(&self, path: &Path) -> Outcome {
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        Ok(fs::rename(beside, path)?)
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
    let (nomic, _emulator) = instance::connect()?;

    let mut beside = path.clone().into_os_string();
    beside.push(".checkpoint");
    let beside = PathBuf::from(beside);
    let mut checkpoint = Checkpoint::read(&beside)?;
    if checkpoint.done {
        say!("{} is complete; remove {} to begin anew", path.display(), beside.display())?;
        return Ok(());
    }
    let mut export = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
    export.set_len(checkpoint.length)?;
    export.seek(SeekFrom::End(0))?;

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
        export.write_all(&lines)?;
        export.sync_data()?;
        // Only what is on disk is checked off.
        checkpoint.length += lines.len() as u64;
        checkpoint.done = page.next_cursor.is_none();
        checkpoint.cursor = page.next_cursor;
        checkpoint.write(&beside)?;
    }
    Ok(say!("{} has {} bytes", path.display(), checkpoint.length)?)
}
