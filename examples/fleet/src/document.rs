//! Documents: how they are found and identified, and the states that they pass through.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;

/// A document that can be added to a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// A hash of path and content, in 16 hexadecimal digits.
    pub id: String,
    /// Its canonical path, the same on all machines.
    pub path: String,
    /// See [`content_hash`].
    pub content: String,
}

impl Document {
    /// Reads the document at this path, or says why it is not one.
    ///
    /// # Errors
    ///
    /// If it is hidden, not a regular file, or cannot be read, or if its path is not Unicode.
    pub fn read(path: &Path) -> Result<Self, String> {
        let canonical = path.canonicalize().map_err(|error| error.to_string())?;
        let text = canonical.to_str().ok_or("its path is not Unicode")?;
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            return Err("it is hidden".to_owned());
        }
        let metadata = fs::metadata(&canonical).map_err(|error| error.to_string())?;
        if metadata.is_dir() {
            return Err("it is a folder".to_owned());
        }
        if !metadata.is_file() {
            return Err("it is not a regular file".to_owned());
        }
        let content = content_hash(&canonical).map_err(|error| error.to_string())?;
        let id = format!("{:016x}", fnv(fnv(OFFSET, text.as_bytes()), format!("\0{content}").as_bytes()));
        Ok(Self { id, path: text.to_owned(), content })
    }
}

/// FNV-1a: unlike the hashers of std, it is stable across Rust versions.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// The length and a hash of a file. Unlike the modification time, it changes only with the content.
///
/// # Errors
///
/// If the file cannot be read.
pub fn content_hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    let (mut length, mut hash) = (0, OFFSET);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("{length}-{hash:016x}")),
            count => {
                length += count;
                hash = fnv(hash, &buffer[..count]);
            }
        }
    }
}

/// The file name of a document's path.
pub fn name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

/// How far a document has come. Each state is recorded before the next step begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for a worker.
    Queued,
    /// Is being uploaded. If that is interrupted, it is uploaded again: an upload alone has no effect.
    Uploading,
    /// Is stored, as a file version.
    Uploaded,
    /// Is being submitted. If that is interrupted, nobody knows whether it was, and only a person may decide.
    Submitting,
    /// Is being parsed, by a job.
    Submitted,
    /// Its result is saved.
    Done,
    /// Has no result, for a known reason.
    Failed,
    /// May have been submitted or not.
    InDoubt,
}

impl State {
    /// All states, in order.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Uploading,
        Self::Uploaded,
        Self::Submitting,
        Self::Submitted,
        Self::Done,
        Self::Failed,
        Self::InDoubt,
    ];

    /// Its name in Redis and in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Uploading => "uploading",
            Self::Uploaded => "uploaded",
            Self::Submitting => "submitting",
            Self::Submitted => "submitted",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::InDoubt => "in_doubt",
        }
    }
}
