//! The manifest: a JSON line for every step of every document, written before the next step starts.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nomic_client::FileVersionId;
use nomic_client::parse::ParseJob;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Result;
use crate::content_hash::ContentHash;
use crate::record::{Origin, lock, with_path};

/// How far a document has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// Recorded before the upload: if the manifest cannot be written, nothing is uploaded.
    Uploading,
    Uploaded(FileVersionId),
    /// Recorded before the job is submitted. If it is the last step, the job may or may not have been submitted.
    Submitting(FileVersionId),
    Submitted(ParseJob),
    Done(ParseJob),
}

#[derive(Serialize, Deserialize)]
struct Line {
    document: String,
    /// The document's content. A line that is added by hand may omit it; it then inherits that of the line before.
    content: Option<ContentHash>,
    #[serde(flatten)]
    step: Step,
}

/// The manifest of a results folder. It belongs to one instance, and is locked by one run at a time.
pub(crate) struct Manifest {
    pub(crate) path: PathBuf,
    journal: Mutex<Journal>,
    steps: HashMap<String, (Option<ContentHash>, Step)>,
}

impl Manifest {
    pub(crate) fn open(path: &Path, origin: &Origin) -> Result<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(with_path(path))?;
        lock(&file, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(with_path(path))?;
        // Bytes, since a killed run may truncate a line within a character. A truncated line is not JSON: it is
        // skipped, because its step has not started.
        let lines = bytes.split(|byte| *byte == b'\n');
        let mut lines = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        let mut journal = Journal { file, is_truncated: bytes.last().is_some_and(|byte| *byte != b'\n') };
        journal.end_line().map_err(with_path(path))?;
        match lines.next() {
            None => journal.append(origin).map_err(with_path(path))?,
            Some(first) => {
                let recorded = Origin::deserialize(first)
                    .map_err(|error| format!("{} does not name its instance: {error}", path.display()))?;
                origin.expect(&recorded, path, "pass another folder for the results")?;
            }
        }
        let mut steps: HashMap<String, (Option<ContentHash>, Step)> = HashMap::new();
        for line in lines {
            // Skipping an unknown line could submit, and bill, a document twice.
            let Line { document, content, step } = Line::deserialize(&line)
                .map_err(|error| format!("{}: cannot understand {line}: {error}", path.display()))?;
            let content = content.or_else(|| steps.get(&document)?.0.clone());
            steps.insert(document, (content, step));
        }
        Ok(Self { path: path.to_owned(), journal: Mutex::new(journal), steps })
    }

    /// The last step of a document with this content. Steps of a document with other content do not count.
    pub(crate) fn step(&self, document: &str, content: &ContentHash) -> Option<Step> {
        let (recorded, step) = self.steps.get(document)?;
        recorded.as_ref().is_none_or(|recorded| recorded == content).then(|| step.clone())
    }

    pub(crate) fn record(&self, document: &str, content: &ContentHash, step: &Step) -> Result {
        let line = Line { document: document.to_owned(), content: Some(content.clone()), step: step.clone() };
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).append(&line).map_err(with_path(&self.path))
    }

    /// Tells the user which line to add by hand, so that the next run continues after `step`.
    pub(crate) fn remedy(&self, document: &str, step: &str, value: impl Into<Value>) -> String {
        let line = json!({ "document": document, step: value.into() });
        format!("add the line {line} to {}", self.path.display())
    }
}

struct Journal {
    file: File,
    /// Whether the last line may lack its line break.
    is_truncated: bool,
}

impl Journal {
    /// Writes a line and syncs it to disk.
    fn append(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.end_line()?;
        let length = self.file.metadata()?.len();
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        let written = self.file.write_all(&bytes);
        // A partial line, e.g. on a full disk, is removed: the user may add the next line by hand.
        self.is_truncated = written.is_err() && self.file.set_len(length).is_err();
        written?;
        self.file.sync_data()
    }

    /// Ends a line that was truncated by a killed run.
    fn end_line(&mut self) -> io::Result<()> {
        if self.is_truncated {
            self.file.write_all(b"\n")?;
            self.is_truncated = false;
        }
        Ok(())
    }
}
