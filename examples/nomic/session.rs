//! The state that all commands share: the client, the output, and waiting for jobs.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::env;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use nomic_client::files::{MAX_UPLOAD, Upload, UploadedFile};
use nomic_client::job::WaitOptions;
use nomic_client::{Effect, Error, FileVersionId, Job, Nomic};
use nomic_emulator::Emulator;
use serde_json::json;

use crate::args::{Timeout, WaitArgs};
use crate::failure::{Failure, is_unknown_host};
use crate::output::Output;
use crate::terminal::{Stage, note};

pub(crate) struct Session {
    pub(crate) nomic: Nomic,
    pub(crate) output: Output,
    /// The emulator of `--demo`, which runs as long as the session.
    emulator: Option<Emulator>,
    /// The display names of the documents of this command.
    document_names: RefCell<Vec<(FileVersionId, String)>>,
}

/// The messages around the submission of a job.
pub(crate) struct Submission<'a> {
    /// Shown meanwhile, e.g. `submitting the parse job`.
    pub(crate) label: &'a str,
    /// Shown afterwards, behind the job's id, e.g. `was submitted`.
    pub(crate) done: &'a str,
    /// The arguments of the command that shows whether the job was submitted.
    pub(crate) check: &'a [&'a str],
}

impl Session {
    pub(crate) fn new(json: bool, demo: bool) -> Result<Self, Failure> {
        let output = Output { json, responded: Cell::new(false) };
        let document_names = RefCell::default();
        if !demo {
            let nomic = Nomic::from_env().map_err(Failure::Config)?;
            warn_about_ignored_domain(&nomic);
            return Ok(Self { nomic, output, emulator: None, document_names });
        }
        let emulator = Emulator::builder().integration_files(3).agents(3).start();
        let emulator = emulator.map_err(|error| Failure::Local(format!("cannot start the emulator: {error}")))?;
        let nomic = Nomic::new(emulator.url(), emulator.key())?;
        Ok(Self { nomic, output, emulator: Some(emulator), document_names })
    }

    /// Whether this session uses the API key with the given prefix.
    pub(crate) fn uses_key(&self, prefix: &str) -> bool {
        let key = match &self.emulator {
            Some(emulator) => emulator.key().to_owned(),
            None => env::var("NOMIC_API_KEY").unwrap_or_default(),
        };
        !prefix.is_empty() && key.starts_with(prefix)
    }

    /// Uploads a document and shows the progress. `destination` is its path on the service.
    pub(crate) fn upload(&self, file: &Path, upload: Upload<'_>, destination: &Path) -> Result<UploadedFile, Failure> {
        let name = file.display();
        let stored_name = destination.file_name().unwrap_or_default().to_string_lossy();
        let check = ["search", &stored_name];
        let incomplete = format!("the upload of {name} is incomplete: it is not stored, and nothing was submitted");
        let stage = Stage::start(format!("uploading {name}"), incomplete);
        let stored = self.nomic.upload(upload.progress(|sent, total| {
            stage.set_bytes(sent, total);
            if sent == total {
                stage.set_on_interrupt(format!("{name} was sent and may be stored, but nothing was submitted"));
            }
        }));
        let stored = stored.map_err(|error| self.with_hint(error, &check))?;
        self.output.responded.set(true);
        Ok(stored)
    }

    /// Uploads a document for a job. Prints the option that uses it again without an upload, in case the job fails;
    /// `option` formats it.
    pub(crate) fn upload_for_job(
        &self,
        file: &Path,
        option: impl Fn(&UploadedFile) -> String,
    ) -> Result<UploadedFile, Failure> {
        let stored = self.upload(file, Upload::from_path(file), file)?;
        if self.emulator.is_none() {
            let (name, option) = (file.display(), option(&stored));
            note(format_args!("{name} is stored; to use it again without uploading it: {option}"));
        }
        self.add_document_name(&stored.file_version_id, file.display().to_string());
        Ok(stored)
    }

    pub(crate) fn add_document_name(&self, version: &FileVersionId, name: String) {
        self.document_names.borrow_mut().push((version.clone(), name));
    }

    pub(crate) fn document_names(&self) -> Vec<(FileVersionId, String)> {
        self.document_names.borrow().clone()
    }

    /// Runs a request that must not be repeated. If it is interrupted, or its effect is unknown, the message says how to
    /// check whether it was executed: `check` holds the arguments of the command that shows it.
    pub(crate) fn write<T>(
        &self,
        label: &str,
        check: &[&str],
        request: impl FnOnce() -> nomic_client::Result<T>,
    ) -> Result<T, Failure> {
        let _stage = Stage::start_write(label, &self.check_hint(check));
        request().map_err(|error| self.with_hint(error, check))
    }

    /// Submits a job, and waits for it unless `--no-wait` is given.
    pub(crate) fn submit<J: SubmittedJob>(
        &self,
        wait: &WaitArgs,
        submission: &Submission<'_>,
        submit: impl FnOnce() -> nomic_client::Result<J>,
    ) -> Result<(), Failure> {
        let stage = Stage::start_write(submission.label, &self.check_hint(submission.check));
        let job = submit().map_err(|error| self.with_hint(error, submission.check))?;
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
        let result = self.nomic.wait_with(job, &WaitOptions::with_timeout(Duration::from_secs(timeout.timeout)));
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
                if !error.is_job_failed() && !error.is_not_found() && !unknown_host {
                    note(self.resume_hint(job));
                }
                Err(error.into())
            }
        }
    }

    /// How to wait for a job that is left running.
    fn resume_hint<J: SubmittedJob>(&self, job: &J) -> String {
        let label = job.label();
        if self.emulator.is_some() {
            return format!("{label} ends with the emulator");
        }
        let command = self.command(&["wait", J::KIND, job.id()]);
        format!("{label} is still running on the server; to wait for it:\n  {command}")
    }

    /// How to check whether a request was executed.
    fn check_hint(&self, check: &[&str]) -> String {
        if self.emulator.is_some() {
            return "its effect ends with the emulator".to_owned();
        }
        let scope = match check {
            ["audit", ..] => " (needs the scope admin:audit:read)",
            _ => "",
        };
        format!("check before you repeat it{scope}:\n  {}", self.command(check))
    }

    /// Adds the hint to an error if the request may have been executed.
    fn with_hint(&self, error: Error, check: &[&str]) -> Failure {
        if error.effect() != Effect::None {
            Failure::OutcomeUnknown(error, self.check_hint(check))
        } else {
            error.into()
        }
    }

    /// A command of this program, quoted for a shell.
    fn command(&self, arguments: &[&str]) -> String {
        let program = env::args().next().unwrap_or_else(|| "nomic".to_owned());
        let json = self.output.json.then_some("--json");
        let words = [&*program].into_iter().chain(arguments.iter().copied()).chain(json);
        words.map(shell_quote).collect::<Vec<_>>().join(" ")
    }
}

fn shell_quote(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./\\:@=,+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

/// Warns if `NOMIC_BASE_URL` overrides a `NOMIC_DOMAIN` that names another instance.
fn warn_about_ignored_domain(nomic: &Nomic) {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let (Some(_), Some(domain)) = (variable("NOMIC_BASE_URL"), variable("NOMIC_DOMAIN")) else { return };
    let ignored = Nomic::new(domain, variable("NOMIC_API_KEY").unwrap_or_default());
    if ignored.is_ok_and(|ignored| ignored.base_url() == nomic.base_url()) {
        return;
    }
    let used = nomic.base_url();
    note(format_args!("NOMIC_BASE_URL and NOMIC_DOMAIN name different instances; using NOMIC_BASE_URL: {used}"));
}

/// Checks all documents before the first one is uploaded.
pub(crate) fn check_documents(files: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<(), Failure> {
    for file in files {
        let file = file.as_ref();
        let name = file.display();
        let unusable = |reason: String| Err(Failure::Usage(format!("{name}{reason}; nothing was sent")));
        // Only regular files are opened: opening a named pipe would block.
        let metadata = match file.metadata() {
            Ok(metadata) if metadata.is_file() => File::open(file).map(|_| metadata),
            other => other,
        };
        match metadata {
            Err(error) => return unusable(format!(": {error}")),
            Ok(metadata) if !metadata.is_file() => return unusable(" is not a file".to_owned()),
            Ok(metadata) if metadata.len() == 0 => return unusable(" is empty (0 bytes)".to_owned()),
            Ok(metadata) if metadata.len() > MAX_UPLOAD => {
                return unusable(format!(" has {} bytes; the service accepts at most {MAX_UPLOAD}", metadata.len()));
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

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
