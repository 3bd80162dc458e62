//! A job of any kind, as a program stores it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, TaskId};
use crate::text::excerpt;

/// A job, to be stored and picked up again: its kind and its id on the server. In JSON e.g. `{"parse":"019abc12"}`.
///
/// ```
/// use nomic_client::{JobRef, Nomic, Result};
///
/// /// Waits for a job of any kind that an earlier run stored.
/// fn resume(nomic: &Nomic, job: JobRef) -> Result<()> {
///     match job {
///         JobRef::Parse(id) => println!("{}", nomic.wait(&nomic.parse_job(id))?.text()),
///         JobRef::Extract(id) => println!("{}", nomic.wait(&nomic.extract_job(id))?.value),
///         JobRef::Agent(id) => println!("{}", nomic.wait(&id)?.status),
///         other => println!("{other} is of a kind that a later version added"),
///     }
///     Ok(())
/// }
/// # assert_eq!(serde_json::to_string(&JobRef::Parse("019abc12".into())).unwrap(), r#"{"parse":"019abc12"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum JobRef {
    /// A parse job: `nomic.wait(&nomic.parse_job(id))` waits for it.
    Parse(TaskId),
    /// An extract job: `nomic.wait(&nomic.extract_job(id))` waits for it.
    Extract(TaskId),
    /// An agent: `nomic.wait(&id)` waits for it.
    Agent(AgentId),
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, id) = match self {
            Self::Parse(id) => ("parse job", id.as_str()),
            Self::Extract(id) => ("extract job", id.as_str()),
            Self::Agent(id) => ("agent", id.as_str()),
        };
        write!(f, "{kind} {}", excerpt(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_stored_as_plain_json_and_comes_back() {
        for (job, stored) in [
            (JobRef::Parse("a".into()), r#"{"parse":"a"}"#),
            (JobRef::Extract("a".into()), r#"{"extract":"a"}"#),
            (JobRef::Agent("a".into()), r#"{"agent":"a"}"#),
        ] {
            assert_eq!(serde_json::to_string(&job).unwrap(), stored);
            assert_eq!(serde_json::from_str::<JobRef>(stored).unwrap(), job);
        }
        for wrong in [
            r#"{}"#,
            r#"{"dream":"a"}"#,
            r#"{"parse":"a","dream":"b"}"#,
            r#"{"parse":"a","agent":null}"#,
            r#"{"parse":{}}"#,
            r#""parse""#,
            "null",
        ] {
            assert!(serde_json::from_str::<JobRef>(wrong).is_err(), "{wrong}");
        }
    }
}
