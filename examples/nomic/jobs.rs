//! Submitting jobs and waiting for them.

use std::time::Duration;

use nomic_client::ErrorKind;
use nomic_client::job::{Job, JobRef, WaitOptions};
use serde_json::json;

use crate::args::{Timeout, WaitArgs};
use crate::failure::{Failure, is_unknown_host};
use crate::session::Session;
use crate::terminal::{Stage, note};

/// A job that this command, or a later `nomic wait`, can wait for.
pub(crate) trait SubmittedJob: Job {
    /// The kind, as an argument of `nomic wait`.
    const KIND: &'static str;
    /// The kind, as shown in messages.
    const NAME: &'static str;

    fn id(&self) -> &str;

    /// Prints the job's output.
    fn show(&self, session: &Session, output: &Self::Output) -> Result<(), Failure>;

    /// Kind and id, as shown in messages.
    fn label(&self) -> String {
        format!("{} {}", Self::NAME, self.id())
    }
}

/// What to print when a job is submitted.
pub(crate) struct Submission<'a> {
    /// Shown while the request is sent, e.g. `submitting the parse job`.
    pub(crate) label: &'a str,
    /// Shown after the job's id when it is done, e.g. `was submitted`.
    pub(crate) done: &'a str,
    /// The arguments of the command that shows whether the job was submitted.
    pub(crate) check: &'a [&'a str],
}

impl Session {
    /// Submits a job, and waits for it unless `--no-wait` is given.
    pub(crate) fn submit<J: SubmittedJob>(
        &self,
        wait: &WaitArgs,
        submission: &Submission<'_>,
        submit: impl FnOnce() -> nomic_client::Result<J>,
    ) -> Result<(), Failure> {
        let stage = Stage::start_write(submission.label, &self.check_hint(submission.check));
        let job = submit().map_err(|error| match error.job().and_then(id_of) {
            Some(id) => {
                let hint = self.wait_hint(&format!("{} {id}", J::NAME), J::KIND, id);
                Failure::OutcomeUnknown(error, hint)
            }
            None => self.with_hint(error, submission.check),
        })?;
        self.output.responded.set(true);
        stage.set_on_interrupt(self.resume_hint(&job));
        if wait.no_wait {
            note(self.resume_hint(&job));
            drop(stage);
            return self.output.value(&json!({ "kind": J::KIND, "id": job.id() }), || job.id().to_owned());
        }
        note(format_args!("{} {} {}", J::NAME, job.id(), submission.done));
        self.wait(&job, wait.timeout)
    }

    /// Waits for a job and prints its output.
    pub(crate) fn wait<J: SubmittedJob>(&self, job: &J, timeout: Timeout) -> Result<(), Failure> {
        let stage = Stage::start(format!("waiting for {} {}", J::NAME, job.id()), self.resume_hint(job));
        let result = self.nomic.wait_with(job, &WaitOptions::default().timeout(Duration::from_secs(timeout.timeout)));
        drop(stage);
        match result {
            Ok(output) => job.show(self, &output),
            // The client's message says that the job continues, but the emulator ends with this command.
            Err(error) if self.emulator.is_some() && error.is_timeout() => Err(Failure::Local(format!(
                "{} did not end within {} s, and ends with the emulator",
                job.label(),
                timeout.timeout
            ))),
            Err(error) => {
                let unknown_host = !self.output.responded.get() && is_unknown_host(&error);
                let has_ended = error.is_job_failed() || matches!(error.kind(), ErrorKind::ResultAtUrl { .. });
                if !has_ended && !error.is_not_found() && !unknown_host {
                    note(self.wait_hint(&job.label(), J::KIND, job.id()));
                }
                Err(error.into())
            }
        }
    }

    /// How to wait for a job that is left running.
    fn resume_hint<J: SubmittedJob>(&self, job: &J) -> String {
        let label = job.label();
        let hint = self.wait_hint(&label, J::KIND, job.id());
        match self.emulator {
            Some(_) => hint,
            None => format!("{label} is still running on the server; {hint}"),
        }
    }

    /// How to wait for a job that may have ended.
    fn wait_hint(&self, label: &str, kind: &str, id: &str) -> String {
        match self.emulator {
            Some(_) => format!("{label} ends with the emulator"),
            None => format!("to wait for {label}:\n  {}", self.command(&["wait", kind, id])),
        }
    }
}

/// The id of a job.
fn id_of(job: &JobRef) -> Option<&str> {
    match job {
        JobRef::Parse(id) | JobRef::Extract(id) => Some(id.as_str()),
        JobRef::Agent(id) => Some(id.as_str()),
        _ => None,
    }
}
