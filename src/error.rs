//! The one error type: what failed, in which operation, whether it was executed, and what the server said.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::job_ref::JobRef;
use crate::lenient;
use crate::open_enum::open_enum;
use crate::text::{HumanDuration, excerpt, one_line, truncate};

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The name of an operation, as in [`operations`](crate::operations).
pub(crate) type Name = Cow<'static, str>;

/// 1 KiB: how much of a response body an error keeps, in bytes ([`UnexpectedResponse`], [`DecodeError`]).
pub const MAX_BODY_EXCERPT: usize = 1024;

/// Why a call failed.
///
/// `Display` is one line of bounded length: the operation, the HTTP status if there is one, and the cause in the
/// server's words. `Debug` is the same line, so that a `main` that returns the error prints something readable; `{:#?}`
/// shows everything. [`source`](std::error::Error::source) is the cause: a [`std::io::Error`], a `serde_json::Error`, or
/// the error of an earlier attempt. The API key is in none of them.
///
/// Methods answer what a program wants to know:
///
/// ```
/// # fn example(error: nomic_client::Error) -> String {
/// use nomic_client::Effect;
///
/// if error.is_rate_limited() {
///     format!("try again in {:?}", error.retry_after())
/// } else if error.effect() == Effect::Unknown {
///     format!("check before you send it again: {error}")
/// } else {
///     format!("{error}")
/// }
/// # }
/// ```
///
/// [`kind`](Self::kind) has the particulars.
pub struct Error(Box<Inner>);

/// What every failure has.
#[derive(Debug)]
pub(crate) struct Inner {
    operation: Option<Name>,
    kind: ErrorKind,
    pub(crate) effect: Effect,
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) job: Option<JobRef>,
    pub(crate) request_id: Option<String>,
}

/// The kind of a failure, with its particulars.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client cannot be built with these settings. Nothing was sent.
    #[error("cannot build the client: {0}")]
    Config(String),
    /// The request is not valid and was not sent.
    #[error("not sent: {0}")]
    InvalidRequest(String),
    /// The API answered with an error.
    #[error(transparent)]
    Api(ApiError),
    /// The response is not the API's: a proxy's page, a redirect, another server.
    #[error(transparent)]
    UnexpectedResponse(UnexpectedResponse),
    /// There is no response, or not all of it.
    #[error(transparent)]
    Transport(TransportError),
    /// The call's deadline passed.
    #[error(transparent)]
    Deadline(DeadlineError),
    /// A successful response cannot be decoded, or an extracted value is not of the wanted type.
    #[error(transparent)]
    Decode(DecodeError),
    /// The response is larger than [`Builder::response_limit`](crate::Builder::response_limit).
    #[error("the response is larger than {limit} bytes, the limit of this client")]
    #[non_exhaustive]
    ResponseTooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The document to upload cannot be read, or changed while it was sent.
    #[error("{name}: {source}")]
    #[non_exhaustive]
    Document {
        /// Its path or name.
        name: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The program cancelled the upload: [`Upload::on_progress`](crate::files::Upload::on_progress). Nothing was stored.
    #[error("cancelled before the upload completed; nothing was stored")]
    Cancelled,
    /// The server of a list sent the same cursor twice: the list would never end.
    #[error("the server sent the cursor {:?} twice; the list would never end", truncate(cursor))]
    #[non_exhaustive]
    RepeatedCursor {
        /// The cursor.
        cursor: String,
    },
    /// The wait for a job ended without a result. [`Error::job`] is the job.
    #[error(transparent)]
    Job(JobError),
}

open_enum! {
    /// The API's machine-readable code of an error.
    ///
    /// Nomic's API pages document the field, not its values: `not_found` and `rate_limited` are in their examples.
    pub enum ErrorCode {
        /// The object does not exist, or is not visible to this key.
        NotFound = "not_found",
        /// Too many requests in this tier, or (on a launch) the user's spend limit.
        RateLimited = "rate_limited",
        /// The instance does not have this feature (inferred).
        NotConfigured = "not_configured",
    }
}

/// One failed validation: where in the request, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Issue {
    /// Field names and list indexes from the outside in, e.g. `options`, `pages`, 2.
    #[serde(deserialize_with = "lenient::or_default")]
    pub path: Vec<Value>,
    /// What is wrong there.
    #[serde(deserialize_with = "lenient::or_default")]
    pub message: String,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
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
        let colon = if path.is_empty() { "" } else { ": " };
        write!(f, "{}{colon}{}", excerpt(&path), excerpt(&self.message))
    }
}

/// An error in the API's own words: `{error, code, issues}`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub struct ApiError {
    /// The API's sentence (`error`).
    pub message: String,
    /// The API's code (`code`); the older form of the body has none.
    pub code: Option<ErrorCode>,
    /// Each failed validation; empty if there is none.
    pub issues: Vec<Issue>,
    /// The scope that the operation needs, on a 403.
    pub scope: Option<&'static str>,
    /// The whole body as it came, but without the key.
    pub body: Value,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = &self.code {
            write!(f, "{}: ", excerpt(code.as_str()))?;
        }
        f.write_str(&excerpt(&self.message))?;
        if !self.issues.is_empty() {
            let issues: Vec<String> = self.issues.iter().map(Issue::to_string).collect();
            write!(f, " ({})", truncate(&issues.join("; ")))?;
        }
        match self.scope {
            Some(scope) => write!(f, "; this operation needs the scope {scope}"),
            None => Ok(()),
        }
    }
}

/// A response that is not the API's: the beginning of what it says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub struct UnexpectedResponse {
    /// Its media type, if it names one.
    pub content_type: Option<String>,
    /// Where a redirect points. It is not followed, since the key would go there.
    pub location: Option<String>,
    /// The first 1 KiB ([`MAX_BODY_EXCERPT`]) of the body as text, without the key.
    pub body: String,
}

impl fmt::Display for UnexpectedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a response of the API")?;
        if let Some(location) = &self.location {
            write!(f, "; it redirects to {:?}, which is not followed: is the base URL right?", truncate(location))?;
        }
        let media_type = excerpt(self.content_type.as_deref().unwrap_or("no media type"));
        match one_line(&self.body).as_str() {
            "" => write!(f, " ({media_type}, empty)"),
            body => write!(f, " ({media_type}): {body}"),
        }
    }
}

/// How far an exchange came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportPhase {
    /// There was no connection: the request was not sent.
    Connect,
    /// The request was sent, at least in part, and no response came.
    Request,
    /// A response began and did not end.
    Response,
}

/// There is no response, or not all of it.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} {host}: {message}{}",
    match phase {
        TransportPhase::Connect => "cannot connect to",
        TransportPhase::Request => "no response from",
        TransportPhase::Response => "incomplete response from",
    },
    if *attempts > 1 { format!(" (tried {attempts} times)") } else { String::new() }
)]
#[non_exhaustive]
pub struct TransportError {
    /// The host, e.g. `acme.nomic.ai`, and the proxy on the way if there is one.
    pub host: String,
    /// How far it came.
    pub phase: TransportPhase,
    /// What happened.
    pub message: String,
    /// Whether a time limit passed: nothing moved for too long, or no connection was made in time.
    pub timed_out: bool,
    /// Whether trying again cannot help: a certificate that is not trusted, a server that does not speak HTTP.
    pub permanent: bool,
    /// How often the request was tried.
    pub attempts: u32,
    /// The cause, if the system reported one.
    pub source: Option<io::Error>,
}

/// The call's deadline passed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct DeadlineError {
    /// How long the call took.
    pub elapsed: Duration,
    /// What it was waiting for, e.g. `timed out after 5.0 s, waiting for a response`.
    pub message: String,
    /// Whether there was no connection yet.
    pub connecting: bool,
    /// The error of an earlier attempt of the same call.
    pub source: Option<Error>,
}

/// A successful response that cannot be decoded, or an extracted value that is not of the wanted type.
#[derive(Debug, thiserror::Error)]
#[error("cannot decode the response at {}: {}", one_line(path), excerpt(&source.to_string()))]
#[non_exhaustive]
pub struct DecodeError {
    /// Where in the response, e.g. `data[2].status`; `$` is the whole.
    pub path: String,
    /// Whether the response is not JSON, rather than JSON of another shape.
    pub malformed: bool,
    /// The first 1 KiB ([`MAX_BODY_EXCERPT`]) of the body as text, without the key; empty for an extracted value.
    pub body: String,
    /// What is wrong there: [`std::error::Error::source`] gives it.
    pub(crate) source: serde_json::Error,
}

/// A wait that ended without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub struct JobError {
    /// Why the wait ended.
    pub failure: JobFailure,
    /// The last status that was seen, e.g. `BUILDING`; `None` if no poll was answered.
    pub status: Option<String>,
    /// The server's message about a failed job; empty if it gave none.
    pub message: String,
    /// How long the wait took.
    pub elapsed: Duration,
    /// How often the job was polled.
    pub polls: u32,
    /// The error of the last poll, if it failed.
    pub source: Option<Error>,
}

/// Why a wait ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobFailure {
    /// The wait's timeout passed, or the server asked not to be polled for longer than that. The job continues.
    TimedOut,
    /// The server says that the job failed.
    Failed,
    /// Polling again cannot help: the key was rejected (401), the job is not known (404), the response cannot be decoded,
    /// or the server was never reached within [`UNREACHABLE_TIMEOUT`](crate::job::UNREACHABLE_TIMEOUT).
    PollFailed,
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elapsed = HumanDuration(self.elapsed);
        let status = excerpt(self.status.as_deref().unwrap_or("unknown"));
        match self.failure {
            JobFailure::Failed if self.message.is_empty() => write!(f, "failed after {elapsed} (status {status})"),
            JobFailure::Failed => write!(f, "failed after {elapsed}: {}", excerpt(&self.message)),
            JobFailure::PollFailed => write!(f, "cannot be polled (status {status})"),
            JobFailure::TimedOut if self.status.is_none() => {
                write!(f, "did not end within {elapsed} (status {status})")
            }
            JobFailure::TimedOut => {
                write!(f, "did not end within {elapsed} (status {status}); it continues, wait for it again")
            }
        }?;
        self.source.as_ref().map_or(Ok(()), |error| write!(f, "; last error: {error}"))
    }
}

/// What is known of the effect of a failed request on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// The server provably did not execute the request, or it only reads: sending it again does nothing twice.
    None,
    /// The server may have executed it. Check before you send it again; this crate did not.
    Unknown,
    /// The server executed it; only its response is lost or cannot be decoded.
    Executed,
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.kind.source()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { operation, kind, effect, status, retry_after, job, request_id } = &*self.0;
        if let Some(operation) = operation {
            write!(f, "{operation}: ")?;
        }
        if let Some(status) = status {
            write!(f, "{status} ")?;
        }
        match (kind, job) {
            (ErrorKind::Job(error), Some(job)) => write!(f, "{job} {error}")?,
            _ => write!(f, "{kind}")?,
        }
        if *status == Some(401) {
            f.write_str("; check the API key")?;
        }
        if let Some(delay) = retry_after {
            write!(f, "; retry after {}", HumanDuration(*delay))?;
        }
        match (effect, job) {
            (Effect::None, _) => {}
            (Effect::Unknown, None) => f.write_str("; it may have been executed")?,
            (Effect::Executed, None) => f.write_str("; it was executed")?,
            (Effect::Unknown | Effect::Executed, Some(job)) => write!(f, "; it was executed, as {job}")?,
        }
        if let Some(id) = request_id {
            write!(f, " (request id {})", excerpt(id))?;
        }
        match kind {
            ErrorKind::Deadline(DeadlineError { source: Some(error), .. }) => write!(f, "; before that: {error}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() { self.0.fmt(f) } else { fmt::Display::fmt(self, f) }
    }
}

impl Error {
    /// An error that nothing was sent for.
    pub(crate) fn new(operation: impl Into<Option<Name>>, kind: ErrorKind) -> Self {
        Self(Box::new(Inner {
            operation: operation.into(),
            kind,
            effect: Effect::None,
            status: None,
            retry_after: None,
            job: None,
            request_id: None,
        }))
    }

    pub(crate) fn config(reason: impl Into<String>) -> Self {
        Self::new(None, ErrorKind::Config(reason.into()))
    }

    pub(crate) fn invalid_request(operation: impl Into<Name>, reason: impl Into<String>) -> Self {
        Self::new(operation.into(), ErrorKind::InvalidRequest(reason.into()))
    }

    pub(crate) fn document(operation: impl Into<Name>, name: impl Into<String>, source: io::Error) -> Self {
        Self::new(operation.into(), ErrorKind::Document { name: name.into(), source })
    }

    /// The same error, with what else is known.
    pub(crate) fn with(mut self, set: impl FnOnce(&mut Inner)) -> Self {
        set(&mut self.0);
        self
    }

    /// The kind of the failure, with its particulars.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The operation that failed, as in [`operations`](crate::operations); `None` if there is no client yet.
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// What is known of the effect of the request on the server. Always [`Effect::None`] for a GET.
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// The HTTP status of the response, if there is one; after a wait that of the last poll that failed.
    pub fn status(&self) -> Option<u16> {
        self.0.status.or_else(|| self.poll_error()?.status())
    }

    /// How long to wait before the next request: what the server asks for, or what the rate limit takes.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after.or_else(|| self.poll_error()?.retry_after())
    }

    /// The server's id of the request (`x-request-id`), for its support; none is documented.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref().or_else(|| self.poll_error()?.request_id())
    }

    /// The job that was waited for, or that a request started whose response cannot be decoded. If
    /// [`is_timeout`](Self::is_timeout) it continues: store it, and wait for it again later.
    pub fn job(&self) -> Option<&JobRef> {
        self.0.job.as_ref()
    }

    /// The API's machine-readable code, if it gave one.
    pub fn code(&self) -> Option<&ErrorCode> {
        self.api()?.code.as_ref()
    }

    /// Each failed validation; empty if there is none.
    pub fn issues(&self) -> &[Issue] {
        self.api().map_or(&[], |api| &api.issues)
    }

    /// Whether the API says that the object does not exist, or is not visible to this key (404).
    pub fn is_not_found(&self) -> bool {
        self.is_api_status(404)
    }

    /// Whether the API rejects the key (401).
    pub fn is_unauthorized(&self) -> bool {
        self.is_api_status(401)
    }

    /// Whether the API says that the key lacks a scope (403).
    pub fn is_forbidden(&self) -> bool {
        self.is_api_status(403)
    }

    /// Whether the rate limit is the reason (429, or a deadline that passes before the rate limit allows the request), or
    /// a user's spend limit (429).
    pub fn is_rate_limited(&self) -> bool {
        match self.root().kind() {
            ErrorKind::Deadline(_) => self.retry_after().is_some(),
            _ => self.status() == Some(429),
        }
    }

    /// Whether a time limit passed: the call's deadline, a connection or response that did not come in time or stalled,
    /// or the timeout of a wait.
    pub fn is_timeout(&self) -> bool {
        match self.kind() {
            ErrorKind::Job(JobError { failure: JobFailure::TimedOut, .. }) => true,
            _ => match self.root().kind() {
                ErrorKind::Deadline(_) => true,
                ErrorKind::Transport(error) => error.timed_out,
                _ => false,
            },
        }
    }

    /// Whether there was no connection to the server.
    pub fn is_unreachable(&self) -> bool {
        match self.root().kind() {
            ErrorKind::Transport(error) => error.phase == TransportPhase::Connect,
            ErrorKind::Deadline(error) => error.connecting,
            _ => false,
        }
    }

    /// Whether a job failed on the server, so that waiting again cannot help.
    pub fn is_job_failed(&self) -> bool {
        matches!(self.kind(), ErrorKind::Job(JobError { failure: JobFailure::Failed, .. }))
    }

    /// Whether the same call may succeed later: the server or the way to it had a problem, or the rate limit was reached.
    /// Look at [`effect`](Self::effect) before you repeat anything that writes.
    pub fn is_transient(&self) -> bool {
        match self.kind() {
            ErrorKind::Transport(error) => !error.permanent,
            ErrorKind::Deadline(_) => true,
            ErrorKind::Api(_) => match self.0.status {
                Some(408 | 500 | 502 | 504 | 520..=529) => true,
                // Without a delay it may be a spend limit, or a feature that this instance does not have.
                Some(429 | 503) => self.0.retry_after.is_some(),
                _ => false,
            },
            ErrorKind::UnexpectedResponse(_) => {
                matches!(self.0.status, Some(408 | 429 | 500 | 502..=504 | 520..=529))
            }
            ErrorKind::Job(JobError { failure: JobFailure::TimedOut, .. }) => true,
            ErrorKind::Job(JobError { failure: JobFailure::PollFailed, source: Some(error), .. }) => {
                error.is_transient()
            }
            _ => false,
        }
    }

    /// The error of the poll that ended a wait.
    fn poll_error(&self) -> Option<&Self> {
        match self.kind() {
            ErrorKind::Job(error) => error.source.as_ref(),
            _ => None,
        }
    }

    /// The error itself, or that of the poll that ended a wait.
    fn root(&self) -> &Self {
        self.poll_error().unwrap_or(self)
    }

    fn api(&self) -> Option<&ApiError> {
        match self.root().kind() {
            ErrorKind::Api(error) => Some(error),
            _ => None,
        }
    }

    fn is_api_status(&self, status: u16) -> bool {
        self.api().is_some() && self.status() == Some(status)
    }
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
    fn an_api_error_is_one_line_in_the_words_of_the_server() {
        let api = ApiError {
            message: "No\r\nway".into(),
            code: Some(ErrorCode::from("forbidden")),
            issues: vec![],
            scope: Some("developer:agent"),
            body: Value::Null,
        };
        let error = Error::new(Name::from("launch_agent"), ErrorKind::Api(api)).with(|error| error.status = Some(403));
        assert_eq!(
            error.to_string(),
            "launch_agent: 403 forbidden: No way; this operation needs the scope developer:agent"
        );
        assert!(error.is_forbidden() && !error.is_transient() && error.effect() == Effect::None);
    }

    #[test]
    fn an_error_is_one_pointer_and_its_source_is_the_cause() {
        use std::error::Error as _;
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        let error = Error::document("upload_file", "a.pdf", io::ErrorKind::NotFound.into());
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::NotFound));
    }

    #[test]
    fn an_error_of_a_wait_answers_for_its_last_poll() {
        let page = UnexpectedResponse { content_type: None, location: None, body: "<h1>".into() };
        let poll = Error::new(Name::from("get_parse"), ErrorKind::UnexpectedResponse(page))
            .with(|error| error.status = Some(404));
        assert!(!poll.is_not_found(), "a gateway's page is not the word of the API");
        let job = JobError {
            failure: JobFailure::PollFailed,
            status: None,
            message: String::new(),
            elapsed: Duration::from_secs(2),
            polls: 1,
            source: Some(poll),
        };
        let error = Error::new(Name::from("get_parse"), ErrorKind::Job(job))
            .with(|error| error.job = Some(JobRef::Parse("t1".into())));
        assert_eq!(
            error.to_string(),
            "get_parse: parse job t1 cannot be polled (status unknown); last error: \
             get_parse: 404 not a response of the API (no media type): <h1>"
        );
        assert_eq!((error.status(), error.is_transient(), error.is_timeout()), (Some(404), false, false));
    }
}
