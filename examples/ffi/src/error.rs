//! Errors as C sees them: a code to branch on, a message to show, and whether to retry.

use std::any::Any;
use std::ffi::{CString, c_char};

use nomic_client::{Effect, Error, ErrorKind, JobFailure};

use crate::boundary::into_raw;

/// The result of a call. Later versions may add codes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NomicCode {
    /// Success.
    Ok = 0,
    /// An argument or a setting is invalid; nothing was sent.
    Argument = 1,
    /// The document cannot be read, or changed while it was sent; nothing was stored.
    Document = 2,
    /// The progress callback cancelled the upload; nothing was stored.
    Cancelled = 3,
    /// The API key was not accepted.
    Unauthorized = 4,
    /// The API key lacks a scope; the message names it.
    Forbidden = 5,
    /// The object does not exist, or is not visible to this key.
    NotFound = 6,
    /// The rate limit or the user's spend limit is reached.
    RateLimited = 7,
    /// Another error response of the service: see `status`.
    Api = 8,
    /// An unexpected response, e.g. of a proxy or of a newer version of the service.
    Answer = 9,
    /// No response: the connection failed or was lost.
    Transport = 10,
    /// The call timed out. A task that was waited for may still be running.
    Timeout = 11,
    /// The task failed on the server. Waiting again does not help.
    JobFailed = 12,
    /// A panic: a bug in this library, or in a progress callback written in Rust.
    Panic = 13,
}

/// An error. Free it with `nomic_error_free`. Later versions may add fields at the end.
#[repr(C)]
#[non_exhaustive]
pub struct NomicError {
    /// The code that the call returned.
    pub code: NomicCode,
    /// The HTTP status of the response; 0 if there was none.
    pub status: u16,
    /// Whether the same call may succeed later.
    pub transient: bool,
    /// Whether the service may have executed the request although the call failed: check before you repeat it.
    pub may_have_been_executed: bool,
    /// How long to wait before the next request, in milliseconds; -1 if unknown.
    pub retry_after_ms: i64,
    /// One line with the operation and the cause. Freed with the error.
    pub message: *const c_char,
}

impl Drop for NomicError {
    fn drop(&mut self) {
        // SAFETY: `new` made it with `CString::into_raw`, and C must not modify it.
        drop(unsafe { CString::from_raw(self.message.cast_mut()) });
    }
}

/// An error about an argument.
pub(crate) fn invalid_argument(message: impl AsRef<str>) -> NomicError {
    NomicError::new(NomicCode::Argument, message.as_ref())
}

impl NomicError {
    fn new(code: NomicCode, message: &str) -> Self {
        let message = into_raw(message);
        Self { code, status: 0, transient: false, may_have_been_executed: false, retry_after_ms: -1, message }
    }

    /// The error for a caught panic.
    pub(crate) fn from_panic(payload: Box<dyn Any + Send>) -> Self {
        let message = payload.downcast_ref::<String>().map(String::as_str);
        let message = message.or(payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
        let mut converted =
            Self::new(NomicCode::Panic, &format!("panicked: {message}; the request may have been executed"));
        converted.may_have_been_executed = true;
        converted
    }
}

impl From<Error> for NomicError {
    fn from(error: Error) -> Self {
        let mut converted = Self::new(code(&error), &error.to_string());
        converted.status = error.status().unwrap_or(0);
        converted.transient = error.is_transient();
        converted.may_have_been_executed = error.effect() != Effect::None;
        converted.retry_after_ms =
            error.retry_after().map_or(-1, |delay| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
        converted
    }
}

impl From<serde_json::Error> for NomicError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(NomicCode::Answer, &format!("cannot serialize the response as JSON: {error}"))
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
