//! Agents: background work on files, begun with a prompt or a workflow, and what comes of it.
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

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_core::ser::SerializeMap;
use serde_core::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::acknowledged::Acknowledged;
use crate::call::Call;
use crate::error::{Error, JobRef, Result};
use crate::ids::{AgentId, ArtifactId, FileId, ProjectId, WorkflowId};
use crate::image;
use crate::job::Poll;
use crate::job::sealed::{self, Overview};
use crate::listing::Listing;
use crate::nomic::Nomic;
use crate::operations::{
    DELETE_AGENT, FOLLOW_UP_AGENT, GET_AGENT, GET_AGENT_CONVERSATION, GET_ARTIFACT, LAUNCH_AGENT, LIST_AGENTS,
    LIST_ARTIFACTS, Operation, STOP_AGENT,
};
use crate::record::record;
use crate::timestamp::Timestamp;
use crate::words::open_enum;

/// 100: the largest page of a list of agents.
pub const MAX_AGENTS_PAGE: u32 = 100;

open_enum! {
    /// How far an agent is.
    pub enum AgentStatus {
        /// Not begun.
        Waiting = "waiting",
        /// At work.
        Running = "running",
        /// At work, waiting for a tool.
        AwaitingTool = "awaiting_tool",
        /// Ended with its work done.
        Finished = "finished",
        /// Ended because somebody stopped it.
        Stopped = "stopped",
        /// Ended without its work done.
        Failed = "failed",
    }
}

impl AgentStatus {
    /// Whether it will not go on by itself: it is finished, stopped or failed. An unknown word does not count as an end.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Finished | Self::Stopped | Self::Failed)
    }
}

open_enum! {
    /// What an artifact is.
    pub enum ArtifactKind {
        /// A document in Markdown.
        Markdown = "markdown",
        /// A table.
        Table = "table",
    }
}

open_enum! {
    /// Who says something in a conversation.
    pub enum MessageKind {
        /// The prompt, or a follow-up.
        User = "user_message",
        /// The agent.
        Assistant = "assistant_message",
    }
}

/// What an agent is asked to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// The prompt in words, e.g. `List the doors as a table.`
    pub text: Option<String>,
    /// Pictures that belong to the words (inferred).
    pub images: Vec<Image>,
}

impl Serialize for Prompt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        if let Some(text) = &self.text {
            fields.serialize_entry("text", text)?;
        }
        if !self.images.is_empty() {
            fields.serialize_entry("images", &self.images)?;
        }
        fields.end()
    }
}

impl Prompt {
    /// A prompt in words; [`image`](Self::image) adds pictures.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), images: Vec::new() }
    }

    /// Adds a picture.
    #[must_use]
    pub fn image(mut self, image: Image) -> Self {
        self.images.push(image);
        self
    }

    /// What is wrong with it.
    fn reason_to_refuse(&self) -> Option<&'static str> {
        let blank = self.text.as_ref().is_none_or(|text| text.trim().is_empty());
        blank.then_some("the prompt has no text; say what the agent shall do")
    }
}

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Prompt {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// A picture in a prompt: its file in base64, with its dimensions (inferred).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// The file's bytes in base64.
    pub data: String,
    /// Its width and height.
    pub dimension: Dimension,
}

/// The size of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// The width in pixels, e.g. 640.
    pub width: u32,
    /// The height in pixels, e.g. 480.
    pub height: u32,
}

impl Serialize for Image {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(Some(2))?;
        fields.serialize_entry("data", &self.data)?;
        fields.serialize_entry("dimension", &self.dimension)?;
        fields.end()
    }
}

impl Serialize for Dimension {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(Some(2))?;
        fields.serialize_entry("width", &self.width)?;
        fields.serialize_entry("height", &self.height)?;
        fields.end()
    }
}

impl Image {
    /// A picture from a PNG, JPEG, GIF, WebP or BMP file.
    ///
    /// # Errors
    ///
    /// [`Error::Document`] if it cannot be read, or is none of these.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let label = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| Error::document(LAUNCH_AGENT.name, &*label, &error))?;
        Self::read(&bytes, &label)
    }

    /// A picture from the bytes of a PNG, JPEG, GIF, WebP or BMP file.
    ///
    /// # Errors
    ///
    /// [`Error::Document`] if they are none of these.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes, "the image")
    }

    /// A picture of another format, whose size you know.
    #[must_use]
    pub fn with_dimension(bytes: &[u8], dimension: Dimension) -> Self {
        Self { data: STANDARD.encode(bytes), dimension }
    }

    fn read(bytes: &[u8], label: &str) -> Result<Self> {
        let Some((width, height)) = image::dimensions(bytes) else {
            let error = io::Error::new(io::ErrorKind::InvalidData, "not a PNG, JPEG, GIF, WebP or BMP image");
            return Err(Error::document(LAUNCH_AGENT.name, label, &error));
        };
        Ok(Self::with_dimension(bytes, Dimension { width, height }))
    }
}

/// What to launch an agent with: a prompt, or a workflow.
///
/// ```
/// use nomic_client::agents::Launch;
///
/// let simple = Launch::prompt("Summarize the report.").files(["019a"]);
/// let workflow = Launch::workflow("019b").input("submittal", ["019c"]).project("019d");
/// # assert_eq!(simple, Launch { file_ids: vec!["019a".into()], ..Launch::prompt("Summarize the report.") });
/// # assert_eq!(workflow.inputs["submittal"][0].as_str(), "019c");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Launch {
    /// What the agent shall do. Not together with `inputs`.
    pub prompt: Option<Prompt>,
    /// The workflow that the agent shall run.
    pub workflow_id: Option<WorkflowId>,
    /// The project to work in.
    pub project_id: Option<ProjectId>,
    /// Files and folders to work on. Only without a workflow.
    pub file_ids: Vec<FileId>,
    /// The files for each input slot of the workflow, e.g. for `submittal`.
    pub inputs: BTreeMap<String, Vec<FileId>>,
}

impl Serialize for Launch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        if let Some(prompt) = &self.prompt {
            fields.serialize_entry("prompt", prompt)?;
        }
        if let Some(id) = &self.workflow_id {
            fields.serialize_entry("workflowId", id)?;
        }
        if let Some(id) = &self.project_id {
            fields.serialize_entry("projectId", id)?;
        }
        if !self.file_ids.is_empty() {
            fields.serialize_entry("fileIds", &self.file_ids)?;
        }
        if !self.inputs.is_empty() {
            fields.serialize_entry("inputs", &self.inputs)?;
        }
        fields.end()
    }
}

impl Launch {
    /// A launch with a prompt.
    pub fn prompt(prompt: impl Into<Prompt>) -> Self {
        Self { prompt: Some(prompt.into()), ..Self::default() }
    }

    /// A launch with a workflow.
    pub fn workflow(workflow_id: impl Into<WorkflowId>) -> Self {
        Self { workflow_id: Some(workflow_id.into()), ..Self::default() }
    }

    /// Adds files and folders to work on. Only without a workflow.
    #[must_use]
    pub fn files<I: Into<FileId>>(mut self, files: impl IntoIterator<Item = I>) -> Self {
        self.file_ids.extend(files.into_iter().map(Into::into));
        self
    }

    /// Works in a project.
    #[must_use]
    pub fn project(mut self, project_id: impl Into<ProjectId>) -> Self {
        self.project_id = Some(project_id.into());
        self
    }

    /// Fills an input slot of the workflow: the `name` of one of its
    /// [`inputs`](crate::workflows::Workflow::inputs).
    #[must_use]
    pub fn input<I: Into<FileId>>(mut self, slot: impl Into<String>, files: impl IntoIterator<Item = I>) -> Self {
        self.inputs.insert(slot.into(), files.into_iter().map(Into::into).collect());
        self
    }

    /// The combinations that the API forbids, each with what to do.
    fn reason_to_refuse(&self) -> Option<&'static str> {
        match (&self.prompt, &self.workflow_id) {
            (None, None) => Some("there is neither a prompt nor a workflow; give one of them"),
            (_, None) if !self.inputs.is_empty() => {
                Some("inputs fill the slots of a workflow; give workflow_id, or put the files into file_ids")
            }
            (_, Some(_)) if !self.file_ids.is_empty() => {
                Some("file_ids go with a prompt alone; give a workflow its files in inputs")
            }
            (Some(_), Some(_)) if !self.inputs.is_empty() => {
                Some("a workflow with inputs takes no prompt; leave one of them out")
            }
            (Some(prompt), _) => prompt.reason_to_refuse(),
            (None, Some(_)) => None,
        }
    }
}

record! {
    /// An agent.
    #[non_exhaustive]
    pub struct Agent {
        /// Its id.
        pub id: AgentId = required "id",
        /// How far it is.
        pub status: AgentStatus = required "status",
        /// The workflow that it runs.
        pub workflow_id: Option<WorkflowId> = optional "workflowId",
        /// The project that it works in.
        pub project_id: Option<ProjectId> = optional "projectId",
        /// What it has made so far, without the contents: [`Nomic::artifact`] gets them.
        pub artifacts: Vec<Artifact> = or_empty "artifacts",
        /// The files that it works on.
        pub files: Vec<AgentFile> = or_empty "files",
        /// What it did, in a sentence or two (observed).
        pub summary: Option<String> = optional "summary",
        /// The page where people can look at it (observed).
        pub url: Option<String> = optional "url",
        /// When it was launched, e.g. `2026-04-25T12:00:00.000Z`.
        pub created_at: Option<Timestamp> = optional "createdAt",
        /// When it last changed, e.g. `2026-04-25T12:03:00.000Z`.
        pub updated_at: Option<Timestamp> = optional "updatedAt",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

record! {
    /// A file that an agent works on.
    #[non_exhaustive]
    pub struct AgentFile {
        /// The file's or folder's id.
        pub id: Option<FileId> = optional "id",
        /// Its name, e.g. `permit.pdf`.
        pub name: Option<String> = optional "name",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

record! {
    /// Something that an agent made (inferred).
    #[non_exhaustive]
    pub struct Artifact {
        /// Its id.
        pub id: ArtifactId = required "id",
        /// What it is, e.g. a table.
        pub kind: Option<ArtifactKind> = optional "type",
        /// Its title, e.g. `Door schedule`.
        pub title: Option<String> = optional "title",
        /// Its content as the service sent it; absent in lists.
        pub content: Option<Value> = optional "content",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

impl Artifact {
    /// The text, if the content is text.
    #[must_use]
    pub fn markdown(&self) -> Option<&str> {
        let content = self.content.as_ref()?;
        content.as_str().or_else(|| content.get("markdown").or(content.get("text"))?.as_str())
    }

    /// The table, if the content is one: columns with rows of values, or of objects by column.
    #[must_use]
    pub fn table(&self) -> Option<Table> {
        Table::read(self.content.as_ref()?)
    }
}

record! {
    /// A table.
    #[derive(Default)]
    #[non_exhaustive]
    pub struct Table {
        /// The columns' names, e.g. `mark` and `width`.
        pub columns: Vec<String> = required "columns",
        /// The rows, each with a value for every column.
        pub rows: Vec<Vec<Value>> = required "rows",
    }
}

impl Table {
    fn read(content: &Value) -> Option<Self> {
        let named = |column: &Value| match column {
            Value::String(name) => name.clone(),
            Value::Object(column) => ["name", "title", "key", "id"]
                .iter()
                .find_map(|field| column.get(*field)?.as_str())
                .unwrap_or_default()
                .to_owned(),
            other => other.to_string(),
        };
        let columns: Vec<String> = content.get("columns")?.as_array()?.iter().map(named).collect();
        let row = |row: &Value| {
            let mut values = match row {
                Value::Array(values) => values.clone(),
                Value::Object(row) => {
                    columns.iter().map(|column| row.get(column).cloned().unwrap_or_default()).collect()
                }
                single => vec![single.clone()],
            };
            if values.len() < columns.len() {
                values.resize(columns.len(), Value::Null);
            }
            values
        };
        let rows = content.get("rows")?.as_array()?.iter().map(row).collect();
        Some(Self { columns, rows })
    }

    /// Writes the table as CSV (RFC 4180, UTF-8): columns first, a row a line. Text stands as it is, `null` is empty,
    /// lists and objects are written as JSON.
    ///
    /// # Errors
    ///
    /// Errors of the writer are passed on.
    ///
    /// ```
    /// # use nomic_client::agents::Artifact;
    /// # use serde_json::json;
    /// # let artifact: Artifact = serde_json::from_value(json!({"id": "a", "content":
    /// #     {"columns": ["mark", "note"], "rows": [["D1", "36\""], ["D2", null]]}})).unwrap();
    /// let table = artifact.table().expect("a table");
    /// let mut csv = Vec::new();
    /// table.write_csv(&mut csv)?;
    /// assert_eq!(String::from_utf8_lossy(&csv), "mark,note\r\nD1,\"36\"\"\"\r\nD2,\r\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_csv(&self, mut to: impl Write) -> io::Result<()> {
        let mut line = |cells: &mut dyn Iterator<Item = String>| -> io::Result<()> {
            for (at, cell) in cells.enumerate() {
                let between = if at == 0 { "" } else { "," };
                if cell.contains(['"', ',', '\r', '\n']) || cell.trim() != cell {
                    write!(to, "{between}\"{}\"", cell.replace('"', "\"\""))?;
                } else {
                    write!(to, "{between}{cell}")?;
                }
            }
            to.write_all(b"\r\n")
        };
        line(&mut self.columns.iter().cloned())?;
        for row in &self.rows {
            line(&mut row.iter().map(|value| match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }))?;
        }
        Ok(())
    }
}

record! {
    /// What was said between user and agent (observed).
    #[derive(Default)]
    #[non_exhaustive]
    pub struct Conversation {
        /// The messages, in the order in which they were said.
        pub messages: Vec<Message> = nullable "messages",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

record! {
    /// One thing that was said.
    #[derive(Default)]
    #[non_exhaustive]
    pub struct Message {
        /// The message's id.
        pub id: Option<String> = optional "id",
        /// Who said it, e.g. the agent.
        pub kind: Option<MessageKind> = optional "type",
        /// The words, e.g. `Summarize the report.`
        pub text: Option<String> = optional "text",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

record! {
    /// What the service says of a deletion (inferred).
    #[non_exhaustive]
    pub struct Deleted {
        /// The id of the agent that was deleted.
        pub id: AgentId = required "id",
        ..
        /// What else the service said.
        pub extra: Map<String, Value>,
    }
}

/// What narrows a list of agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only agents of this status, e.g. those that are running.
    pub status: Option<AgentStatus>,
    /// Only agents that run this workflow.
    pub workflow_id: Option<WorkflowId>,
}

impl Nomic {
    /// Launches an agent in the background.
    ///
    /// `POST /agents` · scope `developer:agent` · heavy tier
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if prompt, workflow, files and inputs do not go together. A 429 without
    /// [`retry_after`](Error::retry_after), or with another [`code`](Error::code) than
    /// [`RateLimited`](crate::ErrorCode::RateLimited), may be the user's spend limit: waiting seconds does not help.
    pub fn launch_agent(&self, launch: &Launch) -> Result<Agent> {
        match launch.reason_to_refuse() {
            Some(reason) => Err(Error::refused(LAUNCH_AGENT.name, reason)),
            None => self.submit(&Call::to(&LAUNCH_AGENT, &[])?.json(launch), "id", |id| JobRef::Agent(id.into())),
        }
    }

    /// Lists background agents; interactive chats are not among them. Pages hold 100 at the most ([`MAX_AGENTS_PAGE`]).
    ///
    /// `GET /agents` · scope `developer:agent` · standard tier
    #[doc(alias = "list_agents")]
    pub fn agents(&self, filter: &Filter) -> Listing<Agent> {
        let call = Call::to(&LIST_AGENTS, &[]).map(|call| {
            call.query_if("status", filter.status.as_ref()).query_if("workflowId", filter.workflow_id.as_ref())
        });
        Listing::new(self, call, Some(MAX_AGENTS_PAGE))
    }

    /// Gets an agent as it stands.
    ///
    /// `GET /agents/{id}` · scope `developer:agent` · standard tier
    ///
    /// # Errors
    ///
    /// 404 if it is not known.
    #[doc(alias = "get_agent")]
    pub fn agent(&self, id: &AgentId) -> Result<Agent> {
        self.fetch_data(&Call::to(&GET_AGENT, &[id.as_str()])?)
    }

    /// Gives an agent that has ended a further prompt; it runs again.
    ///
    /// `POST /agents/{id}/followup` · scope `developer:agent` · heavy tier · inferred
    ///
    /// # Errors
    ///
    /// 409 if it has not ended.
    pub fn follow_up_agent(&self, id: &AgentId, prompt: impl Into<Prompt>) -> Result<Agent> {
        let body = Launch::prompt(prompt);
        match body.reason_to_refuse() {
            Some(reason) => Err(Error::refused(FOLLOW_UP_AGENT.name, reason)),
            None => {
                let call = Call::to(&FOLLOW_UP_AGENT, &[id.as_str()])?.json(&body);
                self.submit(&call, "id", |id| JobRef::Agent(id.into()))
            }
        }
    }

    /// Stops an agent. What it has made so far stays. Documented to exist; path and answer are inferred. Never repeated on
    /// a doubtful outcome.
    ///
    /// `POST /agents/{id}/stop` · scope `developer:agent` · write tier · inferred
    ///
    /// # Errors
    ///
    /// 409 if it has ended already.
    pub fn stop_agent(&self, id: &AgentId) -> Result<Acknowledged<Agent>> {
        self.acknowledge(&Call::to(&STOP_AGENT, &[id.as_str()])?)
    }

    /// Deletes an agent, its conversation and its artifacts. **Destructive**: it cannot be undone. Documented to exist;
    /// method, path and answer are inferred. Never repeated on a doubtful outcome.
    ///
    /// `DELETE /agents/{id}` · scope `developer:agent` · write tier · inferred
    ///
    /// # Errors
    ///
    /// 404 if it is not known.
    pub fn delete_agent(&self, id: &AgentId) -> Result<Acknowledged<Deleted>> {
        self.acknowledge(&Call::to(&DELETE_AGENT, &[id.as_str()])?)
    }

    /// Gets what was said between user and agent.
    ///
    /// `GET /agents/{id}/conversation` · scope `developer:agent` · standard tier · observed
    ///
    /// # Errors
    ///
    /// 404 if it is not known.
    #[doc(alias = "get_agent_conversation")]
    pub fn conversation(&self, id: &AgentId) -> Result<Conversation> {
        self.fetch_data(&Call::to(&GET_AGENT_CONVERSATION, &[id.as_str()])?)
    }

    /// Lists what an agent has made, without the contents.
    ///
    /// `GET /agents/{id}/artifacts` · scope `developer:agent` · standard tier · inferred
    #[doc(alias = "list_artifacts")]
    pub fn artifacts(&self, id: &AgentId) -> Listing<Artifact> {
        Listing::new(self, Call::to(&LIST_ARTIFACTS, &[id.as_str()]), None)
    }

    /// Gets one artifact with its content.
    ///
    /// `GET /agents/{id}/artifacts/{artifactId}` · scope `developer:agent` · standard tier · inferred
    ///
    /// # Errors
    ///
    /// 404 if it is not known.
    #[doc(alias = "get_artifact")]
    pub fn artifact(&self, id: &AgentId, artifact_id: &ArtifactId) -> Result<Artifact> {
        self.fetch_data(&Call::to(&GET_ARTIFACT, &[id.as_str(), artifact_id.as_str()])?)
    }
}

impl TryFrom<JobRef> for AgentId {
    type Error = JobRef;

    /// The agent's id, unless the job is of another kind.
    fn try_from(job: JobRef) -> Result<Self, JobRef> {
        match job {
            JobRef::Agent(id) => Ok(id),
            other => Err(other),
        }
    }
}

impl From<&Agent> for JobRef {
    fn from(agent: &Agent) -> Self {
        Self::Agent(agent.id.clone())
    }
}

/// An agent is waited for until it is finished, stopped or failed. One that was stopped is a result: look at its status.
impl sealed::Asked for AgentId {
    type Output = Agent;

    const OPERATION: &'static Operation = &GET_AGENT;
    const LISTED: bool = true;

    fn job(&self) -> JobRef {
        JobRef::Agent(self.clone())
    }

    fn ask(&self, nomic: &Nomic, limit: Duration) -> Result<Poll<Agent>> {
        let agent: Agent = nomic.fetch_data(&Call::to(&GET_AGENT, &[self.as_str()])?.within(limit))?;
        Ok(agent.poll())
    }

    fn look_over(nomic: &Nomic, jobs: &[&Self], limit: Duration) -> Overview<Agent> {
        look_over(nomic, jobs, limit)
    }
}

impl sealed::Asked for Agent {
    type Output = Agent;

    const OPERATION: &'static Operation = &GET_AGENT;
    const LISTED: bool = true;

    fn job(&self) -> JobRef {
        self.id.job()
    }

    fn ask(&self, nomic: &Nomic, limit: Duration) -> Result<Poll<Agent>> {
        self.id.ask(nomic, limit)
    }

    fn look_over(nomic: &Nomic, jobs: &[&Self], limit: Duration) -> Overview<Agent> {
        let ids: Vec<&AgentId> = jobs.iter().map(|agent| &agent.id).collect();
        look_over(nomic, &ids, limit)
    }
}

impl Agent {
    fn poll(self) -> Poll<Self> {
        let status = self.status.to_string();
        match self.status {
            AgentStatus::Finished | AgentStatus::Stopped => Poll::Done(self),
            AgentStatus::Failed => {
                let said = self.extra.get("error").and_then(Value::as_str).map(str::to_owned);
                Poll::Failed { status, message: said.or(self.summary).unwrap_or_default() }
            }
            _ => Poll::Pending { status },
        }
    }
}

/// Reads the list until all of these agents were found, or as far as they would stand if the newest come first.
fn look_over(nomic: &Nomic, ids: &[&AgentId], limit: Duration) -> Overview<Agent> {
    let mut sought: HashMap<&str, Vec<usize>> = HashMap::with_capacity(ids.len());
    for (place, id) in ids.iter().enumerate() {
        sought.entry(id.as_str()).or_default().push(place);
    }
    let mut overview = Overview { found: Vec::with_capacity(ids.len()), requests: 0, trouble: None };
    let call = Call::to(&LIST_AGENTS, &[]);
    let mut pages = Listing::<Agent>::new(nomic, call, Some(MAX_AGENTS_PAGE)).page_size(MAX_AGENTS_PAGE).pages();
    let enough = sought.len().div_ceil(MAX_AGENTS_PAGE as usize) + 1;
    let began = Instant::now();
    for _ in 0..enough {
        pages.within(limit.saturating_sub(began.elapsed()));
        let Some(page) = pages.next() else { break };
        overview.requests += 1;
        let agents = match page {
            Ok(page) => page.data,
            Err(error) => {
                overview.trouble = Some(error);
                break;
            }
        };
        for agent in agents {
            for place in sought.remove(agent.id.as_str()).unwrap_or_default() {
                overview.found.push((place, agent.clone().poll()));
            }
        }
        if sought.is_empty() {
            break;
        }
    }
    overview
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn combinations_that_the_contract_forbids_are_refused_with_what_to_do() {
        let refused = |launch: Launch| launch.reason_to_refuse().unwrap_or_default();
        assert!(refused(Launch::default()).contains("neither"));
        assert!(refused(Launch::prompt(" ")).contains("no text"));
        assert!(refused(Launch::prompt("go").input("a", ["f"])).contains("workflow_id"));
        assert!(refused(Launch { file_ids: vec!["f".into()], ..Launch::workflow("w") }).contains("in inputs"));
        let both = Launch { prompt: Some("go".into()), ..Launch::workflow("w") };
        assert!(refused(both.clone().input("a", ["f"])).contains("no prompt"));
        for allowed in [both, Launch::prompt("go"), Launch::workflow("w"), Launch::workflow("w").input("a", ["f"])] {
            assert_eq!(allowed.reason_to_refuse(), None, "{allowed:?}");
        }
    }

    #[test]
    fn a_launch_is_written_as_the_contract_says() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03";
        let launch = Launch {
            file_ids: vec!["f".into()],
            project_id: Some("p".into()),
            ..Launch::prompt(Prompt::new("go").image(Image::from_bytes(png).unwrap()))
        };
        let data = STANDARD.encode(png);
        assert_eq!(
            serde_json::to_value(&launch).unwrap(),
            json!({"prompt": {"text": "go", "images": [{"data": data, "dimension": {"width": 2, "height": 3}}]},
                   "projectId": "p", "fileIds": ["f"]})
        );
    }

    #[test]
    fn what_is_no_image_is_an_error() {
        let error = Image::from_bytes(b"%PDF").unwrap_err().to_string();
        assert_eq!(error, "launch_agent: the image: not a PNG, JPEG, GIF, WebP or BMP image");
    }

    #[test]
    fn a_table_is_read_in_every_form() {
        let read = |content: Value| Table::read(&content);
        let table = Table { columns: vec!["a".into(), "b".into()], rows: vec![vec![json!(1), Value::Null]] };
        assert_eq!(read(json!({"columns": ["a", "b"], "rows": [[1]]})), Some(table.clone()));
        assert_eq!(read(json!({"columns": [{"name": "a"}, {"title": "b"}], "rows": [{"a": 1}]})), Some(table));
        assert_eq!(read(json!("text")), None);
        assert_eq!(read(json!({"columns": 1, "rows": []})), None);
    }
}
