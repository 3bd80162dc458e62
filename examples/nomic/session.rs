//! What every command works with: the client, the output, and waiting for a job without losing it.

use std::path::Path;
use std::time::Duration;

use nomic_client::files::{Upload, UploadedFile};
use nomic_client::job::Patience;
use nomic_client::{Job, Nomic};
use nomic_emulator::Emulator;
use serde_json::json;

use crate::args::{Timeout, Waiting};
use crate::failure::Failure;
use crate::output::Output;
use crate::terminal::{Stage, note};

/// What every command works with.
pub(crate) struct Session {
    pub(crate) nomic: Nomic,
    pub(crate) output: Output,
    /// The Nomic in a box, which lives as long as this.
    demo: Option<Emulator>,
}

impl Session {
    pub(crate) fn begin(json: bool, demo: bool) -> Result<Self, Failure> {
        let output = Output { json };
        if !demo {
            return Ok(Self { nomic: Nomic::from_env().map_err(Failure::Settings)?, output, demo: None });
        }
        let emulator = Emulator::builder().files(3).agents(3).start();
        let emulator = emulator.map_err(|error| Failure::Local(format!("the demo did not start: {error}")))?;
        Ok(Self { nomic: Nomic::new(emulator.url(), emulator.key())?, output, demo: Some(emulator) })
    }

    /// Uploads a document, with progress.
    pub(crate) fn upload(&self, file: &Path, upload: Upload<'_>) -> Result<UploadedFile, Failure> {
        let name = file.display();
        let broken_off = format!("the upload of {name} was broken off: it is not stored, and nothing was submitted");
        let stage = Stage::begin(format!("uploading {name}"), broken_off);
        Ok(self.nomic.upload(upload.progress(|sent, total| {
            stage.bytes(sent, total);
            if sent == total {
                stage.interrupted(format!("{name} was uploaded and may be stored, but nothing was submitted"));
            }
        }))?)
    }

    /// Does what is not to be done twice: while it is under way, Ctrl-C says that it may have been carried out.
    pub(crate) fn act<T>(&self, doing: &str, act: impl FnOnce() -> nomic_client::Result<T>) -> Result<T, Failure> {
        let _stage = Stage::acting(doing);
        Ok(act()?)
    }

    /// Submits a job, and waits for it unless that is not wanted.
    pub(crate) fn submit<J: Submitted>(
        &self,
        waiting: &Waiting,
        submit: impl FnOnce() -> nomic_client::Result<J>,
    ) -> Result<(), Failure> {
        let stage = Stage::acting(&format!("submitting the {}", J::NAME));
        let job = submit()?;
        stage.interrupted(self.still_runs(&job));
        if waiting.no_wait {
            note(self.still_runs(&job));
            drop(stage);
            return self.output.value(&json!({ "kind": J::KIND, "id": job.id() }), || job.id().to_owned());
        }
        note(format_args!("{} {} is submitted", J::NAME, job.id()));
        self.wait(&job, waiting.timeout)
    }

    /// Waits for a job, and shows what came of it.
    pub(crate) fn wait<J: Submitted>(&self, job: &J, timeout: Timeout) -> Result<(), Failure> {
        let stage = Stage::begin(format!("waiting for {} {}", J::NAME, job.id()), self.still_runs(job));
        let result = self.nomic.wait_with(job, &Patience::of(Duration::from_secs(timeout.timeout)));
        drop(stage);
        match result {
            Ok(output) => J::show(self, &output),
            Err(error) => {
                if !error.is_job_failed() && !error.is_not_found() {
                    note(self.still_runs(job));
                }
                Err(error.into())
            }
        }
    }

    /// What becomes of a job that is not waited for, with the very command that does so.
    fn still_runs<J: Submitted>(&self, job: &J) -> String {
        let (name, kind, id) = (J::NAME, J::KIND, job.id());
        if self.demo.is_some() {
            return format!("{name} {id} is gone with the Nomic in a box");
        }
        let program = std::env::args().next().unwrap_or_else(|| "nomic".to_owned());
        let program = if program.contains(' ') { format!("'{program}'") } else { program };
        let json = if self.output.json { " --json" } else { "" };
        format!("{name} {id} still runs on the server; to wait for it:\n  {program} wait {kind} {id}{json}")
    }
}

/// A job that can be waited for here, and by another command later.
pub(crate) trait Submitted: Job {
    /// As `nomic wait` has it.
    const KIND: &'static str;
    /// As people say.
    const NAME: &'static str;

    fn id(&self) -> &str;

    /// Shows what came of it.
    fn show(session: &Session, output: &Self::Output) -> Result<(), Failure>;
}
