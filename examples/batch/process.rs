//! Processes one document: upload, submit, wait, save the result.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use nomic_client::files::Upload;
use nomic_client::job::JobRef;
use nomic_client::parse::{self, ParseJob};
use nomic_client::{Effect, Error, FileVersionId, Nomic};
use serde_json::json;

use crate::Result;
use crate::content_hash::ContentHash;
use crate::folder::Document;
use crate::manifest::{Manifest, Step};
use crate::record::with_path;

/// Why a document has no result.
pub(crate) enum Failure {
    /// Only this document is affected.
    Document(String),
    /// Every other document would fail too.
    Batch(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        // The key is not accepted, or the spend limit is reached.
        let affects_all = error.is_unauthorized() || error.is_forbidden() || error.is_rate_limited();
        if affects_all && !error.is_transient() {
            Self::Batch(error.to_string())
        } else {
            Self::Document(error.to_string())
        }
    }
}

/// The number of pages, or `None` if an earlier run has already processed the document.
pub(crate) type Outcome = Result<Option<usize>, Failure>;

/// What all documents share.
pub(crate) struct Batch<'a> {
    pub(crate) nomic: Nomic,
    pub(crate) manifest: Manifest,
    pub(crate) results: &'a Path,
}

impl Batch<'_> {
    /// Processes one document from the step that it has reached.
    pub(crate) fn process(&self, document: &Document, bar: &ProgressBar) -> Outcome {
        let Document { name, path } = document;
        // Hashed before the upload, so that the next run detects a later change.
        let content =
            ContentHash::of(path).map_err(with_path(path)).map_err(|error| Failure::Document(error.to_string()))?;
        let mut step = self.manifest.step(name, &content).unwrap_or(Step::Uploading);
        if matches!(step, Step::Done(_)) && self.result_path(name).exists() {
            return Ok(None);
        }
        self.check_result_path(name)?;
        let job = loop {
            step = match step {
                Step::Uploading => {
                    bar.set_message(format!("{name}: upload"));
                    self.record(name, &content, &Step::Uploading)?;
                    let upload = Upload::from_path(path).progress(|sent, _| bar.set_position(sent));
                    let uploaded = Step::Uploaded(self.nomic.upload(upload)?.file_version_id);
                    self.record(name, &content, &uploaded)?;
                    uploaded
                }
                Step::Uploaded(version) => {
                    bar.set_message(format!("{name}: submit"));
                    self.record(name, &content, &Step::Submitting(version.clone()))?;
                    Step::Submitted(self.submit(name, &content, version)?)
                }
                Step::Submitting(version) => {
                    return Err(self.outcome_unknown(name, &version, "an earlier run was interrupted"));
                }
                Step::Submitted(job) | Step::Done(job) => break job,
            };
        };
        bar.set_message(format!("{name}: parse"));
        let parsed = self.nomic.wait(&job).map_err(|error| {
            if !error.is_job_failed() && !error.is_not_found() {
                return error.into();
            }
            let retry = self.manifest.remedy(name, "uploading", ());
            Failure::Document(format!(
                "{error}; fix the document, or {retry} to parse it again unchanged, which is billed again"
            ))
        })?;
        self.save(name, &parsed)?;
        self.record(name, &content, &Step::Done(job))?;
        Ok(Some(parsed.pages().len()))
    }

    /// Submits a document that is recorded as [`Step::Submitting`]. After an error without effect the recorded step is
    /// reset, so that the next run tries again; if the effect is unknown, it is left as it is.
    fn submit(&self, name: &str, content: &ContentHash, version: FileVersionId) -> Result<ParseJob, Failure> {
        let submitted = self.nomic.parse(&version).or_else(|error| match error.job() {
            // It was accepted, although its response cannot be decoded.
            Some(JobRef::Parse(id)) => Ok(self.nomic.parse_job(id)),
            _ => Err(error),
        });
        match submitted {
            Ok(job) => {
                let recorded = self.manifest.record(name, content, &Step::Submitted(job.clone()));
                let remedy = self.manifest.remedy(name, "submitted", json!(job));
                let not_recorded = |error| format!("{name} is submitted as {}, but {error}: {remedy}", job.task_id);
                recorded.map(|()| job.clone()).map_err(|error| Failure::Batch(not_recorded(error)))
            }
            Err(error) if error.effect() != Effect::None => Err(self.outcome_unknown(name, &version, error)),
            Err(error) => {
                let previous = if error.is_not_found() { Step::Uploading } else { Step::Uploaded(version) };
                self.record(name, content, &previous)?;
                Err(error.into())
            }
        }
    }

    /// Explains how to find out whether a document was submitted, and how to continue in either case.
    fn outcome_unknown(&self, name: &str, version: &FileVersionId, cause: impl Display) -> Failure {
        let if_found = self.manifest.remedy(name, "submitted", json!({ "taskId": "…" }));
        let if_missing = self.manifest.remedy(name, "uploaded", version.as_str());
        Failure::Document(format!(
            "it may have been submitted already, and is not submitted again ({cause}): look for parse.submitted of {version} \
             in the audit log; if there is an entry, {if_found} with its metadata.taskId; if not, {if_missing}"
        ))
    }

    fn record(&self, name: &str, content: &ContentHash, step: &Step) -> Result<(), Failure> {
        self.manifest.record(name, content, step).map_err(|error| Failure::Batch(error.to_string()))
    }

    /// Checks that the result can be saved, before the document is uploaded and paid for: its name may be too long.
    fn check_result_path(&self, name: &str) -> Result<(), Failure> {
        let (path, temporary) = (self.result_path(name), self.temporary_path(name));
        if path.is_dir() {
            return Err(not_saved(&path, ErrorKind::IsADirectory.into()));
        }
        let created = File::create(&temporary).and_then(|_| fs::remove_file(&temporary));
        created.map_err(|error| not_saved(&path, error))
    }

    /// Writes a temporary file and renames it: a result is always complete.
    fn save(&self, name: &str, parsed: &parse::Parsed) -> Result<(), Failure> {
        let (path, temporary) = (self.result_path(name), self.temporary_path(name));
        serde_json::to_vec_pretty(parsed)
            .map_err(io::Error::from)
            .and_then(|bytes| {
                let mut file = File::create(&temporary)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                fs::rename(&temporary, &path)
            })
            .map_err(|error| not_saved(&path, error))
    }

    pub(crate) fn result_path(&self, name: &str) -> PathBuf {
        self.results.join(format!("{name}.json"))
    }

    /// As long as the name of the result: if one fits, so does the other.
    fn temporary_path(&self, name: &str) -> PathBuf {
        self.results.join(format!("{name}.part"))
    }
}

/// A result that cannot be saved. Unless the disk is the cause, only its document is affected.
fn not_saved(path: &Path, error: io::Error) -> Failure {
    let affects_all =
        matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem);
    let reason = format!("the result cannot be saved as {}: {error}", path.display());
    if affects_all { Failure::Batch(reason) } else { Failure::Document(reason) }
}
