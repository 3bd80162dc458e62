//! Waiting for a job whose kind is only known at run time.

use std::time::Duration;

use crate::api::agents::{self, Agent};
use crate::api::extract::Extracted;
use crate::api::parse::Parsed;
use crate::error::Result;
use crate::ids::AgentId;
use crate::job_ref::JobRef;
use crate::nomic::Nomic;
use crate::waiting::sealed::{ListPoll, Pollable};
use crate::waiting::{Job, Poll};

/// The result of a job of any kind, from waiting for a [`JobRef`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum JobOutput {
    /// The result of a parse job.
    Parsed(Parsed),
    /// The result of an extract job.
    Extracted(Extracted),
    /// An agent that has finished or was stopped.
    Agent(Agent),
}

impl Job for JobRef {
    type Output = JobOutput;
}

impl Pollable<JobOutput> for JobRef {
    fn job(&self) -> JobRef {
        self.clone()
    }

    fn poll_once(&self, nomic: &Nomic, timeout: Duration) -> Result<Poll<JobOutput>> {
        Ok(match self {
            Self::Parse(id) => nomic.parse_job(id).poll_once(nomic, timeout)?.map(JobOutput::Parsed),
            Self::Extract(id) => nomic.extract_job(id).poll_once(nomic, timeout)?.map(JobOutput::Extracted),
            Self::Agent(id) => id.poll_once(nomic, timeout)?.map(JobOutput::Agent),
        })
    }

    fn poll_list(nomic: &Nomic, agents: &[AgentId], timeout: Duration) -> ListPoll {
        agents::poll_list(nomic, agents, timeout)
    }
}
