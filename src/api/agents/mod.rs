//! Agents: they work on files in the background, follow a prompt or a workflow, and produce artifacts.
//!
//! ```no_run
//! use nomic_client::{Nomic, agents::Launch};
//!
//! let nomic = Nomic::from_env()?;
//! let file = nomic.upload_file("permit.pdf")?;
//! let launch = Launch::prompt("Which conditions does the permit name?").files([file.id]);
//! let agent = nomic.launch_agent(&launch)?;
//! let agent = nomic.wait(&agent)?;
//! for artifact in nomic.artifacts(&agent.id) {
//!     let artifact = nomic.artifact(&agent.id, &artifact?.id)?;
//!     println!("{}", artifact.markdown().unwrap_or_default());
//! }
//! # Ok::<(), nomic_client::Error>(())
//! ```

mod launch;
mod table;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::error::{Error, Result};
use crate::ids::{AgentId, ArtifactId, FileId, ProjectId, WorkflowId};
use crate::job_ref::JobRef;
use crate::lenient;
use crate::listing::Listing;
use crate::nomic::Nomic;
use crate::open_enum::open_enum;
use crate::operations::{
    DELETE_AGENT, FOLLOW_UP_AGENT, GET_AGENT, GET_AGENT_CONVERSATION, GET_ARTIFACT, LAUNCH_AGENT, LIST_AGENTS,
    LIST_ARTIFACTS, STOP_AGENT,
};
use crate::timestamp::Timestamp;
use crate::waiting::sealed::{self, ListPoll, Listed};
use crate::waiting::task::{failure, is_blank};
use crate::waiting::{Job, POLL_TIMEOUT, Poll};

pub use self::launch::{Dimension, Image, Launch, Prompt};
pub use self::table::Table;

/// Maximum page size of a list of agents: 100.
pub const MAX_PAGE: u32 = 100;

open_enum! {
    /// The status of an agent.
    pub enum AgentStatus {
        /// Not started yet.
        Waiting = "waiting",
        /// Working.
        Running = "running",
        /// Working, waiting for a tool.
        AwaitingTool = "awaiting_tool",
        /// Ended, with its work completed.
        Finished = "finished",
        /// Ended, because it was stopped.
        Stopped = "stopped",
        /// Ended, without completing its work.
        Failed = "failed",
    }
}

impl AgentStatus {
    /// Whether the agent has ended: finished, stopped or failed. `false` for an unknown status.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Finished | Self::Stopped | Self::Failed)
    }
}

open_enum! {
    /// The type of an artifact.
    pub enum ArtifactKind {
        /// A document in Markdown.
        Markdown = "markdown",
        /// A table.
        Table = "table",
    }
}

open_enum! {
    /// The type of a message in a conversation, i.e. who wrote it.
    pub enum MessageKind {
        /// The user: the prompt, or a follow-up.
        User = "user_message",
        /// The agent.
        Assistant = "assistant_message",
    }
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its status.
    pub status: AgentStatus,
    /// Its workflow.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub workflow_id: Option<WorkflowId>,
    /// Its project.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub project_id: Option<ProjectId>,
    /// Its artifacts so far, without their contents; [`Nomic::artifact`] gets an artifact with its content.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub artifacts: Vec<Artifact>,
    /// The files and folders it works on.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub files: Vec<AgentFile>,
    /// A summary of its work (observed).
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub summary: Option<String>,
    /// Its page in the web application (observed).
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub url: Option<String>,
    /// When it was launched, e.g. `2026-04-25T12:00:00.000Z`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub created_at: Option<Timestamp>,
    /// When it last changed, e.g. `2026-04-25T12:03:00.000Z`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub updated_at: Option<Timestamp>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What is needed of the response to a follow-up.
#[derive(Deserialize)]
struct Started {
    id: AgentId,
}

/// A file that an agent works on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AgentFile {
    /// The file's or folder's id.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub id: Option<FileId>,
    /// Its name, e.g. `permit.pdf`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// An artifact that an agent produced (inferred).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Artifact {
    /// Its id.
    pub id: ArtifactId,
    /// Its type, e.g. a table.
    #[serde(rename = "type", default, deserialize_with = "lenient::or_default")]
    pub kind: Option<ArtifactKind>,
    /// Its title, e.g. `Door schedule`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub title: Option<String>,
    /// Its content as the service sent it; `None` in lists.
    #[serde(default)]
    pub content: Option<Value>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Artifact {
    /// The content as text; `None` if it is not text.
    pub fn markdown(&self) -> Option<&str> {
        let content = self.content.as_ref()?;
        content.as_str().or_else(|| content.get("markdown").or(content.get("text"))?.as_str())
    }

    /// The content as a table; `None` if it is not a table. The rows may be lists of values, or objects with the columns'
    /// keys, ids or names as fields.
    pub fn table(&self) -> Option<Table> {
        Table::read(self.content.as_ref()?)
    }
}

/// The conversation of a user and an agent (observed).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Conversation {
    /// The messages, in order.
    #[serde(deserialize_with = "lenient::list")]
    pub messages: Vec<Message>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A message of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Message {
    /// The message's id.
    #[serde(deserialize_with = "lenient::or_default")]
    pub id: Option<String>,
    /// Who wrote it, e.g. the agent.
    #[serde(rename = "type", deserialize_with = "lenient::or_default")]
    pub kind: Option<MessageKind>,
    /// The text, e.g. `Summarize the report.`
    #[serde(deserialize_with = "lenient::or_default")]
    pub text: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A filter for a list of agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// Only agents with this status, e.g. those that are running.
    pub status: Option<AgentStatus>,
    /// Only agents that run this workflow.
    pub workflow_id: Option<WorkflowId>,
}

impl Filter {
    /// Only agents with this status, e.g. those that are running.
    #[must_use]
    pub fn status(self, status: impl Into<AgentStatus>) -> Self {
        Self { status: Some(status.into()), ..self }
    }

    /// Only agents that run this workflow.
    #[must_use]
    pub fn workflow_id(self, id: impl Into<WorkflowId>) -> Self {
        Self { workflow_id: Some(id.into()), ..self }
    }
}

impl Nomic {
    /// Launches an agent in the background.
    ///
    /// `POST /agents` · scope `developer:agent` · heavy tier
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if prompt, workflow, files and inputs cannot be combined. A 429
    /// without [`retry_after`](Error::retry_after), or with a [`code`](Error::code) other than
    /// [`RateLimited`](crate::ErrorCode::RateLimited), may be the user's spend limit; retrying after a few seconds does not
    /// help then.
    pub fn launch_agent(&self, launch: &Launch) -> Result<Agent> {
        self.run_agent(Call::to(&LAUNCH_AGENT, &[])?, launch)
    }

    /// Lists background agents, without interactive chats. A page has at most 100 agents ([`MAX_PAGE`]).
    ///
    /// `GET /agents` · scope `developer:agent` · standard tier
    #[doc(alias = "list_agents")]
    pub fn agents(&self) -> Listing<Agent> {
        self.agents_with(&Filter::default())
    }

    /// Lists agents like [`agents`](Self::agents), with a filter.
    pub fn agents_with(&self, filter: &Filter) -> Listing<Agent> {
        let call = Call::to(&LIST_AGENTS, &[]).map(|call| {
            call.query_if("status", filter.status.as_ref()).query_if("workflowId", filter.workflow_id.as_ref())
        });
        Listing::new(self, call, Some(MAX_PAGE))
    }

    /// Gets an agent. 404 if the agent is unknown.
    ///
    /// `GET /agents/{id}` · scope `developer:agent` · standard tier
    #[doc(alias = "get_agent")]
    pub fn agent(&self, id: impl Into<AgentId>) -> Result<Agent> {
        self.fetch_data(&Call::to(&GET_AGENT, &[id.into().as_str()])?)
    }

    /// Gives an agent that has ended another prompt, and runs it again. 409 if it has not ended (inferred). Returns the
    /// agent's id, to wait for it: the service may send nothing else.
    ///
    /// `POST /agents/{id}/followup` · scope `developer:agent` · heavy tier · inferred
    pub fn follow_up_agent(&self, id: impl Into<AgentId>, prompt: impl Into<Prompt>) -> Result<AgentId> {
        let call = Call::to(&FOLLOW_UP_AGENT, &[id.into().as_str()])?;
        let started: Started = self.run_agent(call, &Launch::prompt(prompt))?;
        Ok(started.id)
    }

    fn run_agent<T: DeserializeOwned>(&self, call: Call<'_>, launch: &Launch) -> Result<T> {
        match launch.error() {
            Some(reason) => Err(Error::invalid_request(call.operation, reason)),
            None => self.fetch_data(&call.json(launch).starts("id", |id| JobRef::Agent(id.into()))),
        }
    }

    /// Stops an agent. Its artifacts remain. 409 if it has already ended (inferred). Returns `None` if the response does not
    /// contain the agent. Never retried if its effect is unknown. The operation is documented to exist; its path and response
    /// are inferred.
    ///
    /// `POST /agents/{id}/stop` · scope `developer:agent` · write tier · inferred
    pub fn stop_agent(&self, id: impl Into<AgentId>) -> Result<Option<Agent>> {
        self.acknowledge(&Call::to(&STOP_AGENT, &[id.into().as_str()])?)
    }

    /// Deletes an agent, its conversation and its artifacts. **Destructive**: this cannot be undone. 404 if the agent is
    /// unknown. Never retried if its effect is unknown. The operation is documented to exist; its method, path and response
    /// are inferred.
    ///
    /// `DELETE /agents/{id}` · scope `developer:agent` · write tier · inferred
    pub fn delete_agent(&self, id: impl Into<AgentId>) -> Result<()> {
        self.acknowledge::<IgnoredAny>(&Call::to(&DELETE_AGENT, &[id.into().as_str()])?).map(drop)
    }

    /// Gets the conversation of a user and an agent. 404 if the agent is unknown.
    ///
    /// `GET /agents/{id}/conversation` · scope `developer:agent` · standard tier · observed
    #[doc(alias = "get_agent_conversation")]
    pub fn conversation(&self, id: impl Into<AgentId>) -> Result<Conversation> {
        self.fetch_data(&Call::to(&GET_AGENT_CONVERSATION, &[id.into().as_str()])?)
    }

    /// Lists the artifacts of an agent, without their contents. If the service has no such list, it is the `artifacts` of
    /// the agent, which takes another request: `GET /agents/{id}`.
    ///
    /// `GET /agents/{id}/artifacts` · scope `developer:agent` · standard tier · inferred
    #[doc(alias = "list_artifacts")]
    pub fn artifacts(&self, id: impl Into<AgentId>) -> Listing<Artifact> {
        let id = id.into();
        let owner = Call::to(&GET_AGENT, &[id.as_str()]).ok();
        Listing::new(self, Call::to(&LIST_ARTIFACTS, &[id.as_str()]), None).or_artifacts_of(owner)
    }

    /// Gets an artifact with its content. 404 if the artifact is unknown.
    ///
    /// `GET /agents/{id}/artifacts/{artifactId}` · scope `developer:agent` · standard tier · inferred
    #[doc(alias = "get_artifact")]
    pub fn artifact(&self, id: impl Into<AgentId>, artifact_id: impl Into<ArtifactId>) -> Result<Artifact> {
        self.fetch_data(&Call::to(&GET_ARTIFACT, &[id.into().as_str(), artifact_id.into().as_str()])?)
    }
}

impl Job for AgentId {
    type Output = Agent;
}

impl sealed::Pollable<Agent> for AgentId {
    fn job(&self) -> JobRef {
        JobRef::Agent(self.clone())
    }

    fn poll_once(&self, nomic: &Nomic, timeout: Duration) -> Result<Poll<Agent>> {
        let agent: Agent = nomic.fetch_data(&Call::to(&GET_AGENT, &[self.as_str()])?.within(timeout))?;
        Ok(agent.poll())
    }

    fn poll_list(nomic: &Nomic, agents: &[Self], timeout: Duration) -> ListPoll {
        poll_list(nomic, agents, timeout)
    }
}

impl Job for Agent {
    type Output = Self;
}

impl sealed::Pollable<Self> for Agent {
    fn job(&self) -> JobRef {
        self.id.job()
    }

    fn poll_once(&self, nomic: &Nomic, timeout: Duration) -> Result<Poll<Self>> {
        self.id.poll_once(nomic, timeout)
    }

    fn poll_list(nomic: &Nomic, agents: &[AgentId], timeout: Duration) -> ListPoll {
        poll_list(nomic, agents, timeout)
    }
}

/// Reads the list until all of these agents were found, but no more pages than they fill if they are the newest, and one.
pub(crate) fn poll_list(nomic: &Nomic, agents: &[AgentId], timeout: Duration) -> ListPoll {
    let mut sought: HashMap<&AgentId, Vec<usize>> = HashMap::new();
    for (index, id) in agents.iter().enumerate() {
        sought.entry(id).or_default().push(index);
    }
    let mut list = ListPoll { found: Vec::new(), requests: 0, error: None };
    let mut pages = nomic.agents().page_size(MAX_PAGE).pages();
    let enough = sought.len().div_ceil(MAX_PAGE as usize) as u32 + 1;
    let started = Instant::now();
    while list.requests < enough && !sought.is_empty() {
        pages.within(timeout.saturating_sub(started.elapsed()).min(POLL_TIMEOUT));
        let Some(page) = pages.next() else { break };
        list.requests += 1;
        match page {
            Ok(page) => {
                for agent in page.data {
                    let indexes = sought.remove(&agent.id).unwrap_or_default();
                    let status = agent.status.to_string();
                    let is_unknown = matches!(agent.status, AgentStatus::Other(_));
                    let ended = !matches!(agent.poll(), Poll::Pending { .. });
                    // The list may leave out the error or result that shows whether such an agent has ended.
                    if !is_unknown || ended {
                        let listed = |index| Listed { index, status: status.clone(), ended };
                        list.found.extend(indexes.into_iter().map(listed));
                    }
                }
            }
            Err(error) => list.error = Some(error),
        }
    }
    list
}

impl Agent {
    fn poll(self) -> Poll<Self> {
        let status = self.status.to_string();
        match self.status {
            AgentStatus::Finished | AgentStatus::Stopped => Poll::Done(self),
            AgentStatus::Failed => {
                let message = self.extra.get("error").and_then(failure).or(self.summary);
                Poll::Failed { status, message: message.unwrap_or_default() }
            }
            AgentStatus::Other(_) => match self.extra.get("error").and_then(failure) {
                Some(message) => Poll::Failed { status, message },
                None if self.extra.get("result").is_some_and(|result| !is_blank(result)) => Poll::Done(self),
                None => Poll::Pending { status },
            },
            AgentStatus::Waiting | AgentStatus::Running | AgentStatus::AwaitingTool => Poll::Pending { status },
        }
    }
}
