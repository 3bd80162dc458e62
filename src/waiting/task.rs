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
    /// The outcome of a poll, with the output created from the result and the unknown fields. A job with an unknown status
    /// has ended if it has an error, or a result that is not empty.
    pub(crate) fn poll<U>(
        self,
        is_empty: impl FnOnce(&T) -> bool,
        output: impl FnOnce(Option<T>, Map<String, Value>) -> U,
    ) -> Poll<U> {
        let status = self.status.to_string();
        let error = self.error.unwrap_or_default();
        match self.status {
            JobStatus::Failed => Poll::Failed { status, message: message(&error) },
            JobStatus::Other(_) if !is_blank(&error) => Poll::Failed { status, message: message(&error) },
            JobStatus::Other(_) if self.result.as_ref().is_none_or(is_empty) => Poll::Pending { status },
            JobStatus::Completed | JobStatus::Other(_) => {
                if self.result.is_none() {
                    log::warn!(target: "nomic_client", "a job is completed, but has no result in the expected field");
                }
                Poll::Done(output(self.result, self.extra))
            }
            JobStatus::Waiting | JobStatus::Building => Poll::Pending { status },
        }
    }

    /// The URL that an ended job has in place of its result. `inside` finds it in the result.
    pub(crate) fn result_url(&self, inside: impl FnOnce(&T) -> Option<&Value>) -> Option<&str> {
        let may_have_ended = matches!(self.status, JobStatus::Completed | JobStatus::Other(_));
        let beside = || self.extra.get("result_url").or_else(|| self.extra.get("resultUrl"));
        let url = self.result.as_ref().map_or_else(beside, inside)?.as_str()?;
        Some(url).filter(|url| may_have_ended && url.contains("://"))
    }
}

/// What an error or a message says.
pub(crate) fn message(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(message) => message.clone(),
        other => match other.get("message") {
            Some(Value::String(message)) => message.clone(),
            _ => other.to_string(),
        },
    }
}

/// Whether a value says nothing: some servers send `""` or `{}` for an error or a result that is not there.
pub(crate) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
