//! What every command works with: the client, the output, and waiting for a job without losing it.

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

use crate::args::{Timeout, Waiting};
use crate::failure::{Failure, name_is_unknown};
use crate::output::Output;
use crate::terminal::{Stage, note};

/// What every command works with.
pub(crate) struct Session {
    pub(crate) nomic: Nomic,
    pub(crate) output: Output,
    /// The Nomic in a box, which lives as long as this.
    demo: Option<Emulator>,
    /// What the documents of this command are called.
    documents: RefCell<Vec<(FileVersionId, String)>>,
}

/// How a job is submitted.
pub(crate) struct Deed<'a> {
    /// As in `submitting the parse job`.
    pub(crate) doing: &'a str,
    /// What is said of the job then, as in `is submitted`.
    pub(crate) done: &'a str,
    /// The arguments of the command that shows whether it was.
    pub(crate) look: &'a [&'a str],
}

impl Session {
    pub(crate) fn begin(json: bool, demo: bool) -> Result<Self, Failure> {
        let output = Output { json, answered: Cell::new(false) };
        let documents = RefCell::default();
        if !demo {
            let nomic = Nomic::from_env().map_err(Failure::Settings)?;
            say_which_place_counts(&nomic);
            return Ok(Self { nomic, output, demo: None, documents });
        }
        let emulator = Emulator::builder().files(3).agents(3).start();
        let emulator = emulator.map_err(|error| Failure::Local(format!("the demo did not start: {error}")))?;
        Ok(Self { nomic: Nomic::new(emulator.url(), emulator.key())?, output, demo: Some(emulator), documents })
    }

    /// Whether a key that begins so is the one that is used here.
    pub(crate) fn uses_key(&self, prefix: &str) -> bool {
        let key = match &self.demo {
            Some(emulator) => emulator.key().to_owned(),
            None => env::var("NOMIC_API_KEY").unwrap_or_default(),
        };
        !prefix.is_empty() && key.starts_with(prefix)
    }

    /// Uploads a document, with progress. `target` is where it will be found.
    pub(crate) fn upload(&self, file: &Path, upload: Upload<'_>, target: &Path) -> Result<UploadedFile, Failure> {
        let name = file.display();
        let stored_as = target.file_name().unwrap_or_default().to_string_lossy();
        let look = ["search", &stored_as];
        let broken_off = format!("the upload of {name} was broken off: it is not stored, and nothing was submitted");
        let stage = Stage::begin(format!("uploading {name}"), broken_off);
        let stored = self.nomic.upload(upload.progress(|sent, total| {
            stage.bytes(sent, total);
            if sent == total {
                stage.interrupted(format!("{name} was uploaded and may be stored, but nothing was submitted"));
            }
        }));
        let stored = stored.map_err(|error| self.unsure(error, &look))?;
        self.output.answered.set(true);
        Ok(stored)
    }

    /// Uploads a document for a job, and says how it is taken again: what comes next may go wrong. `option` makes the
    /// option that does so.
    pub(crate) fn store(&self, file: &Path, option: impl Fn(&UploadedFile) -> String) -> Result<UploadedFile, Failure> {
        let stored = self.upload(file, Upload::from_path(file), file)?;
        if self.demo.is_none() {
            let (name, option) = (file.display(), option(&stored));
            note(format_args!("{name} is stored; to use it without another upload: {option}"));
        }
        self.call_document(&stored.file_version_id, file.display().to_string());
        Ok(stored)
    }

    /// Remembers what a document of this command is called.
    pub(crate) fn call_document(&self, version: &FileVersionId, name: String) {
        self.documents.borrow_mut().push((version.clone(), name));
    }

    /// What the documents of this command are called.
    pub(crate) fn documents(&self) -> Vec<(FileVersionId, String)> {
        self.documents.borrow().clone()
    }

    /// Does what is not to be done twice: while it is under way, Ctrl-C says that it may have been executed. `look`
    /// has the arguments of the command that shows whether it was.
    pub(crate) fn act<T>(
        &self,
        doing: &str,
        look: &[&str],
        act: impl FnOnce() -> nomic_client::Result<T>,
    ) -> Result<T, Failure> {
        let _stage = Stage::acting(doing, &self.look(look));
        act().map_err(|error| self.unsure(error, look))
    }

    /// Submits a job, and waits for it unless that is not wanted.
    pub(crate) fn submit<J: Submitted>(
        &self,
        waiting: &Waiting,
        deed: &Deed<'_>,
        submit: impl FnOnce() -> nomic_client::Result<J>,
    ) -> Result<(), Failure> {
        let stage = Stage::acting(deed.doing, &self.look(deed.look));
        let job = submit().map_err(|error| self.unsure(error, deed.look))?;
        self.output.answered.set(true);
        stage.interrupted(self.still_runs(&job));
        if waiting.no_wait {
            note(self.still_runs(&job));
            drop(stage);
            return self.output.value(&json!({ "kind": J::KIND, "id": job.id() }), || job.id().to_owned());
        }
        note(format_args!("{} {} {}", J::NAME, job.id(), deed.done));
        self.wait(&job, waiting.timeout)
    }

    /// Waits for a job, and shows what came of it.
    pub(crate) fn wait<J: Submitted>(&self, job: &J, timeout: Timeout) -> Result<(), Failure> {
        let stage = Stage::begin(format!("waiting for {} {}", J::NAME, job.id()), self.still_runs(job));
        let result = self.nomic.wait_with(job, &WaitOptions::with_timeout(Duration::from_secs(timeout.timeout)));
        drop(stage);
        match result {
            Ok(output) => job.show(self, &output),
            // What the client says of it, that it goes on, is not so here.
            Err(error) if self.demo.is_some() && error.is_timeout() => Err(Failure::Local(format!(
                "{} did not end within {} s, and is gone with the Nomic in a box",
                job.label(),
                timeout.timeout
            ))),
            Err(error) => {
                let nowhere = !self.output.answered.get() && name_is_unknown(&error);
                if !error.is_job_failed() && !error.is_not_found() && !nowhere {
                    note(self.still_runs(job));
                }
                Err(error.into())
            }
        }
    }

    /// What becomes of a job that is not waited for, with the very command that does so.
    fn still_runs<J: Submitted>(&self, job: &J) -> String {
        let label = job.label();
        if self.demo.is_some() {
            return format!("{label} is gone with the Nomic in a box");
        }
        let again = self.command(&["wait", J::KIND, job.id()]);
        format!("{label} still runs on the server; to wait for it:\n  {again}")
    }

    /// How to see whether something was done.
    fn look(&self, arguments: &[&str]) -> String {
        if self.demo.is_some() {
            return "it is gone with the Nomic in a box".to_owned();
        }
        let with = match arguments {
            ["audit", ..] => ", with a key of the scope admin:audit:read",
            _ => "",
        };
        format!("look before you repeat it{with}:\n  {}", self.command(arguments))
    }

    /// An error, with the way to see whether it was done all the same, if that is not known.
    fn unsure(&self, error: Error, look: &[&str]) -> Failure {
        if error.effect() != Effect::None { Failure::Unsure(error, self.look(look)) } else { error.into() }
    }

    /// A command to type into a shell.
    fn command(&self, arguments: &[&str]) -> String {
        let program = env::args().next().unwrap_or_else(|| "nomic".to_owned());
        let json = self.output.json.then_some("--json");
        let words = [&*program].into_iter().chain(arguments.iter().copied()).chain(json);
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }
}

/// One word for a shell.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "-_./\\:@=,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

/// Two settings may lead to two places, of which one counts.
fn say_which_place_counts(nomic: &Nomic) {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let (Some(_), Some(domain)) = (set("NOMIC_BASE_URL"), set("NOMIC_DOMAIN")) else { return };
    let other = Nomic::new(domain, set("NOMIC_API_KEY").unwrap_or_default());
    if other.is_ok_and(|other| other.base_url() == nomic.base_url()) {
        return;
    }
    let counts = nomic.base_url();
    note(format_args!("NOMIC_BASE_URL and NOMIC_DOMAIN lead to different places; NOMIC_BASE_URL counts: {counts}"));
}

/// Looks at documents before the first of them is uploaded.
pub(crate) fn check_documents(files: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<(), Failure> {
    for file in files {
        let file = file.as_ref();
        let name = file.display();
        let unusable = |reason: String| Err(Failure::Usage(format!("{name}{reason}; nothing was sent")));
        // What is no file is not opened: a pipe would wait for its other end.
        let about = match file.metadata() {
            Ok(about) if about.is_file() => File::open(file).map(|_| about),
            other => other,
        };
        match about {
            Err(error) => return unusable(format!(": {error}")),
            Ok(about) if !about.is_file() => return unusable(" is not a file".to_owned()),
            Ok(about) if about.len() == 0 => return unusable(" is empty (0 bytes)".to_owned()),
            Ok(about) if about.len() > MAX_UPLOAD => {
                return unusable(format!(" has {} bytes; the service takes {MAX_UPLOAD} at the most", about.len()));
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// A job that can be waited for here, and by another command later.
pub(crate) trait Submitted: Job {
    /// As `nomic wait` has it.
    const KIND: &'static str;
    /// As people say.
    const NAME: &'static str;

    fn id(&self) -> &str;

    /// Shows what came of it.
    fn show(&self, session: &Session, output: &Self::Output) -> Result<(), Failure>;

    /// What it is called.
    fn label(&self) -> String {
        format!("{} {}", Self::NAME, self.id())
    }
}
