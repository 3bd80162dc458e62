//! Errors for unit tests of programs that use this crate.

use std::time::Duration;

use serde::de::IgnoredAny;

use crate::call::Call;
use crate::endpoint::Key;
use crate::error::{
    DeadlineError, Effect, Error, ErrorKind, JobError, JobFailure, Name, TransportError, TransportPhase,
};
use crate::http::{Headers, HttpResponse};
use crate::job_ref::JobRef;
use crate::json::{self, DecodeFailure};
use crate::operations::Operation;
use crate::response;

/// # Creating errors in tests
///
/// These constructors create errors as the client returns them, without a server, for unit tests of your program: see
/// [Testing your program](crate::guide::testing). For other kinds, convert an [`ErrorKind`].
impl Error {
    /// The error that the client returns for a response with this status and body: [`ErrorKind::Api`] if the body is an error
    /// of the API, such as `{"error": "…", "code": "…"}`, or else [`ErrorKind::UnexpectedResponse`]. With a success status
    /// (2xx), it is [`ErrorKind::Decode`], unless the body cannot be JSON at all, such as a page of HTML.
    ///
    /// ```
    /// use nomic_client::{Error, operations};
    ///
    /// let body = r#"{"error": "File not found", "code": "not_found"}"#;
    /// let error = Error::from_response(&operations::SUBMIT_PARSE, 404, body);
    /// assert!(error.is_not_found());
    /// assert_eq!(error.to_string(), "submit_parse: 404 not_found: File not found");
    /// ```
    pub fn from_response(operation: &Operation, status: u16, body: impl AsRef<[u8]>) -> Self {
        let (call, key) = (Call::of(operation), Key::none());
        let response = HttpResponse {
            status,
            headers: Headers::default(),
            unsupported_encoding: None,
            body: body.as_ref().to_vec(),
        };
        if !(200..300).contains(&status) {
            return response::error(&call, &response, None, &key).1;
        }
        let unexpected = response::check_success(&call, &response, &key).err();
        unexpected.unwrap_or_else(|| {
            let failure = json::decode::<IgnoredAny>(&response.body).err();
            let failure = failure.unwrap_or_else(DecodeFailure::missing_id);
            response::decode_error(&call, &response, failure, &key)
        })
    }

    /// The error of a call whose deadline passed while it waited for a response. The effect of a write is unknown.
    ///
    /// ```
    /// use nomic_client::{Effect, Error, operations};
    ///
    /// let error = Error::timed_out(&operations::LAUNCH_AGENT);
    /// assert!(error.is_timeout() && error.effect() == Effect::Unknown);
    /// ```
    pub fn timed_out(operation: &Operation) -> Self {
        let message = "timed out, waiting for a response".to_owned();
        let kind =
            ErrorKind::Deadline(DeadlineError { elapsed: Duration::ZERO, message, connecting: false, source: None });
        Self::sent(operation, kind)
    }

    /// The error of a call that could not connect to the server. Nothing was sent.
    ///
    /// ```
    /// use nomic_client::{Effect, Error, operations};
    ///
    /// let error = Error::unreachable(&operations::LAUNCH_AGENT);
    /// assert!(error.is_unreachable() && error.is_transient() && error.effect() == Effect::None);
    /// ```
    pub fn unreachable(operation: &Operation) -> Self {
        let kind = transport(TransportPhase::Connect, "the connection was refused");
        Self::new(Name::from(operation.name), kind)
    }

    /// The error of a call whose connection broke after the request was sent. The effect of a write is unknown.
    ///
    /// ```
    /// use nomic_client::{Effect, Error, operations};
    ///
    /// assert_eq!(Error::connection_lost(&operations::UPLOAD_FILE).effect(), Effect::Unknown);
    /// assert_eq!(Error::connection_lost(&operations::LIST_USERS).effect(), Effect::None);
    /// ```
    pub fn connection_lost(operation: &Operation) -> Self {
        Self::sent(operation, transport(TransportPhase::Request, "the connection was reset"))
    }

    /// The error of a wait for a job that failed on the server.
    ///
    /// ```
    /// use nomic_client::{AgentId, Error};
    ///
    /// let error = Error::job_failed(&AgentId::from("019abc12"), "the file is encrypted");
    /// assert!(error.is_job_failed() && error.job().is_some());
    /// ```
    pub fn job_failed(job: impl Into<JobRef>, message: impl Into<String>) -> Self {
        Self::waited(job.into(), JobFailure::Failed, message.into(), None)
    }

    /// The error of a wait that timed out while the job was still running.
    pub fn wait_timed_out(job: impl Into<JobRef>) -> Self {
        Self::waited(job.into(), JobFailure::TimedOut, String::new(), None)
    }

    /// The error of a wait that ended because a poll failed permanently. `source` is the error of that poll.
    ///
    /// ```
    /// use nomic_client::{AgentId, Error, operations};
    ///
    /// let poll = Error::from_response(&operations::GET_AGENT, 404, r#"{"error": "Agent not found"}"#);
    /// let error = Error::poll_failed(&AgentId::from("019abc12"), poll);
    /// assert!(error.is_not_found() && !error.is_transient());
    /// ```
    pub fn poll_failed(job: impl Into<JobRef>, source: Self) -> Self {
        Self::waited(job.into(), JobFailure::PollFailed, String::new(), Some(source))
    }

    /// Sets the delay that the server asks for ([`retry_after`](Self::retry_after)).
    #[must_use]
    pub fn with_retry_after(self, delay: Duration) -> Self {
        self.with(|error| error.retry_after = Some(delay))
    }

    /// Sets the effect of the request ([`effect`](Self::effect)).
    #[must_use]
    pub fn with_effect(self, effect: Effect) -> Self {
        self.with(|error| error.effect = effect)
    }

    fn sent(operation: &Operation, kind: ErrorKind) -> Self {
        let effect = response::effect(&Call::of(operation), Effect::Unknown);
        Self::new(Name::from(operation.name), kind).with_effect(effect)
    }

    /// The error of a poll or wait that found a URL in place of the result.
    ///
    /// ```
    /// use nomic_client::{Error, ErrorKind, job::JobRef};
    ///
    /// let error = Error::result_at_url(JobRef::Parse("019abc12".into()), "https://storage.example/result.json");
    /// assert!(matches!(error.kind(), ErrorKind::ResultAtUrl { url, .. } if url.ends_with("result.json")));
    /// ```
    pub fn result_at_url(job: JobRef, url: impl Into<String>) -> Self {
        let kind = ErrorKind::ResultAtUrl { url: url.into() };
        Self::new(Name::from(job.operation().name), kind).with(|error| {
            (error.status, error.job) = (Some(200), Some(job));
        })
    }

    fn waited(job: JobRef, failure: JobFailure, message: String, source: Option<Self>) -> Self {
        let kind =
            ErrorKind::Job(JobError { failure, status: None, message, elapsed: Duration::ZERO, polls: 1, source });
        Self::new(Name::from(job.operation().name), kind).with(|error| error.job = Some(job))
    }
}

impl From<ErrorKind> for Error {
    /// Creates an error of this kind, with no further details.
    fn from(kind: ErrorKind) -> Self {
        Self::new(None, kind)
    }
}

fn transport(phase: TransportPhase, message: &str) -> ErrorKind {
    let (host, message) = ("acme.nomic.ai".to_owned(), message.to_owned());
    let (timed_out, permanent, attempts, source) = (false, false, 1, None);
    ErrorKind::Transport(TransportError { host, phase, message, timed_out, permanent, attempts, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::{GET_PARSE, LAUNCH_AGENT, SUBMIT_PARSE};

    #[test]
    fn a_response_gives_the_error_of_its_kind() {
        let error = |status, body| Error::from_response(&LAUNCH_AGENT, status, body);
        assert!(matches!(error(403, r#"{"error": "No"}"#).kind(), ErrorKind::Api(api) if api.scope.is_some()));
        assert!(matches!(error(502, "<h1>").kind(), ErrorKind::UnexpectedResponse(_)));
        assert!(matches!(error(200, "<h1>").kind(), ErrorKind::UnexpectedResponse(_)));
        assert!(matches!(error(200, "{}").kind(), ErrorKind::Decode(decode) if !decode.malformed));
        assert!(matches!(error(200, "{").kind(), ErrorKind::Decode(decode) if decode.malformed));
        let effects = [(500, Effect::Unknown), (400, Effect::None), (200, Effect::Executed)];
        effects.into_iter().for_each(|(status, effect)| assert_eq!(error(status, "{}").effect(), effect, "{status}"));
    }

    #[test]
    fn a_throttled_call_is_transient_if_there_is_a_delay() {
        let error = Error::from_response(&SUBMIT_PARSE, 429, r#"{"error": "Slow down", "code": "rate_limited"}"#);
        assert!(error.is_rate_limited() && !error.is_transient());
        let error = error.with_retry_after(Duration::from_secs(30));
        assert!(error.is_transient());
        assert_eq!(error.to_string(), "submit_parse: 429 rate_limited: Slow down; retry after 30.0 s");
    }

    #[test]
    fn the_errors_of_a_wait_have_the_job() {
        let job = JobRef::Parse("t1".into());
        let error = Error::wait_timed_out(&job);
        assert!(error.is_timeout() && error.is_transient() && error.operation() == Some(GET_PARSE.name));
        assert_eq!(error.job(), Some(&job));
        assert!(Error::job_failed(job.clone(), "no").is_job_failed());
        assert!(Error::poll_failed(job, Error::unreachable(&GET_PARSE)).is_unreachable());
        assert!(matches!(Error::from(ErrorKind::Cancelled).kind(), ErrorKind::Cancelled));
    }
}
