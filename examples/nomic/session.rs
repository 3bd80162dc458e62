//! The state that all commands share: the client, the output, and how to check a write of unknown effect.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::env;
use std::path::Path;

use nomic_client::files::{Upload, UploadedFile};
use nomic_client::{Builder, Effect, Error, FileVersionId, Nomic};
use nomic_emulator::Emulator;

use crate::failure::Failure;
use crate::operation_path::with_paths;
use crate::output::Output;
use crate::terminal::{Stage, note};

pub(crate) struct Session {
    pub(crate) nomic: Nomic,
    pub(crate) output: Output,
    /// The emulator of `--demo`, which runs as long as the session.
    pub(crate) emulator: Option<Emulator>,
    /// The operations that have another path, and that path.
    paths: Vec<(String, String)>,
    /// The display names of the documents of this command.
    document_names: RefCell<Vec<(FileVersionId, String)>>,
}

impl Session {
    pub(crate) fn new(json: bool, demo: bool, paths: Vec<(String, String)>) -> Result<Self, Failure> {
        let build = |builder: Builder| with_paths(builder, &paths).build();
        let output = Output { json, responded: Cell::new(false) };
        let document_names = RefCell::default();
        if !demo {
            let nomic = Builder::from_env().and_then(build).map_err(Failure::Config)?;
            warn_about_ignored_domain(&nomic);
            return Ok(Self { nomic, output, emulator: None, paths, document_names });
        }
        let emulator = Emulator::builder().integration_files(3).agents(3).start();
        let emulator = emulator.map_err(|error| Failure::Local(format!("cannot start the emulator: {error}")))?;
        let nomic = build(Nomic::builder(emulator.url(), emulator.key()))?;
        Ok(Self { nomic, output, emulator: Some(emulator), paths, document_names })
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

    /// How to check whether a request was executed.
    pub(crate) fn check_hint(&self, check: &[&str]) -> String {
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
    pub(crate) fn with_hint(&self, error: Error, check: &[&str]) -> Failure {
        if error.effect() != Effect::None {
            Failure::OutcomeUnknown(error, self.check_hint(check))
        } else {
            error.into()
        }
    }

    /// A command of this program, quoted for a shell.
    pub(crate) fn command(&self, arguments: &[&str]) -> String {
        let program = env::args().next().unwrap_or_else(|| "nomic".to_owned());
        let mut parts = [&[&*program], arguments].concat();
        parts.extend(self.output.json.then_some("--json"));
        let paths: Vec<String> = self.paths.iter().map(|(operation, path)| format!("{operation}={path}")).collect();
        paths.iter().for_each(|path| parts.extend(["--path", path]));
        parts.into_iter().map(shell_quote).collect::<Vec<_>>().join(" ")
    }
}

/// Quotes an argument for a shell, if it needs it.
fn shell_quote(part: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./\\:@=,+".contains(c);
    if !part.is_empty() && part.chars().all(is_plain) {
        return part.into();
    }
    format!("'{}'", part.replace('\'', r"'\''")).into()
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
