//! The error type: what failed, in which operation, whether it was executed, and what the server said.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::job_ref::JobRef;
use crate::lenient;
use crate::open_enum::{is_same, open_enum};
use crate::text::{HumanDuration, excerpt, one_line, truncate};

/// The result of a fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The name of an operation, as in [`operations`](crate::operations).
pub(crate) type Name = Cow<'static, str>;

/// Maximum size of the body excerpt in an error ([`UnexpectedResponse`], [`DecodeError`]), in bytes: 1 KiB.
pub const MAX_BODY_EXCERPT: usize = 1024;

/// Why a call failed.
///
/// `Display` prints one line of bounded length: the operation, the HTTP status if there is one, and the cause, including the
/// server's message. `Debug` prints the same line, so that the error is readable if `main` returns it; `{:#?}` shows all
/// fields. [`source`](std::error::Error::source) is the cause: a [`std::io::Error`], a `serde_json::Error`, or the error of
/// an earlier attempt or poll. None of them contains the API key.
///
/// Use the methods to decide what to do:
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
/// [`kind`](Self::kind) has the details.
pub struct Error(Box<Inner>);

/// The properties of all errors.
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

/// The kind of an error, with its details.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The settings of the client are invalid. Nothing was sent.
    #[error("cannot build the client: {0}")]
    Config(String),
    /// The request is invalid. It was not sent.
    #[error("not sent: {0}")]
    InvalidRequest(String),
    /// The API returned an error.
    #[error(transparent)]
    Api(ApiError),
    /// The response is not from the API: a page of a proxy, a redirect, or another server.
    #[error(transparent)]
    UnexpectedResponse(UnexpectedResponse),
    /// There is no response, or only a part of it.
    #[error(transparent)]
    Transport(TransportError),
    /// The call's deadline passed.
    #[error(transparent)]
    Deadline(DeadlineError),
    /// The [rate limiter](crate::Builder::rate_limiter) of the program does not work. Nothing was sent.
    #[error("the rate limiter failed: {}", excerpt(&source.to_string()))]
    #[non_exhaustive]
    RateLimiter {
        /// The cause, in the limiter's words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A successful response, or an extracted value, cannot be decoded.
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
        /// The cause.
        source: io::Error,
    },
    /// The progress function cancelled the upload ([`Upload::on_progress`](crate::files::Upload::on_progress)). Nothing was
    /// stored.
    #[error("cancelled before the upload completed; nothing was stored")]
    Cancelled,
    /// The server sent the same cursor of a list twice, so the list would never end.
    #[error("the server sent the cursor {:?} twice; the list would never end", truncate(cursor))]
    #[non_exhaustive]
    RepeatedCursor {
        /// The cursor.
        cursor: String,
    },
    /// The job is completed, but the service sent a URL in place of its result (inferred). The client does not fetch it: the
    /// URL may lead to another server, which must not get the API key. [`Error::job`] has the job.
    #[error("is completed, but its result is not in the response; get it, without the API key, from {}", excerpt(url))]
    #[non_exhaustive]
    ResultAtUrl {
        /// The URL, as the service sent it.
        url: String,
    },
    /// The wait for a job ended without a result. [`Error::job`] has the job.
    #[error(transparent)]
    Job(JobError),
}

open_enum! {
    /// The API's machine-readable error code.
    ///
    /// Nomic's API pages document the field but not its values; `not_found` and `rate_limited` are in their examples.
    pub enum ErrorCode {
        /// The object does not exist, or is not visible to this key.
        NotFound = "not_found",
        /// Too many requests in this tier, or (on a launch) the user's spend limit.
        RateLimited = "rate_limited",
        /// The instance does not have this feature (inferred).
        NotConfigured = "not_configured",
    }
}

/// A failed validation of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Issue {
    /// The path of the invalid value, as field names and list indexes, e.g. `options`, `pages`, 2.
    #[serde(deserialize_with = "lenient::or_default")]
    pub path: Vec<Value>,
    /// What is wrong with it, e.g. `Required`.
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

/// An error of the API: `{error, code, issues}`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub struct ApiError {
    /// The API's message (`error`).
    pub message: String,
    /// The API's code (`code`), which older versions of the API do not send.
    pub code: Option<ErrorCode>,
    /// The failed validations; may be empty.
    pub issues: Vec<Issue>,
    /// The scope that the operation needs, if the status is 403.
    pub scope: Option<&'static str>,
    /// The whole body, with the key redacted.
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

/// A response that is not from the API.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub struct UnexpectedResponse {
    /// Its media type, if it has one.
    pub content_type: Option<String>,
    /// The target of a redirect. It is not followed, because the key would be sent there.
    pub location: Option<String>,
    /// The content encoding of its body, if this client cannot decode it, e.g. `br`.
    pub encoding: Option<String>,
    /// The first 1 KiB ([`MAX_BODY_EXCERPT`]) of the body as text, with the key redacted; empty if it cannot be decoded.
    pub body: String,
}

impl fmt::Display for UnexpectedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(encoding), None) = (&self.encoding, &self.location) {
            let encoding = excerpt(encoding);
            return write!(f, "the response has the content encoding {encoding}, which this client cannot decode");
        }
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

/// The phase in which a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportPhase {
    /// Connecting failed: the request was not sent.
    Connect,
    /// The request was sent, at least in part, but there was no response.
    Request,
    /// The response is incomplete, or its compressed body is corrupt.
    Response,
}

/// There is no response, or only a part of it.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} {host}: {message}{}",
    match phase {
        TransportPhase::Connect => "cannot connect to",
        TransportPhase::Request => "no response from",
        TransportPhase::Response if *permanent => "unreadable response from",
        TransportPhase::Response => "incomplete response from",
    },
    if *attempts > 1 { format!(" (tried {attempts} times)") } else { String::new() }
)]
#[non_exhaustive]
pub struct TransportError {
    /// The host, e.g. `acme.nomic.ai`, and the proxy if there is one.
    pub host: String,
    /// The phase in which the request failed.
    pub phase: TransportPhase,
    /// What happened.
    pub message: String,
    /// Whether a timeout passed: the connection was not made in time, the response did not start in time, or a body stalled.
    pub timed_out: bool,
    /// Whether a retry cannot help, e.g. if the certificate is not trusted, or the server does not speak HTTP.
    pub permanent: bool,
    /// The number of attempts.
    pub attempts: u32,
    /// The cause, if there is an I/O error.
    pub source: Option<io::Error>,
}

/// The call's deadline passed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct DeadlineError {
    /// The duration of the call.
    pub elapsed: Duration,
    /// What it was waiting for, e.g. `timed out after 5.0 s, waiting for a response`.
    pub message: String,
    /// Whether the call was still connecting.
    pub connecting: bool,
    /// The error of the attempt before, if there was one.
    pub source: Option<Error>,
}

/// A successful response, or an extracted value, that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[error("cannot decode the response at {}: {}", one_line(path), excerpt(&source.to_string()))]
#[non_exhaustive]
pub struct DecodeError {
    /// The JSON path of the mismatch, e.g. `data[2].status`; `$` is the whole response.
    pub path: String,
    /// Whether the response is not valid JSON, rather than JSON of another shape.
    pub malformed: bool,
    /// The first 1 KiB ([`MAX_BODY_EXCERPT`]) of the body as text, with the key redacted; empty for an extracted value.
    pub body: String,
    /// The cause, which [`std::error::Error::source`] returns.
    pub(crate) source: serde_json::Error,
}

/// A wait that ended without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub struct JobError {
    /// Why the wait ended.
    pub failure: JobFailure,
    /// The last known status, e.g. `BUILDING`; `None` if no poll succeeded.
    pub status: Option<String>,
    /// The server's message about a failed job; empty if there is none.
    pub message: String,
    /// The duration of the wait.
    pub elapsed: Duration,
    /// The number of polls.
    pub polls: u32,
    /// The error of the last poll, if it failed.
    pub source: Option<Error>,
}

/// The statuses of jobs that are still running, as far as this version knows them.
const RUNNING: [&str; 4] = ["WAITING", "BUILDING", "running", "awaiting_tool"];

/// Why a wait ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobFailure {
    /// The wait timed out, or the server asked for a delay that exceeds the timeout. The job is still running, unless its
    /// status is one that this version does not know.
    TimedOut,
    /// The job failed on the server.
    Failed,
    /// A poll failed with a permanent error (the key was rejected: 401; the job is unknown: 404; the response cannot be
    /// decoded), or the server was never reached within [`UNREACHABLE_TIMEOUT`](crate::job::UNREACHABLE_TIMEOUT).
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
            JobFailure::TimedOut if !RUNNING.iter().any(|running| is_same(running, &status)) => write!(
                f,
                "did not end within {elapsed}; its last status, {status}, is unknown to this version: it may have ended"
            ),
            JobFailure::TimedOut => {
                write!(f, "did not end within {elapsed} (status {status}); it is still running, wait for it again")
            }
        }?;
        self.source.as_ref().map_or(Ok(()), |error| write!(f, "; last error: {error}"))
    }
}

/// What is known about the effect of a failed request on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// The server provably did not execute the request, or the request only reads. Sending it again is safe.
    None,
    /// The server may have executed the request. Check before you send it again. This crate does not retry it.
    Unknown,
    /// The server executed the request, but its response cannot be decoded.
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
            (ErrorKind::Job(_) | ErrorKind::ResultAtUrl { .. }, Some(job)) => write!(f, "{job} {kind}")?,
            _ => write!(f, "{kind}")?,
        }
        if *status == Some(401) && matches!(kind, ErrorKind::Api(_)) {
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
    /// An error of a request that was not sent.
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

    /// Sets further properties.
    pub(crate) fn with(mut self, set: impl FnOnce(&mut Inner)) -> Self {
        set(&mut self.0);
        self
    }

    /// The kind of the error, with its details.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The operation that failed, as in [`operations`](crate::operations); `None` if building the client failed.
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// What is known about the effect of the request on the server. Always [`Effect::None`] for a GET.
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// The HTTP status of the response, if there is one. After a wait, that of the last poll, if it failed.
    pub fn status(&self) -> Option<u16> {
        self.0.status.or_else(|| self.poll_error()?.status())
    }

    /// How long to wait before the next request: the `Retry-After` of the server, or the time until the rate limit allows it.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after.or_else(|| self.poll_error()?.retry_after())
    }

    /// The server's id of the request (`x-request-id`), to give to Nomic's support. The header is not documented.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref().or_else(|| self.poll_error()?.request_id())
    }

    /// The job of a wait that ended without a result, or the job that was started if the response to a submit cannot be
    /// decoded. If [`is_timeout`](Self::is_timeout) is true, the job may still be running: store it, and wait for it again
    /// later.
    pub fn job(&self) -> Option<&JobRef> {
        self.0.job.as_ref()
    }

    /// The API's machine-readable error code, if there is one.
    pub fn code(&self) -> Option<&ErrorCode> {
        self.api()?.code.as_ref()
    }

    /// The failed validations of the request; may be empty.
    pub fn issues(&self) -> &[Issue] {
        self.api().map_or(&[], |api| &api.issues)
    }

    /// Whether the object does not exist, or is not visible to this key (a 404 of the API).
    pub fn is_not_found(&self) -> bool {
        self.is_api_status(404)
    }

    /// Whether the key was rejected (a 401 of the API).
    pub fn is_unauthorized(&self) -> bool {
        self.is_api_status(401)
    }

    /// Whether the key lacks a scope (a 403 of the API).
    pub fn is_forbidden(&self) -> bool {
        self.is_api_status(403)
    }

    /// Whether the cause is the rate limit (a 429, or a deadline that would pass before the rate limit allows the request) or
    /// the user's spend limit (a 429).
    pub fn is_rate_limited(&self) -> bool {
        match self.root().kind() {
            ErrorKind::Deadline(_) => self.retry_after().is_some(),
            _ => self.status() == Some(429),
        }
    }

    /// Whether a deadline or timeout passed: the call's deadline, also while a file was read, the connect, response or stall
    /// timeout, or the timeout of a wait.
    pub fn is_timeout(&self) -> bool {
        match self.kind() {
            ErrorKind::Job(JobError { failure: JobFailure::TimedOut, .. }) => true,
            _ => match self.root().kind() {
                ErrorKind::Deadline(_) => true,
                ErrorKind::Transport(error) => error.timed_out,
                ErrorKind::Document { source, .. } => source.kind() == io::ErrorKind::TimedOut,
                _ => false,
            },
        }
    }

    /// Whether connecting to the server failed or timed out.
    pub fn is_unreachable(&self) -> bool {
        match self.root().kind() {
            ErrorKind::Transport(error) => error.phase == TransportPhase::Connect,
            ErrorKind::Deadline(error) => error.connecting,
            _ => false,
        }
    }

    /// Whether the job failed on the server. Waiting again does not help.
    pub fn is_job_failed(&self) -> bool {
        matches!(self.kind(), ErrorKind::Job(JobError { failure: JobFailure::Failed, .. }))
    }

    /// Whether the same call may succeed later: the server, the network or the program's rate limiter had a problem, or the
    /// rate limit was reached. Check [`effect`](Self::effect) before you repeat a write.
    pub fn is_transient(&self) -> bool {
        match self.kind() {
            ErrorKind::Transport(error) => !error.permanent,
            ErrorKind::Deadline(_) | ErrorKind::RateLimiter { .. } => true,
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

    /// The error itself, or the error of the poll that ended a wait.
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
    use crate::operations::GET_AGENT;
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

    fn transport(timed_out: bool, permanent: bool) -> Error {
        Error::from(ErrorKind::Transport(TransportError {
            host: String::new(),
            phase: TransportPhase::Request,
            message: String::new(),
            timed_out,
            permanent,
            attempts: 1,
            source: None,
        }))
    }

    #[test]
    fn a_call_may_succeed_later_after_a_transient_failure_only() {
        let api = |status| Error::from_response(&GET_AGENT, status, r#"{"error": "no"}"#);
        let page = |status| Error::from_response(&GET_AGENT, status, "<h1>");
        for status in [408, 500, 502, 504, 520, 529] {
            assert!(api(status).is_transient() && page(status).is_transient(), "{status}");
        }
        for status in [400, 401, 403, 404, 409, 422, 501, 505, 530] {
            assert!(!api(status).is_transient() && !page(status).is_transient(), "{status}");
        }
        // The API's own means a spend limit, or a feature that the instance does not have.
        for status in [429, 503] {
            assert!(!api(status).is_transient() && page(status).is_transient(), "{status}");
            assert!(api(status).with_retry_after(Duration::from_secs(1)).is_transient(), "{status}");
        }
        assert!(transport(false, false).is_transient() && !transport(false, true).is_transient());
        assert!(Error::timed_out(&GET_AGENT).is_transient());
        let job = || JobRef::Parse("t1".into());
        assert!(Error::wait_timed_out(job()).is_transient());
        assert!(!Error::job_failed(job(), "no").is_transient());
        assert!(
            Error::poll_failed(job(), page(502)).is_transient() && !Error::poll_failed(job(), page(404)).is_transient()
        );
        assert!(!Error::from(ErrorKind::Cancelled).is_transient());
    }

    #[test]
    fn a_timeout_an_unreachable_host_and_a_rate_limit_are_told_apart() {
        let answers = |error: &Error| (error.is_timeout(), error.is_unreachable(), error.is_rate_limited());
        let deadline = |connecting| {
            let (elapsed, message) = (Duration::ZERO, String::new());
            Error::from(ErrorKind::Deadline(DeadlineError { elapsed, message, connecting, source: None }))
        };
        let document = |kind: io::ErrorKind| Error::document("upload_file", "a.pdf", kind.into());
        let throttled = || Error::from_response(&GET_AGENT, 429, "<h1>");
        let job = || JobRef::Parse("t1".into());
        for (error, expected) in [
            (deadline(false), (true, false, false)),
            (deadline(true), (true, true, false)),
            (deadline(false).with_retry_after(Duration::from_secs(9)), (true, false, true)),
            (transport(false, false), (false, false, false)),
            (transport(true, false), (true, false, false)),
            (Error::unreachable(&GET_AGENT), (false, true, false)),
            (document(io::ErrorKind::TimedOut), (true, false, false)),
            (document(io::ErrorKind::NotFound), (false, false, false)),
            (throttled(), (false, false, true)),
            (Error::from_response(&GET_AGENT, 503, "<h1>"), (false, false, false)),
            (Error::wait_timed_out(job()), (true, false, false)),
            (Error::job_failed(job(), "no"), (false, false, false)),
            (Error::poll_failed(job(), throttled()), (false, false, true)),
            (Error::poll_failed(job(), Error::unreachable(&GET_AGENT)), (false, true, false)),
        ] {
            assert_eq!(answers(&error), expected, "{error}");
        }
    }

    #[test]
    fn an_error_of_the_api_is_known_by_its_status_and_code() {
        let statuses = |error: &Error| (error.is_unauthorized(), error.is_forbidden(), error.is_not_found());
        for (status, expected) in [
            (401, (true, false, false)),
            (403, (false, true, false)),
            (404, (false, false, true)),
            (400, (false, false, false)),
        ] {
            let body = r#"{"error": "no", "code": "odd", "issues": [{"message": "Required"}]}"#;
            let error = Error::from_response(&GET_AGENT, status, body);
            assert_eq!(statuses(&error), expected, "{status}");
            assert_eq!(statuses(&Error::from_response(&GET_AGENT, status, "<h1>")), (false, false, false), "{status}");
            assert_eq!((error.status(), error.operation()), (Some(status), Some("get_agent")));
            assert!(error.code().is_some_and(|code| *code == "odd") && error.issues().len() == 1, "{error}");
            assert!(!error.is_job_failed() && error.job().is_none(), "{error}");
        }
        let error = Error::from(ErrorKind::Cancelled);
        assert!(error.code().is_none() && error.issues().is_empty() && error.operation().is_none(), "{error}");
    }

    #[test]
    fn a_wait_has_the_status_the_delay_and_the_request_id_of_its_last_poll() {
        let poll = Error::from_response(&GET_AGENT, 429, r#"{"error": "no", "code": "rate_limited"}"#)
            .with_retry_after(Duration::from_secs(9))
            .with(|error| error.request_id = Some("r-1".to_owned()));
        let job = JobRef::Parse("t1".into());
        let error = Error::poll_failed(job.clone(), poll);
        assert_eq!((error.status(), error.retry_after()), (Some(429), Some(Duration::from_secs(9))));
        assert_eq!((error.request_id(), error.job()), (Some("r-1"), Some(&job)));
        assert_eq!(error.code(), Some(&ErrorCode::RateLimited));
        assert!(!error.is_job_failed() && Error::job_failed(job, "no").is_job_failed());
    }

    #[test]
    fn an_error_of_a_wait_answers_for_its_last_poll() {
        let page = UnexpectedResponse { content_type: None, location: None, encoding: None, body: "<h1>".into() };
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
