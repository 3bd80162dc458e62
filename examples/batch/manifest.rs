//! What was done, on disk: a line of JSON for every step of every document, written before the next one begins.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nomic_client::FileVersionId;
use nomic_client::parse::ParseJob;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::instance::Outcome;
use crate::record::{Origin, at, lock};

/// How far a document is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// Written before it is uploaded: what cannot be recorded is not begun.
    Uploading,
    Uploaded(FileVersionId),
    /// Written before the job is submitted: whoever finds this last does not know whether it was.
    Submitting(FileVersionId),
    Submitted(ParseJob),
    Done(ParseJob),
}

#[derive(Serialize, Deserialize)]
struct Line {
    document: String,
    /// What was in the document. A line that a person adds need not say so: it speaks of the same as the one before.
    content: Option<Content>,
    #[serde(flatten)]
    step: Step,
}

/// What is in a document, in short: its length and a hash. A name may come to stand for another content; a time may
/// change where the content does not, and would have it paid twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content(String);

impl Content {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut piece = vec![0; 1 << 16];
        // FNV-1a: unlike the hashes of std, the same in every version of Rust.
        let (mut length, mut hash) = (0, 0xcbf2_9ce4_8422_2325_u64);
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(Self(format!("{length}-{hash:016x}"))),
                count => {
                    length += count;
                    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
                    hash = piece[..count].iter().fold(hash, mix);
                }
            }
        }
    }
}

/// The manifest of a folder of results, which belongs to one instance and to one run at a time.
pub(crate) struct Manifest {
    pub(crate) path: PathBuf,
    journal: Mutex<Journal>,
    known: HashMap<String, (Option<Content>, Step)>,
}

impl Manifest {
    pub(crate) fn open(path: &Path, origin: &Origin) -> Outcome<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(at(path))?;
        lock(&file, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(at(path))?;
        // Bytes, since a line may be cut inside of a letter. What was cut is no JSON: its step is taken for not begun.
        let lines = bytes.split(|byte| *byte == b'\n');
        let mut lines = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        let mut journal = Journal { file, torn: bytes.last().is_some_and(|byte| *byte != b'\n') };
        journal.mend().map_err(at(path))?;
        match lines.next() {
            None => journal.append(origin).map_err(at(path))?,
            Some(first) => {
                let recorded = Origin::deserialize(first)
                    .map_err(|error| format!("{} names no instance it is of: {error}", path.display()))?;
                origin.expect(&recorded, path, "give another folder for the results")?;
            }
        }
        let mut known: HashMap<String, (Option<Content>, Step)> = HashMap::new();
        for line in lines {
            // To pass over what was written for a reason might be to pay twice.
            let Line { document, content, step } = Line::deserialize(&line)
                .map_err(|error| format!("{}: cannot make sense of {line}: {error}", path.display()))?;
            let content = content.or_else(|| known.get(&document)?.0.clone());
            known.insert(document, (content, step));
        }
        Ok(Self { path: path.to_owned(), journal: Mutex::new(journal), known })
    }

    /// How far a document of this content is. What is known of another content is known of another document.
    pub(crate) fn step(&self, document: &str, content: &Content) -> Option<Step> {
        let (of, step) = self.known.get(document)?;
        of.as_ref().is_none_or(|of| of == content).then(|| step.clone())
    }

    pub(crate) fn note(&self, document: &str, content: &Content, step: &Step) -> Outcome {
        let line = Line { document: document.to_owned(), content: Some(content.clone()), step: step.clone() };
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).append(&line).map_err(at(&self.path))
    }

    /// Tells a person which line to add, so that the next run takes this step for the last one.
    pub(crate) fn remedy(&self, document: &str, step: &str, value: impl Into<Value>) -> String {
        let line = json!({ "document": document, step: value.into() });
        format!("add the line {line} to {}", self.path.display())
    }
}

struct Journal {
    file: File,
    /// Whether the last line may lack its end, which would swallow the next.
    torn: bool,
}

impl Journal {
    /// Writes a line, and returns when it is on disk.
    fn append(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.mend()?;
        let before = self.file.metadata()?.len();
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        let written = self.file.write_all(&bytes);
        // What a full disk cut off is taken back: the next line may be one that a person adds.
        self.torn = written.is_err() && self.file.set_len(before).is_err();
        written?;
        self.file.sync_data()
    }

    /// Ends a line that a kill has cut off.
    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        Ok(())
    }
}
