//! Exports the audit log to a file, one JSON object a line.

mod instance;

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use clap::Parser;
use nomic_client::Nomic;
use nomic_client::audit_logs::MAX_PAGE;

/// Export the audit log to a new file, one JSON object per line
///
/// A file that exists is an error: it is never overwritten. If the export fails, it prints the cursor at which to
/// continue; with that cursor it appends to the file.
#[derive(Parser)]
struct Args {
    /// The file to create, or to append to with --cursor
    file: PathBuf,
    /// Continue an export that failed, at the cursor that it printed
    #[arg(long)]
    cursor: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Args { file: path, mut cursor } = Args::parse();
    let (nomic, _emulator) = instance::connect()?;
    let mut file = OpenOptions::new()
        .append(true)
        .create_new(cursor.is_none())
        .open(&path)
        .map_err(|error| format!("{}: {error}", path.display()))?;

    let result = export(&nomic, &mut file, &mut cursor);
    if result.is_err() {
        match cursor {
            Some(cursor) => eprintln!("the export is incomplete; continue it with --cursor={cursor}"),
            // The first page failed: the file is empty.
            None => fs::remove_file(&path)?,
        }
    }
    result
}

/// Appends the pages from `cursor` on, and advances `cursor` after each page that is in the file.
fn export(nomic: &Nomic, file: &mut File, cursor: &mut Option<String>) -> Result<(), Box<dyn Error>> {
    let mut entries = nomic.audit_logs().page_size(MAX_PAGE);
    if let Some(cursor) = cursor.as_deref() {
        entries = entries.starting_at(cursor);
    }
    for page in entries.pages() {
        let page = page?;
        let mut lines = Vec::new();
        for entry in &page.data {
            serde_json::to_writer(&mut lines, entry)?;
            lines.push(b'\n');
        }
        // A page is written whole or not at all, e.g. on a full disk.
        let length = file.metadata()?.len();
        if let Err(error) = file.write_all(&lines) {
            file.set_len(length)?;
            return Err(error.into());
        }
        *cursor = page.next_cursor;
    }
    Ok(())
}
