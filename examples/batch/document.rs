//! One document on its way: uploaded, submitted, waited for, and its result kept.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use nomic_client::files::Upload;
use nomic_client::parse::{self, ParseJob};
use nomic_client::{Effect, Error, FileVersionId, Nomic};
use serde_json::json;

use crate::instance::Outcome;
use crate::manifest::{Content, Manifest, Step};
use crate::record::at;

/// Why a document has no result.
pub(crate) enum Trouble {
    /// It is this document's own.
    Own(String),
    /// It would meet every other one too.
    Common(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        // The key opens nothing, or the user's means are spent.
        let is_common = error.is_unauthorized() || error.is_forbidden() || error.is_rate_limited();
        if is_common && !error.is_transient() { Self::Common(error.to_string()) } else { Self::Own(error.to_string()) }
    }
}

/// What came of a document: the number of pages, or nothing if it was done before.
pub(crate) type Pages = Result<Option<usize>, Trouble>;

/// What is shared by all documents.
pub(crate) struct Batch<'a> {
    pub(crate) nomic: Nomic,
    pub(crate) manifest: Manifest,
    pub(crate) to: &'a Path,
}

impl Batch<'_> {
    /// Takes one document from where it is to its result.
    pub(crate) fn document(&self, name: &str, path: &Path, bar: &ProgressBar) -> Pages {
        // Looked at before it is uploaded: what changes afterwards is seen by the next run.
        let content = Content::of(path).map_err(at(path)).map_err(|error| Trouble::Own(error.to_string()))?;
        let mut step = self.manifest.step(name, &content).unwrap_or(Step::Uploading);
        let job = loop {
            step = match step {
                Step::Uploading => {
                    bar.set_message(format!("{name}: upload"));
                    self.note(name, &content, &Step::Uploading)?;
                    let upload = Upload::from_path(path).progress(|sent, _| bar.set_position(sent));
                    let uploaded = Step::Uploaded(self.nomic.upload(upload)?.file_version_id);
                    self.note(name, &content, &uploaded)?;
                    uploaded
                }
                Step::Uploaded(version) => {
                    bar.set_message(format!("{name}: submit"));
                    self.note(name, &content, &Step::Submitting(version.clone()))?;
                    Step::Submitted(self.submit(name, &content, version)?)
                }
                Step::Submitting(version) => return Err(self.unknown(name, &version, "an earlier run was broken off")),
                Step::Submitted(job) => break job,
                Step::Done(_) if self.result(name).exists() => return Ok(None),
                Step::Done(job) => break job,
            };
        };
        bar.set_message(format!("{name}: parse"));
        let parsed = self.nomic.wait(&job).map_err(|error| {
            if !error.is_job_failed() && !error.is_not_found() {
                return error.into();
            }
            let anew = self.manifest.remedy(name, "uploading", ());
            Trouble::Own(format!(
                "{error}; mend the document, or {anew} to have it parsed, and paid, once more as it is"
            ))
        })?;
        self.keep(name, &parsed).map_err(|error| Trouble::Common(error.to_string()))?;
        self.note(name, &content, &Step::Done(job))?;
        Ok(Some(parsed.pages().len()))
    }

    /// Submits what is noted as about to be. Who may have been heard is not repeated; who was not begins again the next
    /// time.
    fn submit(&self, name: &str, content: &Content, version: FileVersionId) -> Result<ParseJob, Trouble> {
        match self.nomic.parse(&version, &parse::Options::default()) {
            Ok(job) => {
                let noted = self.manifest.note(name, content, &Step::Submitted(job.clone()));
                let by_hand = self.manifest.remedy(name, "submitted", json!(job));
                let lost = |error| format!("{name} is submitted as {}, but {error}: {by_hand}", job.task_id);
                noted.map(|()| job.clone()).map_err(|error| Trouble::Common(lost(error)))
            }
            Err(error) if error.effect() != Effect::None => Err(self.unknown(name, &version, error)),
            Err(error) => {
                let before = if error.is_not_found() { Step::Uploading } else { Step::Uploaded(version) };
                self.note(name, content, &before)?;
                Err(error.into())
            }
        }
    }

    /// Where to look for what may have been submitted, and how to go on without paying twice.
    fn unknown(&self, name: &str, version: &FileVersionId, cause: impl Display) -> Trouble {
        let there = self.manifest.remedy(name, "submitted", json!({ "taskId": "…" }));
        let absent = self.manifest.remedy(name, "uploaded", version.as_str());
        Trouble::Own(format!(
            "it may have been submitted already, and is not submitted again ({cause}): look for parse.submitted of {version} \
             in the audit log; if it is there, {there} with its metadata.taskId; if not, {absent}"
        ))
    }

    fn note(&self, name: &str, content: &Content, step: &Step) -> Result<(), Trouble> {
        self.manifest.note(name, content, step).map_err(|error| Trouble::Common(error.to_string()))
    }

    /// Written aside and moved: what is there is whole.
    fn keep(&self, name: &str, parsed: &parse::Parsed) -> Outcome {
        let aside = self.to.join(format!("{name}.json.new"));
        let mut file = File::create(&aside).map_err(at(&aside))?;
        file.write_all(&serde_json::to_vec_pretty(parsed)?).and_then(|()| file.sync_all()).map_err(at(&aside))?;
        let result = self.result(name);
        fs::rename(&aside, &result).map_err(at(&result))
    }

    pub(crate) fn result(&self, name: &str) -> PathBuf {
        self.to.join(format!("{name}.json"))
    }
}
