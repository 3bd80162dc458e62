//! A caller that repeats only what its errors allow, and a check of its results against what the emulator executed.

use std::collections::HashMap;
use std::fmt::Write;
use std::thread::sleep;
use std::time::Duration;

use nomic_client::agents::{Agent, Launch};
use nomic_client::files::Upload;
use nomic_client::job::WaitOptions;
use nomic_client::job::{Job, JobRef, Poll};
use nomic_client::{Effect, Error, ErrorKind, FileId, FileVersionId, Nomic, Result, extract, operations};
use nomic_emulator::{Emulator, Rng};
use serde_json::{Value, json};

/// What is done to a document, in this order.
pub(crate) const STEPS: [&str; 4] = ["upload_file", "submit_parse", "submit_extract", "launch_agent"];

/// The maximum number of attempts.
const TRIES: usize = 5;
/// The time that the server gets to finish a request whose response was lost, before the caller looks for its effect.
const SETTLING: Duration = Duration::from_millis(500);

/// What the caller knows about a step in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Told {
    #[default]
    NotDone,
    Unknown,
    Done,
}

/// A document with a unique text of about `size` bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Document {
    pub(crate) number: u64,
    pub(crate) size: usize,
}

impl Document {
    pub(crate) fn name(self) -> String {
        format!("permit-{:07}.txt", self.number)
    }

    pub(crate) fn permit(self) -> String {
        format!("PH-{:07}", self.number)
    }

    pub(crate) fn storeys(self) -> u64 {
        self.number % 40 + 1
    }

    pub(crate) fn text(self) -> String {
        let permit = self.permit();
        let mut text = format!("Permit number: {permit}\nNumber of storeys: {}\n", self.storeys());
        while text.len() < self.size {
            let _ = write!(text, "\nThe permit {permit} asks for a door of {} minutes.\n", text.len());
        }
        text
    }

    /// Whether a text names this document and no other.
    fn owns(self, text: &str) -> bool {
        let digits = &self.permit()[3..];
        let mut named = text.split("PH-").skip(1).peekable();
        named.peek().is_some() && named.all(|rest| rest.starts_with(digits))
    }
}

/// What the caller knows about a document.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) document: Document,
    pub(crate) file: Option<FileId>,
    pub(crate) version: Option<FileVersionId>,
    pub(crate) told: [Told; 4],
    /// Jobs whose result came and was right.
    pub(crate) results: usize,
    /// Jobs that failed on the server.
    pub(crate) failed: usize,
    /// Jobs that had not ended at the timeout.
    pub(crate) unfinished: Vec<JobRef>,
    /// The number of errors.
    pub(crate) errors: usize,
    /// Descriptions of what was wrong.
    pub(crate) wrong: Vec<String>,
}

/// Processes one document.
pub(crate) struct Careful<'a> {
    nomic: &'a Nomic,
    options: WaitOptions,
    pub(crate) account: Account,
}

impl<'a> Careful<'a> {
    pub(crate) fn new(nomic: &'a Nomic, document: Document, options: WaitOptions) -> Self {
        Self { nomic, options, account: Account { document, ..Account::default() } }
    }

    /// Uploads the document with what `upload` returns. Returns whether it is on the server.
    pub(crate) fn upload<'u>(&mut self, upload: impl Fn() -> Upload<'u>) -> bool {
        let document = self.account.document;
        let act = |nomic: &Nomic| nomic.upload(upload()).map(|file| (file.id, Some(file.file_version_id)));
        let look = |nomic: &Nomic| {
            let hits = nomic.search_files(&document.name());
            hits.map(|hit| hit.map(|hit| (hit.id, None))).next().transpose()
        };
        // A file that was found by a search has no version, and cannot be parsed.
        if let Some((file, version)) = self.act(0, act, Some(("search_files", &look))) {
            (self.account.file, self.account.version) = (Some(file), version);
        }
        self.account.file.is_some()
    }

    /// Parses the uploaded document, extracts values, and runs an agent on it. Returns the agent.
    pub(crate) fn work(&mut self) -> Option<Agent> {
        let document = self.account.document;
        if let Some(version) = self.account.version.clone() {
            let parse = |nomic: &Nomic| nomic.parse(&version);
            if let Some(parsed) = self.act(1, parse, None).and_then(|job| self.wait("get_parse", &job)) {
                let (text, found) = (document.text(), parsed.text());
                let whole = text.lines().all(|line| found.contains(line));
                self.result(whole && document.owns(&found), "parsed", &found);
            }
            let schema = json!({"type": "object", "properties": {
                "permitNumber": {"type": "string"}, "numberOfStoreys": {"type": "integer"},
            }});
            let versions = [version];
            let extract =
                |nomic: &Nomic| nomic.extract_with(&versions, &schema, &extract::Options::default().citations(true));
            if let Some(extracted) = self.act(2, extract, None).and_then(|job| self.wait("get_extract", &job)) {
                let expected = json!({"permitNumber": document.permit(), "numberOfStoreys": document.storeys()});
                let cited = extracted.citations_of("permitNumber");
                let cited = cited.first().and_then(|citation| citation.file_version_id.as_ref()) == versions.first();
                self.result(cited && extracted.value == expected, "extracted", &extracted.value.to_string());
            }
        }
        let file = self.account.file.clone()?;
        let launch = Launch::prompt("Report the permit and its storeys.").files([file.clone()]);
        let launched = |nomic: &Nomic| nomic.launch_agent(&launch);
        let look = |nomic: &Nomic| {
            let is_ours = |agent: &Agent| agent.files.iter().any(|own| own.id.as_ref() == Some(&file));
            let mut newest = nomic.agents().page_size(100).take(200);
            newest.find(|agent| agent.as_ref().map_or(true, is_ours)).transpose()
        };
        let agent = self.act(3, launched, Some(("list_agents", &look)))?;
        let agent = self.wait("get_agent", &agent)?;
        let mut contents = String::new();
        for artifact in &agent.artifacts {
            let content = self.read("get_artifact", |nomic| nomic.artifact(&agent.id, &artifact.id))?.content;
            contents += &content.unwrap_or_default().to_string();
        }
        self.result(document.owns(&contents), "the agent wrote", &contents);
        Some(agent)
    }

    /// Sends a write; sends it again only if it had no effect and the error is transient. If the effect is unknown, looks for
    /// it first, where that is possible.
    #[expect(clippy::type_complexity, reason = "an operation, and how to find what it did")]
    fn act<T>(
        &mut self,
        step: usize,
        act: impl Fn(&Nomic) -> Result<T>,
        look: Option<(&str, &dyn Fn(&Nomic) -> Result<Option<T>>)>,
    ) -> Option<T> {
        for _ in 0..TRIES {
            let error = match act(self.nomic) {
                Ok(thing) => {
                    self.account.told[step] = Told::Done;
                    return Some(thing);
                }
                Err(error) => error,
            };
            self.note(STEPS[step], &error);
            if error.effect() != Effect::None {
                self.account.told[step] = Told::Unknown;
                sleep(SETTLING);
                match look.and_then(|(operation, look)| self.read(operation, look)) {
                    None => return None,
                    Some(None) => self.account.told[step] = Told::NotDone,
                    Some(found) => {
                        self.account.told[step] = Told::Done;
                        return found;
                    }
                }
            } else if !error.is_transient() {
                return None;
            }
        }
        None
    }

    /// Sends a read, again while its error is transient.
    pub(crate) fn read<T>(&mut self, operation: &str, read: impl Fn(&Nomic) -> Result<T>) -> Option<T> {
        for _ in 0..TRIES {
            match read(self.nomic) {
                Ok(thing) => return Some(thing),
                Err(error) => {
                    self.note(operation, &error);
                    if !error.is_transient() {
                        return None;
                    }
                }
            }
        }
        None
    }

    /// Waits for a job, and waits again if a wait ended without a result.
    fn wait<J: Job>(&mut self, operation: &str, job: &J) -> Option<J::Output> {
        let mut left = None;
        for _ in 0..TRIES {
            match self.nomic.wait_with(job, &self.options) {
                Ok(output) => return Some(output),
                Err(error) => {
                    self.note(operation, &error);
                    if error.is_job_failed() {
                        self.account.failed += 1;
                        return None;
                    }
                    left = error.job().cloned();
                }
            }
        }
        self.account.unfinished.extend(left);
        None
    }

    fn result(&mut self, right: bool, what: &str, found: &str) {
        self.account.results += usize::from(right);
        if !right {
            self.account.wrong.push(format!("{what}: {found:?}"));
        }
    }

    /// Counts an error. It must be one that a fault can cause, and name its operation.
    pub(crate) fn note(&mut self, operation: &str, error: &Error) {
        self.account.errors += 1;
        if !explains(operation, error) {
            self.account.wrong.push(format!("{operation} should not have failed so: {error}"));
        }
    }
}

fn explains(operation: &str, error: &Error) -> bool {
    let from_a_fault = match error.kind() {
        ErrorKind::Api(inside) => {
            [Rng::ERROR_MESSAGE, "Refused before the body was read", "Rate limit exceeded"].contains(&&*inside.message)
        }
        ErrorKind::Job(_) if error.is_job_failed() => error.to_string().contains(Rng::ERROR_MESSAGE),
        ErrorKind::Job(_) => error.job().is_some(),
        ErrorKind::UnexpectedResponse(_)
        | ErrorKind::Decode(_)
        | ErrorKind::ResponseTooLarge { .. }
        | ErrorKind::RepeatedCursor { .. } => true,
        ErrorKind::Transport(_) | ErrorKind::Deadline(_) => !error.is_unreachable(),
        _ => false,
    };
    let acts = operations::ALL.iter().any(|known| known.name == operation && known.method.as_str() != "GET");
    from_a_fault && error.operation() == Some(operation) && (acts || error.effect() == Effect::None)
}

/// Compares the accounts of all documents with what the emulator executed. Returns what is wrong.
pub(crate) fn audit(emulator: &Emulator, accounts: &[Account]) -> Vec<String> {
    let mut done: [HashMap<String, u64>; 4] = Default::default();
    let mut wrong = Vec::new();
    let texts: HashMap<_, _> = accounts.iter().map(|account| (account.document.name(), account.document)).collect();
    for upload in emulator.uploads() {
        let text = texts.get(&upload.name).map(|document| document.text());
        if text.map(String::into_bytes) != std::fs::read(&upload.path).ok() {
            wrong.push(format!("{} does not hold what was uploaded", upload.name));
        }
        *done[0].entry(upload.name).or_default() += 1;
    }
    for (step, place) in [(1, "/fileVersionId"), (2, "/fileVersionIds/0"), (3, "/fileIds/0")] {
        for body in emulator.accepted_bodies(STEPS[step]) {
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let of = body.pointer(place).and_then(Value::as_str).unwrap_or_default();
            *done[step].entry(of.to_owned()).or_default() += 1;
        }
    }
    for account in accounts {
        wrong.extend(account.wrong.iter().map(|wrong| format!("{}: {wrong}", account.document.name())));
        let version = account.version.as_ref().map(|version| version.to_string());
        let file = account.file.as_ref().map(|file| file.to_string());
        for (step, key) in [Some(account.document.name()), version.clone(), version, file].into_iter().enumerate() {
            let times = key.and_then(|key| done[step].remove(&key)).unwrap_or(0);
            let right = match account.told[step] {
                Told::NotDone => times == 0,
                Told::Unknown => times <= 1,
                Told::Done => times == 1,
            };
            if !right {
                let (name, told) = (account.document.name(), account.told[step]);
                wrong.push(format!("{name}: {} is told as {told:?}, and was done {times} times", STEPS[step]));
            }
        }
    }
    emulator.clear_faults();
    let nomic = Nomic::new(emulator.url(), emulator.key());
    for job in accounts.iter().flat_map(|account| &account.unfinished) {
        // Only a job that a fault keeps from ending may be unfinished.
        let goes_on = nomic.as_ref().is_ok_and(|nomic| match job {
            JobRef::Parse(id) => matches!(nomic.poll(&nomic.parse_job(id.clone())), Ok(Poll::Pending { .. })),
            JobRef::Extract(id) => matches!(nomic.poll(&nomic.extract_job(id.clone())), Ok(Poll::Pending { .. })),
            JobRef::Agent(id) => matches!(nomic.poll(id), Ok(Poll::Pending { .. })),
            _ => false,
        });
        if !goes_on {
            wrong.push(format!("{job} has ended, and its caller never got the result"));
        }
    }
    let strays = STEPS.iter().zip(done).flat_map(|(step, done)| done.into_keys().map(move |key| (step, key)));
    wrong.extend(strays.map(|(step, key)| format!("{step} was done to {key}, which nobody knows of")));
    wrong
}
