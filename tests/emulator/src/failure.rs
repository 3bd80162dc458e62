//! The API's errors.

use std::io;

use serde_json::{Value, json};

/// Why there is no result of a request.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// The socket failed or the body was incomplete, so that nobody waits for a response.
    Socket(io::Error),
    Failure(Failure),
}

impl From<io::Error> for RequestError {
    fn from(error: io::Error) -> RequestError {
        RequestError::Socket(error)
    }
}

impl From<Failure> for RequestError {
    fn from(failure: Failure) -> RequestError {
        RequestError::Failure(failure)
    }
}

/// A validation error.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Issue {
    /// The keys and indexes from the root of the body, or the name of a query parameter.
    pub(crate) path: Vec<Value>,
    pub(crate) message: String,
}

/// An error response.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
    pub(crate) error: String,
    pub(crate) issues: Vec<Issue>,
}

impl Failure {
    /// An error with the code that the API uses with its status.
    pub(crate) fn new(status: u16, error: impl Into<String>) -> Failure {
        let code = match status {
            400 | 411 => Some("bad_request"),
            401 => Some("unauthorized"),
            403 => Some("forbidden"),
            404 => Some("not_found"),
            405 => Some("method_not_allowed"),
            409 => Some("conflict"),
            413 => Some("payload_too_large"),
            415 => Some("unsupported_media_type"),
            422 => Some("unprocessable"),
            429 => Some("rate_limited"),
            501 | 503 => Some("not_configured"),
            _ => None,
        };
        Failure { status, code: code.map(str::to_owned), error: error.into(), issues: Vec::new() }
    }

    pub(crate) fn bad_request(error: impl Into<String>) -> Failure {
        Failure::new(400, error)
    }

    pub(crate) fn invalid(issues: Vec<Issue>) -> Failure {
        Failure { code: Some("validation_failed".to_owned()), issues, ..Failure::bad_request("Validation failed") }
    }

    /// A single validation error.
    pub(crate) fn issue<const N: usize>(path: [&str; N], message: impl Into<String>) -> Failure {
        let path = path.map(Value::from).to_vec();
        Failure::invalid(vec![Issue { path, message: message.into() }])
    }

    pub(crate) fn not_found(what: &str) -> Failure {
        Failure::new(404, format!("{what} not found"))
    }

    /// The body of the response. The old format has only `error`.
    pub(crate) fn body(&self, old: bool) -> Value {
        let mut body = json!({ "error": self.error });
        if old {
            return body;
        }
        if let Some(code) = &self.code {
            body["code"] = json!(code);
        }
        if !self.issues.is_empty() {
            let issues = self.issues.iter();
            let issues: Vec<Value> =
                issues.map(|issue| json!({ "path": issue.path, "message": issue.message })).collect();
            body["issues"] = Value::Array(issues);
        }
        body
    }
}
