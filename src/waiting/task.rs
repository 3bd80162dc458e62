//! The service's response about a parse or extract job.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{JobStatus, Poll};

/// A parse or extract job with its result.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(crate) struct Task<T> {
    status: JobStatus,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    result: Option<T>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl<T> Task<T> {
    /// The outcome of a poll, with the output created from the result and the unknown fields.
    pub(crate) fn poll<U>(
        self,
        is_empty: impl FnOnce(&T) -> bool,
        output: impl FnOnce(Option<T>, Map<String, Value>) -> U,
    ) -> Poll<U> {
        let status = self.status.to_string();
        let error = self.error.as_ref();
        let has_ended = match self.status {
            JobStatus::Waiting | JobStatus::Building => false,
            JobStatus::Completed => true,
            JobStatus::Failed => {
                return Poll::Failed { status, message: error.map(message).unwrap_or_default() };
            }
            JobStatus::Other(_) => match error.and_then(failure) {
                Some(message) => return Poll::Failed { status, message },
                None => !self.result.as_ref().is_none_or(is_empty),
            },
        };
        if !has_ended {
            return Poll::Pending { status };
        }
        if self.result.is_none() {
            log::warn!(target: "nomic_client", "a job is completed, but has no result in the expected field");
        }
        Poll::Done(output(self.result, self.extra))
    }

    /// The URL that an ended job has in place of its result. `inside` finds it in a result that is not empty.
    pub(crate) fn result_url(
        &self,
        is_empty: impl FnOnce(&T) -> bool,
        inside: impl FnOnce(&T) -> Option<&Value>,
    ) -> Option<&str> {
        let url = match (&self.status, self.result.as_ref().filter(|result| !is_empty(result))) {
            (JobStatus::Completed | JobStatus::Other(_), Some(result)) => inside(result),
            (JobStatus::Completed, None) => url_field(&self.extra),
            _ => None,
        };
        url?.as_str().filter(|url| !url.is_empty())
    }
}

/// The field with the URL of a result.
pub(crate) fn url_field(fields: &Map<String, Value>) -> Option<&Value> {
    fields.get("result_url").or_else(|| fields.get("resultUrl"))
}

/// What an error says.
pub(crate) fn message(error: &Value) -> String {
    match error {
        Value::Null => String::new(),
        Value::String(message) => message.clone(),
        other => match other.get("message") {
            Some(Value::String(message)) => message.clone(),
            _ => other.to_string(),
        },
    }
}

/// What an error of a job with an unknown status says; `None` if it is no error, and the job may still be running.
pub(crate) fn failure(error: &Value) -> Option<String> {
    let is_empty = match error {
        Value::Object(fields) => fields.values().all(is_blank),
        other => is_blank(other),
    };
    (!is_empty).then(|| message(error))
}

/// Whether a value has no content: some servers send `""` or `{}` for an error or a result that does not exist.
pub(crate) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
