//! The one error type: what failed, in which operation, whether it was carried out, and what the server said.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_core::ser::SerializeMap;
use serde_core::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::ids::{AgentId, TaskId};
use crate::record::record;
use crate::words::open_enum;

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The name of an operation, as in [`operations`](crate::operations).
pub(crate) type Name = Cow<'static, str>;

/// 1 KiB: how much of a body an error keeps, in bytes: of an answer that is not the API's ([`ForeignAnswer`]), and of JSON
/// that could not be read ([`DecodeError`]).
pub const KEPT_OF_BODY: usize = 1024;

/// Why a call failed.
///
/// `Display` is one line that names the operation and the cause; there is nothing more to find in
/// [`source`](std::error::Error::source). `Debug` is the same line, so that a `main` that returns the error ends with
/// something to read; `{:#?}` shows all that is inside. For what a program wants to know there are methods:
///
/// ```
/// # fn example(error: nomic_client::Error) -> String {
/// if error.is_rate_limited() {
///     format!("try again in {:?}", error.retry_after())
/// } else if error.may_have_been_carried_out() {
///     format!("look before you send it again: {error}")
/// } else {
///     format!("{error}")
/// }
/// # }
/// ```
#[non_exhaustive]
pub enum Error {
    /// The client could not be built as asked; nothing was sent.
    Config(String),

    /// The request was refused here, before anything was sent.
    #[non_exhaustive]
    Refused {
        /// The operation.
        operation: Cow<'static, str>,
        /// What is wrong and what to do.
        reason: String,
    },

    /// The API answered with an error of its own.
    Api(Box<ApiError>),

    /// Something answered, but not as the API does: a proxy's page, a redirect, another server.
    Foreign(Box<ForeignAnswer>),

    /// No answer: the connection could not be made, broke, or stalled.
    Transport(Box<TransportError>),

    /// The deadline of the call passed before an answer was there.
    Deadline(Box<DeadlineError>),

    /// The API answered with success, but the answer could not be read: it is not whole, or of another shape.
    Decode(Box<DecodeError>),

    /// The answer is larger than this client reads: [`Builder::response_limit`](crate::Builder::response_limit).
    #[non_exhaustive]
    TooLarge {
        /// The operation.
        operation: Cow<'static, str>,
        /// The limit, in bytes.
        limit: u64,
        /// Whether the operation acts, so that it may have been carried out.
        acts: bool,
    },

    /// The document to upload could not be read, or changed while it was sent.
    #[non_exhaustive]
    Document {
        /// The operation.
        operation: Cow<'static, str>,
        /// Which document, as a path or a name.
        what: String,
        /// What went wrong.
        cause: String,
        /// The kind of the I/O error.
        kind: std::io::ErrorKind,
    },

    /// The program gave an upload up: [`Upload::control`](crate::files::Upload::control). Nothing was stored.
    #[non_exhaustive]
    Cancelled {
        /// The operation.
        operation: Cow<'static, str>,
    },

    /// The server of a list sent a cursor that it had sent before: going on would never end.
    #[non_exhaustive]
    RepeatedCursor {
        /// The operation.
        operation: Cow<'static, str>,
        /// The cursor.
        cursor: String,
    },

    /// The wait for a job ended without a result. The job is inside: see [`Error::job`].
    Job(Box<JobError>),

    /// A value is there, but not of the type that was asked for.
    Mismatch(Box<MismatchError>),
}

open_enum! {
    /// The API's machine-readable word for an error.
    ///
    /// Nomic's API pages document the field, not its words; these two stand in their examples.
    pub enum ErrorCode {
        /// The thing does not exist, or is not visible to this key.
        NotFound = "not_found",
        /// Too many requests in this tier, or (on a launch) the user's spend limit.
        RateLimited = "rate_limited",
    }
}

record! {
    /// One failed validation: where in the request, and why.
    #[derive(Default, Eq)]
    #[non_exhaustive]
    pub struct Issue {
        /// Field names and list positions from the outside in, e.g. `options`, `pages`, 2.
        pub path: Vec<Value> = or_empty "path",
        /// What is wrong there.
        pub message: String = or_empty "message",
        ..
        /// What else was said of it.
        pub extra: Map<String, Value>,
    }
}

impl fmt::Display for Issue {
    /// For example `options.pages[2]: Required`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Value::Number(index) => path.push_str(&format!("[{index}]")),
                Value::String(name) if path.is_empty() => path.push_str(name),
                Value::String(name) => path.push_str(&format!(".{name}")),
                other => path.push_str(&format!(".{other}")),
            }
        }
        if !path.is_empty() {
            write!(f, "{}: ", brief(&path))?;
        }
        f.write_str(&brief(&self.message))
    }
}

/// An error in the API's own words: `{error, code, issues}`.
#[derive(Debug)]
#[non_exhaustive]
pub struct ApiError {
    /// The operation.
    pub operation: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// The API's sentence (`error`).
    pub message: String,
    /// The API's word (`code`); the older form of the body has none.
    pub code: Option<ErrorCode>,
    /// Each failed validation; empty if there was none.
    pub issues: Vec<Issue>,
    /// How long the server asked to wait.
    pub retry_after: Option<Duration>,
    /// The granular scope that the operation needs, on a 403.
    pub scope: Option<&'static str>,
    /// The whole body as it came, but without the key.
    pub body: Value,
    pub(crate) fate: Fate,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {}", brief(code.as_str()))?;
        }
        write!(f, ": {}", brief(&self.message))?;
        if !self.issues.is_empty() {
            let issues: Vec<String> = self.issues.iter().map(Issue::to_string).collect();
            write!(f, " ({})", shortened(&issues.join("; ")))?;
        }
        if let Some(scope) = self.scope {
            write!(f, "; this operation needs the scope {scope}")?;
        }
        if self.status == 401 {
            f.write_str("; check the key")?;
        }
        if let Some(delay) = self.retry_after {
            write!(f, "; the server asks to wait {}", Span(delay))?;
        }
        write!(f, "{}", self.fate)
    }
}

/// An answer that is not the API's: its status, and the beginning of what it said.
#[derive(Debug)]
#[non_exhaustive]
pub struct ForeignAnswer {
    /// The operation.
    pub operation: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// The media type that the answer claims, if it claims one.
    pub content_type: Option<String>,
    /// Where a redirect points; it is not followed, since the key would go there.
    pub location: Option<String>,
    /// The first 1 KiB ([`KEPT_OF_BODY`]) of the body as text, without the key.
    pub body: String,
    /// How long the server asked to wait.
    pub retry_after: Option<Duration>,
    pub(crate) fate: Fate,
}

impl fmt::Display for ForeignAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, not an answer of the API", self.operation, self.status)?;
        if let Some(location) = &self.location {
            write!(f, "; it redirects to {:?}, which is not followed: is the base URL right?", shortened(location))?;
        }
        let kind = brief(self.content_type.as_deref().unwrap_or("no media type"));
        let said = one_line(&self.body);
        if said.is_empty() {
            write!(f, " ({kind}, empty)")?;
        } else {
            write!(f, " ({kind}): {said}")?;
        }
        write!(f, "{}", self.fate)
    }
}

/// No answer came.
#[derive(Debug)]
#[non_exhaustive]
pub struct TransportError {
    /// The operation.
    pub operation: Cow<'static, str>,
    /// The host that was to be reached, e.g. `acme.nomic.ai`, and the proxy on the way if there is one.
    pub host: String,
    /// What happened.
    pub cause: String,
    /// Whether the connection could not be made at all.
    pub unreachable: bool,
    /// Whether time does not mend it: a certificate that is not trusted, a server that speaks no TLS.
    pub lasting: bool,
    /// Whether the connection was there, but nothing moved for too long.
    pub stalled: bool,
    /// The status of the answer, if its head came.
    pub status: Option<u16>,
    /// How often it was tried.
    pub attempts: u32,
    pub(crate) fate: Fate,
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unreachable {
            write!(f, "{}: cannot reach {}: {}", self.operation, self.host, self.cause)?;
        } else {
            let whole = if self.status.is_some() { "whole " } else { "" };
            write!(f, "{}: no {whole}answer from {}: {}", self.operation, self.host, self.cause)?;
        }
        if self.attempts > 1 {
            write!(f, " (tried {} times)", self.attempts)?;
        }
        write!(f, "{}", self.fate)
    }
}

/// The deadline passed.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeadlineError {
    /// The operation.
    pub operation: Cow<'static, str>,
    /// How long the call took.
    pub elapsed: Duration,
    /// What it was waiting for, e.g. `the rate limit of the heavy tier`.
    pub waiting_for: String,
    /// Whether there was no connection yet.
    pub unreached: bool,
    /// How long the rate limit is known to stay closed, if that is what it waited for.
    pub retry_after: Option<Duration>,
    /// What an earlier attempt of the same call ended with.
    pub last: Option<Box<Error>>,
    pub(crate) fate: Fate,
}

impl fmt::Display for DeadlineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elapsed = Span(self.elapsed);
        write!(f, "{}: out of time after {elapsed}, waiting for {}", self.operation, self.waiting_for)?;
        if let Some(delay) = self.retry_after {
            write!(f, ", which opens in {}", Span(delay))?;
        }
        write!(f, "{}", self.fate)?;
        match &self.last {
            Some(error) => write!(f, "; before that: {error}"),
            None => Ok(()),
        }
    }
}

/// An answer of success that could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct DecodeError {
    /// The operation.
    pub operation: Cow<'static, str>,
    /// The HTTP status, 2xx.
    pub status: u16,
    /// Where in the answer, e.g. `data[2].status`; `$` is the whole.
    pub path: String,
    /// What is wrong there.
    pub message: String,
    /// The first 1 KiB ([`KEPT_OF_BODY`]) of the body as text, without the key. JSON is cut too.
    pub body: String,
    /// Whether the text is no JSON at all (cut, or of another server), rather than of another shape.
    pub broken: bool,
    /// The job that was begun, if the answer told its id.
    pub job: Option<JobRef>,
    pub(crate) fate: Fate,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: the answer cannot be read at {}: {}",
            self.operation,
            one_line(&self.path),
            one_line(&self.message)
        )?;
        match &self.job {
            Some(job) => write!(f, "{}, as {job}", self.fate),
            None => write!(f, "{}", self.fate),
        }
    }
}

/// A job, to be stored and picked up again: what it is and its id on the server. In JSON e.g. `{"parse":"019abc12"}`.
///
/// ```
/// use nomic_client::{JobRef, Nomic, Result};
///
/// /// Waits for a job of any kind that an earlier run stored.
/// fn pick_up(nomic: &Nomic, job: JobRef) -> Result<()> {
///     match job {
///         JobRef::Parse(id) => println!("{}", nomic.wait(&nomic.parse_job(id))?.text()),
///         JobRef::Extract(id) => println!("{}", nomic.wait(&nomic.extract_job(id))?.value),
///         JobRef::Agent(id) => println!("{}", nomic.wait(&id)?.status),
///         other => println!("{other} is of a kind that came later"),
///     }
///     Ok(())
/// }
/// # let job = nomic_client::parse::ParseJob::from(nomic_client::TaskId::from("019abc12"));
/// # assert_eq!(serde_json::to_string(&JobRef::from(&job)).unwrap(), r#"{"parse":"019abc12"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobRef {
    /// A parse job: `nomic.wait(&nomic.parse_job(id))` picks it up.
    Parse(TaskId),
    /// An extract job: `nomic.wait(&nomic.extract_job(id))` picks it up.
    Extract(TaskId),
    /// An agent: `nomic.wait(&id)` picks it up.
    Agent(AgentId),
}

impl<'de> Deserialize<'de> for JobRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut stored = BTreeMap::<String, String>::deserialize(deserializer)?;
        match stored.pop_first().filter(|_| stored.is_empty()).as_ref().map(|(kind, id)| (kind.as_str(), id.as_str())) {
            Some(("parse", id)) => Ok(Self::Parse(id.into())),
            Some(("extract", id)) => Ok(Self::Extract(id.into())),
            Some(("agent", id)) => Ok(Self::Agent(id.into())),
            _ => Err(serde_core::de::Error::custom("expected an id under `parse`, `extract` or `agent`")),
        }
    }
}

impl Serialize for JobRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(Some(1))?;
        match self {
            Self::Parse(id) => fields.serialize_entry("parse", id)?,
            Self::Extract(id) => fields.serialize_entry("extract", id)?,
            Self::Agent(id) => fields.serialize_entry("agent", id)?,
        }
        fields.end()
    }
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, id) = match self {
            Self::Parse(id) => ("parse job", id.as_str()),
            Self::Extract(id) => ("extract job", id.as_str()),
            Self::Agent(id) => ("agent", id.as_str()),
        };
        write!(f, "{kind} {}", brief(id))
    }
}

/// A wait that did not end in a result. The job goes on, or has failed, on the server.
#[derive(Debug)]
#[non_exhaustive]
pub struct JobError {
    /// The operation that polls, e.g. `get_parse`.
    pub operation: Cow<'static, str>,
    /// The job.
    pub job: JobRef,
    /// The last status word that was seen, e.g. `BUILDING`; `None` if no poll was answered.
    pub status: Option<String>,
    /// How long it was waited for.
    pub elapsed: Duration,
    /// How often the job was polled.
    pub polls: u32,
    /// Why the wait ended.
    pub reason: JobFailure,
}

/// Why a wait ended without a result.
#[derive(Debug)]
#[non_exhaustive]
pub enum JobFailure {
    /// The patience was used up, or the server asked to be left alone for longer; the job goes on. What went wrong with the
    /// last poll, if anything did.
    TimedOut(Option<Box<Error>>),
    /// The server says that the job failed, in these words (empty if it gave none).
    Failed(String),
    /// Polling again is of no use: the key was refused (401), the job is not known (404), the answer is of another
    /// shape, or the server was never reached within [`UNREACHED_FOR`](crate::job::UNREACHED_FOR).
    Lost(Box<Error>),
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (job, after) = (&self.job, Span(self.elapsed));
        let status = brief(self.status.as_deref().unwrap_or("unknown"));
        match &self.reason {
            JobFailure::Failed(words) if words.is_empty() => {
                write!(f, "{}: {job} failed after {after} (status {status})", self.operation)
            }
            JobFailure::Failed(words) => {
                write!(f, "{}: {job} failed after {after}: {}", self.operation, brief(words))
            }
            JobFailure::TimedOut(trouble) => {
                write!(f, "{}: {job} did not end within {after} (status {status})", self.operation)?;
                if self.status.is_some() {
                    f.write_str("; it goes on, and can be waited for again")?;
                }
                match trouble {
                    Some(error) => write!(f, "; last trouble: {error}"),
                    None => Ok(()),
                }
            }
            JobFailure::Lost(error) => write!(f, "{error}; asked after {job}, status {status}"),
        }
    }
}

/// A value that is not of the wanted type. Nothing is lost: the value is inside.
#[derive(Debug)]
#[non_exhaustive]
pub struct MismatchError {
    /// The operation that the value came from.
    pub operation: Cow<'static, str>,
    /// Where in the value, e.g. `rooms[0].area`; `$` is the whole.
    pub path: String,
    /// What is wrong there.
    pub message: String,
    /// The whole value.
    pub value: Value,
    /// Where it stands in its documents, if that was asked for.
    pub citations: Option<Value>,
}

impl fmt::Display for MismatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: the value does not fit the wanted type at {}: {}",
            self.operation,
            brief(&self.path),
            brief(&self.message)
        )
    }
}

/// What is known of the effect of a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The server provably did not act, or there was nothing to act on (a read).
    NotDone,
    /// It may have acted.
    Unknown,
    /// It did act; only the answer is lost.
    Done,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDone => Ok(()),
            Self::Unknown => f.write_str("; it may have been carried out"),
            Self::Done => f.write_str("; it was carried out"),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(reason) => write!(f, "cannot build the client: {reason}"),
            Self::Refused { operation, reason } => write!(f, "{operation}: not sent: {reason}"),
            Self::Api(inside) => inside.fmt(f),
            Self::Foreign(inside) => inside.fmt(f),
            Self::Transport(inside) => inside.fmt(f),
            Self::Deadline(inside) => inside.fmt(f),
            Self::Decode(inside) => inside.fmt(f),
            Self::TooLarge { operation, limit, acts } => {
                let fate = if *acts { Fate::Unknown } else { Fate::NotDone };
                write!(f, "{operation}: the answer is larger than {limit} bytes, the limit of this client{fate}")
            }
            Self::Cancelled { operation } => {
                write!(f, "{operation}: given up by the program before the document was through; nothing was stored")
            }
            Self::Document { operation, what, cause, .. } => write!(f, "{operation}: {what}: {cause}"),
            Self::RepeatedCursor { operation, cursor } => {
                let cursor = shortened(cursor);
                write!(f, "{operation}: the server sent the cursor {cursor:?} twice; the listing would never end")
            }
            Self::Job(inside) => inside.fmt(f),
            Self::Mismatch(inside) => inside.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        match self {
            Self::Api(inside) => inside.fmt(f),
            Self::Foreign(inside) => inside.fmt(f),
            Self::Transport(inside) => inside.fmt(f),
            Self::Deadline(inside) => inside.fmt(f),
            Self::Decode(inside) => inside.fmt(f),
            Self::Job(inside) => inside.fmt(f),
            Self::Mismatch(inside) => inside.fmt(f),
            // All that is inside stands in the line.
            Self::Config(_)
            | Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::Document { .. }
            | Self::Cancelled { .. }
            | Self::RepeatedCursor { .. } => fmt::Display::fmt(self, f),
        }
    }
}

impl Error {
    pub(crate) fn refused(operation: impl Into<Name>, reason: impl Into<String>) -> Self {
        Self::Refused { operation: operation.into(), reason: reason.into() }
    }

    pub(crate) fn document(operation: &'static str, what: impl Into<String>, error: &std::io::Error) -> Self {
        Self::Document { operation: operation.into(), what: what.into(), cause: error.to_string(), kind: error.kind() }
    }

    /// Tells of a refusal how long the tier stays closed, if the pace keeps it closed for longer than the server asked.
    pub(crate) fn closed_for(mut self, closed: Duration) -> Self {
        let asked = match &mut self {
            Self::Api(error) => &mut error.retry_after,
            Self::Foreign(error) => &mut error.retry_after,
            _ => return self,
        };
        *asked = asked.map(|asked| asked.max(closed));
        self
    }

    /// The operation that failed, as in [`operations`](crate::operations); `None` if no client was there yet.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        match self {
            Self::Config(_) => None,
            Self::Refused { operation, .. }
            | Self::TooLarge { operation, .. }
            | Self::Document { operation, .. }
            | Self::Cancelled { operation }
            | Self::RepeatedCursor { operation, .. } => Some(operation),
            Self::Api(error) => Some(&error.operation),
            Self::Foreign(error) => Some(&error.operation),
            Self::Transport(error) => Some(&error.operation),
            Self::Deadline(error) => Some(&error.operation),
            Self::Decode(error) => Some(&error.operation),
            Self::Job(error) => Some(&error.operation),
            Self::Mismatch(error) => Some(&error.operation),
        }
    }

    /// The HTTP status of the answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api(error) => Some(error.status),
            Self::Foreign(error) => Some(error.status),
            Self::Decode(error) => Some(error.status),
            Self::Transport(error) => error.status,
            Self::Job(error) => error.cause().and_then(Error::status),
            _ => None,
        }
    }

    /// The API's machine-readable word, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<&ErrorCode> {
        match self {
            Self::Api(error) => error.code.as_ref(),
            Self::Job(error) => error.cause().and_then(Error::code),
            _ => None,
        }
    }

    /// Each failed validation; empty if there was none.
    #[must_use]
    pub fn issues(&self) -> &[Issue] {
        match self {
            Self::Api(error) => &error.issues,
            Self::Job(error) => error.cause().map_or(&[], Error::issues),
            _ => &[],
        }
    }

    /// How long to wait before the next request: what the server asked for, or what the pace of the tier takes.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api(error) => error.retry_after,
            Self::Foreign(error) => error.retry_after,
            Self::Deadline(error) => error.retry_after,
            Self::Job(error) => error.cause().and_then(Error::retry_after),
            _ => None,
        }
    }

    /// The job whose wait ended without a result, or which was begun with an answer that cannot be read otherwise. If
    /// [`is_timeout`](Self::is_timeout) it goes on: store it, and wait for it again later.
    #[must_use]
    pub fn job(&self) -> Option<&JobRef> {
        match self {
            Self::Job(error) => Some(&error.job),
            Self::Decode(error) => error.job.as_ref(),
            _ => None,
        }
    }

    /// Whether the thing does not exist, or is not visible to this key (404).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether the key was not accepted (401).
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.status() == Some(401)
    }

    /// Whether the key lacks a scope (403).
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.status() == Some(403)
    }

    /// Whether the rate limit stood in the way (429), or a user's spend limit.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        match self {
            Self::Deadline(error) => error.retry_after.is_some(),
            Self::Job(error) => error.cause().is_some_and(Error::is_rate_limited),
            _ => self.status() == Some(429),
        }
    }

    /// Whether time ran out: the call's deadline, a stalled connection, or the patience of a wait.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Deadline(_) => true,
            Self::Transport(error) => error.stalled,
            Self::Job(error) => match &error.reason {
                JobFailure::TimedOut(_) => true,
                JobFailure::Lost(cause) => cause.is_timeout(),
                JobFailure::Failed(_) => false,
            },
            _ => false,
        }
    }

    /// Whether the request could not reach the server at all.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Transport(error) => error.unreachable,
            Self::Deadline(error) => error.unreached,
            Self::Job(error) => error.cause().is_some_and(Error::is_unreachable),
            _ => false,
        }
    }

    /// Whether the program itself gave the call up, by [`Upload::control`](crate::files::Upload::control).
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }

    /// Whether a job failed on the server, so that waiting again is of no use.
    #[must_use]
    pub fn is_job_failed(&self) -> bool {
        matches!(self, Self::Job(error) if matches!(error.reason, JobFailure::Failed(_)))
    }

    /// Whether the server may have acted on the request although the call failed. Look before you send it again:
    /// this crate did not.
    ///
    /// Always `false` for what is a GET on the wire, and wherever the server provably did not act.
    #[must_use]
    pub fn may_have_been_carried_out(&self) -> bool {
        self.fate() != Fate::NotDone
    }

    /// Whether the server did act, so that only its answer is lost or cannot be read. Implies
    /// [`may_have_been_carried_out`](Self::may_have_been_carried_out).
    #[must_use]
    pub fn was_carried_out(&self) -> bool {
        self.fate() == Fate::Done
    }

    fn fate(&self) -> Fate {
        match self {
            Self::Api(error) => error.fate,
            Self::Foreign(error) => error.fate,
            Self::Transport(error) => error.fate,
            Self::Deadline(error) => error.fate,
            Self::Decode(error) => error.fate,
            Self::TooLarge { acts: true, .. } => Fate::Unknown,
            _ => Fate::NotDone,
        }
    }

    /// Whether the same call may succeed later as it is: the server or the way to it was in trouble,
    /// or the rate limit stood in the way. Look at
    /// [`may_have_been_carried_out`](Self::may_have_been_carried_out) before you repeat what acts.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transport(error) => !error.lasting,
            Self::Deadline(_) => true,
            Self::Api(error) => match error.status {
                408 | 500 | 502 | 504 | 520..=529 => true,
                // Without a delay it may be a spend limit, which time does not lift.
                429 | 503 => error.retry_after.is_some(),
                _ => false,
            },
            Self::Foreign(error) => matches!(error.status, 408 | 429 | 500 | 502..=504 | 520..=529),
            Self::Decode(error) => error.broken,
            Self::Job(error) => match &error.reason {
                JobFailure::TimedOut(_) => true,
                JobFailure::Lost(cause) => cause.is_transient(),
                JobFailure::Failed(_) => false,
            },
            _ => false,
        }
    }
}

impl JobError {
    fn cause(&self) -> Option<&Error> {
        match &self.reason {
            JobFailure::Lost(cause) => Some(cause),
            JobFailure::TimedOut(cause) => cause.as_deref(),
            JobFailure::Failed(_) => None,
        }
    }
}

/// A duration as people read it: `850 ms`, `12.5 s`, `4 min 10 s`.
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 => write!(f, "{} ms", self.0.as_millis()),
            1..60 => write!(f, "{:.1} s", self.0.as_secs_f64()),
            _ => write!(f, "{} min {} s", seconds / 60, seconds % 60),
        }
    }
}

/// Text from outside, on one line: control characters and runs of white space become one blank.
pub(crate) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Text from outside, on one line of such a length.
pub(crate) fn brief(text: &str) -> String {
    shortened(&one_line(text))
}

/// Text of a length that fits into a line of a log.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 400;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The beginning of a body as text, [`KEPT_OF_BODY`] bytes at most.
pub(crate) fn beginning(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(KEPT_OF_BODY)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_issue_reads_like_a_path() {
        let issue: Issue =
            serde_json::from_value(json!({"path": ["options", "pages", 2], "message": "Required"})).unwrap();
        assert_eq!(issue.to_string(), "options.pages[2]: Required");
        let bare: Issue = serde_json::from_value(json!({"message": "Bad\nbody"})).unwrap();
        assert_eq!(bare.to_string(), "Bad body");
    }

    #[test]
    fn an_api_error_is_one_line_with_all_that_was_said() {
        let error = Error::Api(Box::new(ApiError {
            operation: "launch_agent".into(),
            status: 403,
            message: "No\r\nway".into(),
            code: Some(ErrorCode::from("forbidden")),
            issues: vec![],
            retry_after: None,
            scope: Some("developer:agent"),
            body: Value::Null,
            fate: Fate::NotDone,
        }));
        assert_eq!(
            error.to_string(),
            "launch_agent: 403 forbidden: No way; this operation needs the scope developer:agent"
        );
        assert!(error.is_forbidden() && !error.is_transient() && !error.may_have_been_carried_out());
    }

    #[test]
    fn a_job_is_stored_as_plain_json_and_comes_back() {
        let job = JobRef::Parse(TaskId::from("t1"));
        let text = serde_json::to_string(&job).unwrap();
        assert_eq!(text, r#"{"parse":"t1"}"#);
        assert_eq!(serde_json::from_str::<JobRef>(&text).unwrap(), job);
        for (job, stored) in [
            (JobRef::Parse("a".into()), r#"{"parse":"a"}"#),
            (JobRef::Extract("a".into()), r#"{"extract":"a"}"#),
            (JobRef::Agent("a".into()), r#"{"agent":"a"}"#),
        ] {
            assert_eq!(serde_json::to_string(&job).unwrap(), stored);
            assert_eq!(serde_json::from_str::<JobRef>(stored).unwrap(), job);
        }
        for none in [
            r#"{}"#,
            r#"{"dream":"a"}"#,
            r#"{"parse":"a","dream":"b"}"#,
            r#"{"parse":"a","agent":null}"#,
            r#"{"parse":7}"#,
            r#""parse""#,
            "null",
        ] {
            assert!(serde_json::from_str::<JobRef>(none).is_err(), "{none}");
        }
    }

    #[test]
    fn spans_read_like_people_speak() {
        let read = |ms| Span(Duration::from_millis(ms)).to_string();
        assert_eq!(read(850), "850 ms");
        assert_eq!(read(12_500), "12.5 s");
        assert_eq!(read(250_000), "4 min 10 s");
    }
}
