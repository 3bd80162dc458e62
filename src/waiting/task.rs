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
    /// is pending.
    pub(crate) fn poll<U>(self, output: impl FnOnce(Option<T>, Map<String, Value>) -> U) -> Poll<U> {
        match self.status {
            JobStatus::Completed => {
                if self.result.is_none() {
                    log::warn!(target: "nomic_client", "a job is completed, but has no result in the expected field");
                }
                Poll::Done(output(self.result, self.extra))
            }
            JobStatus::Failed => Poll::Failed {
                status: self.status.to_string(),
                message: match self.error {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(message)) => message,
                    Some(other) => other.to_string(),
                },
            },
            pending => Poll::Pending { status: pending.to_string() },
        }
    }
}
