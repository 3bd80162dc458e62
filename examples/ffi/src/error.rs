//! What other languages see of an error: a code to branch on, a line to show, and what a program asks next.

use std::any::Any;
use std::ffi::{CString, c_char};

use nomic_client::{Effect, Error, ErrorKind, JobFailure};

use crate::boundary::owned;

/// How a call ended. A later version may know more of them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NomicCode {
    /// Well.
    Ok = 0,
    /// An argument or a setting is wrong; nothing was sent.
    Argument = 1,
    /// The document could not be read, or changed while it was sent; nothing was stored.
    Document = 2,
    /// The progress function said so; nothing was stored.
    Cancelled = 3,
    /// The key was not accepted.
    Unauthorized = 4,
    /// The key lacks a scope, which the message names.
    Forbidden = 5,
    /// The thing does not exist, or is not visible to this key.
    NotFound = 6,
    /// The rate limit stood in the way, or a user's spend limit.
    RateLimited = 7,
    /// The service said no in another way: look at the status.
    Api = 8,
    /// Something answered, but not as the service does: a proxy, say, or a newer version of it.
    Answer = 9,
    /// No answer: no connection, or one that broke.
    Transport = 10,
    /// Time ran out. A task that was waited for goes on.
    Timeout = 11,
    /// The task failed on the server; waiting again is of no use.
    JobFailed = 12,
    /// A bug in this library, or in a progress function that is written in Rust.
    Panic = 13,
}

/// What went wrong. Free it with `nomic_error_free`. A later version may have more fields at the end.
#[repr(C)]
#[non_exhaustive]
pub struct NomicError {
    /// What the call returned too.
    pub code: NomicCode,
    /// The HTTP status of the answer; 0 if there was none.
    pub status: u16,
    /// Whether the same call may succeed later as it is.
    pub transient: bool,
    /// Whether the service may have acted although the call failed: look before you repeat it.
    pub may_have_been_executed: bool,
    /// How long to wait before the next request, in milliseconds; -1 if that is not known.
    pub retry_after_ms: i64,
    /// One line that names the operation and the cause. It is freed with the error.
    pub message: *const c_char,
}

impl Drop for NomicError {
    fn drop(&mut self) {
        // SAFETY: it came from `CString::into_raw` in `new`, and C cannot write to it.
        drop(unsafe { CString::from_raw(self.message.cast_mut()) });
    }
}

/// An error in how a function was called.
pub(crate) fn argument(message: impl AsRef<str>) -> NomicError {
    NomicError::new(NomicCode::Argument, message.as_ref())
}

impl NomicError {
    fn new(code: NomicCode, message: &str) -> Self {
        let message = owned(message);
        Self { code, status: 0, transient: false, may_have_been_executed: false, retry_after_ms: -1, message }
    }

    /// What unwound as far as here.
    pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Self {
        let words = payload.downcast_ref::<String>().map(String::as_str);
        let words = words.or(payload.downcast_ref::<&str>().copied()).unwrap_or("no words");
        let mut seen =
            Self::new(NomicCode::Panic, &format!("panicked: {words}; what it was doing may have been executed"));
        seen.may_have_been_executed = true;
        seen
    }
}

impl From<Error> for NomicError {
    fn from(error: Error) -> Self {
        let mut seen = Self::new(code(&error), &error.to_string());
        seen.status = error.status().unwrap_or(0);
        seen.transient = error.is_transient();
        seen.may_have_been_executed = error.effect() != Effect::None;
        seen.retry_after_ms =
            error.retry_after().map_or(-1, |delay| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
        seen
    }
}

impl From<serde_json::Error> for NomicError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(NomicCode::Answer, &format!("what was answered cannot be written as JSON: {error}"))
    }
}

fn code(error: &Error) -> NomicCode {
    match error.kind() {
        ErrorKind::Config(_) | ErrorKind::InvalidRequest(_) => NomicCode::Argument,
        ErrorKind::Document { .. } => NomicCode::Document,
        ErrorKind::Cancelled => NomicCode::Cancelled,
        ErrorKind::Job(job) => match (job.failure, &job.source) {
            (JobFailure::Failed, _) => NomicCode::JobFailed,
            (JobFailure::PollFailed, Some(error)) => code(error),
            _ => NomicCode::Timeout,
        },
        _ if error.is_unauthorized() => NomicCode::Unauthorized,
        _ if error.is_forbidden() => NomicCode::Forbidden,
        _ if error.is_not_found() => NomicCode::NotFound,
        _ if error.is_rate_limited() => NomicCode::RateLimited,
        _ if error.is_timeout() => NomicCode::Timeout,
        ErrorKind::Api(_) => NomicCode::Api,
        ErrorKind::Transport(_) => NomicCode::Transport,
        _ => NomicCode::Answer,
    }
}
