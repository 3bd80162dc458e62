//! A reference to a job of any kind, to store it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, TaskId};
use crate::operations::{GET_AGENT, GET_EXTRACT, GET_PARSE, Operation};
use crate::text::excerpt;

/// The kind and the id of a job. Store it to wait for the job later or in another process. In JSON, it is e.g.
/// `{"parse":"019abc12"}`.
///
/// Any job converts to a `JobRef`, which is also a [`Job`](crate::job::Job): wait for it alone, or together with jobs of
/// other kinds. The result is a [`JobOutput`](crate::job::JobOutput).
///
/// ```no_run
/// use nomic_client::Nomic;
/// use nomic_client::agents::Launch;
/// use nomic_client::job::{JobOutput, JobRef};
///
/// let nomic = Nomic::from_env()?;
/// let file = nomic.upload_file("permit.pdf")?;
/// let parse = nomic.parse(&file.file_version_id)?;
/// let agent = nomic.launch_agent(&Launch::prompt("Summarize the permit.").files([&file.id]))?;
///
/// for (job, output) in nomic.wait_all([JobRef::from(&parse), JobRef::from(&agent)]) {
///     match output? {
///         JobOutput::Parsed(parsed) => println!("{job}: {} pages", parsed.pages().len()),
///         JobOutput::Extracted(extracted) => println!("{job}: {}", extracted.value),
///         JobOutput::Agent(agent) => println!("{job}: {}", agent.status),
///         _ => println!("{job}: a kind that a later version added"),
///     }
/// }
/// # Ok::<(), nomic_client::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum JobRef {
    /// A parse job.
    Parse(TaskId),
    /// An extract job.
    Extract(TaskId),
    /// An agent.
    Agent(AgentId),
}

impl JobRef {
    /// The operation that polls it.
    pub(crate) fn operation(&self) -> &'static Operation {
        match self {
            Self::Parse(_) => &GET_PARSE,
            Self::Extract(_) => &GET_EXTRACT,
            Self::Agent(_) => &GET_AGENT,
        }
    }
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
