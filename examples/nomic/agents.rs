//! Agents and their artifacts, workflows, projects.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use nomic_client::agents::{Agent, AgentStatus, Artifact, Filter, Launch, MAX_PAGE};
use nomic_client::{AgentId, ArtifactId};
use serde_json::json;

use crate::args::{AgentCommand, AgentList, Agents, Limit, Run};
use crate::documents::check_documents;
use crate::failure::Failure;
use crate::jobs::{Submission, SubmittedJob};
use crate::output::{cell, fields};
use crate::session::Session;
use crate::terminal::{confirm, note};

/// Items per request. The service documents no maximum for these lists.
const PAGE_SIZE: u32 = 100;

/// Known statuses, named in a note if a filter finds nothing.
const KNOWN_STATUSES: [AgentStatus; 6] = [
    AgentStatus::Waiting,
    AgentStatus::Running,
    AgentStatus::AwaitingTool,
    AgentStatus::Finished,
    AgentStatus::Stopped,
    AgentStatus::Failed,
];

pub(crate) fn run(session: &Session, agents: Agents) -> Result<(), Failure> {
    let nomic = &session.nomic;
    match agents.command.unwrap_or(AgentCommand::List(agents.list)) {
        AgentCommand::List(filter) => list(session, filter),
        AgentCommand::Show { id } => show(session, &nomic.agent(&id)?),
        AgentCommand::Run(arguments) => launch(session, arguments),
        AgentCommand::FollowUp { id, prompt, wait } => {
            let check = ["agents", "show", id.as_str()];
            let submission = Submission {
                label: "sending the follow-up",
                done: "received the follow-up and is running again",
                check: &check,
            };
            session.submit(&wait, &submission, || nomic.follow_up_agent(&id, prompt))
        }
        AgentCommand::Stop { id } => {
            let check = ["agents", "show", id.as_str()];
            let stopped = session.write("stopping the agent", &check, || nomic.stop_agent(&id))?;
            session.output.value(&stopped, || format!("agent {id} is stopped"))
        }
        AgentCommand::Delete { id, confirmation } => {
            confirm(&format!("Delete agent {id} with its conversation and artifacts?"), confirmation.yes)?;
            let check = ["agents", "show", id.as_str()];
            session.write("deleting the agent", &check, || nomic.delete_agent(&id))?;
            session.output.value(&json!({ "id": id }), || format!("agent {id} is deleted"))
        }
        AgentCommand::Artifacts { id, content: false, save: None } => {
            let columns = [("id", 36), ("type", 8), ("title", 0)];
            session.output.list(nomic.artifacts(&id), columns, |artifact| {
                [artifact.id.to_string(), cell(artifact.kind.as_ref()), cell(artifact.title.as_ref())]
            })?;
            Ok(())
        }
        AgentCommand::Artifacts { id, save, .. } => artifact_contents(session, &id, save.as_deref()),
    }
}

fn list(session: &Session, AgentList { status, workflow, limit }: AgentList) -> Result<(), Failure> {
    let mut filter = Filter::default();
    (filter.status, filter.workflow_id) = (status.map(AgentStatus::from), workflow);
    let agents = session.nomic.agents_with(&filter);
    let columns = [("id", 36), ("status", 13), ("created", 24), ("summary", 0)];
    let count = session.output.list(limit.apply(agents, MAX_PAGE), columns, |agent| {
        let Agent { id, status, created_at, summary, .. } = agent;
        [id.to_string(), status.to_string(), cell(created_at.as_ref()), cell(summary.as_ref())]
    })?;
    if let (0, Some(AgentStatus::Other(status))) = (count, &filter.status) {
        let known = KNOWN_STATUSES.each_ref().map(AgentStatus::as_str).join(", ");
        note(format_args!("no agent has the status {status:?}; known statuses: {known}"));
    }
    Ok(())
}

fn launch(session: &Session, arguments: Run) -> Result<(), Failure> {
    let mut launch = Launch::default().files(arguments.file_id);
    launch.prompt = arguments.prompt.map(Into::into);
    (launch.workflow_id, launch.project_id) = (arguments.workflow, arguments.project);
    for (slot, file) in arguments.input {
        launch.inputs.entry(slot).or_default().push(file);
    }
    check_documents(&arguments.file)?;
    for file in &arguments.file {
        launch.file_ids.push(session.upload_for_job(file, |stored| format!("--file-id {}", stored.id))?.id);
    }
    let check = ["agents", "list", "--limit", "5"];
    let submission = Submission { label: "launching the agent", done: "was launched", check: &check };
    session.submit(&arguments.wait, &submission, || session.nomic.launch_agent(&launch).map(|agent| agent.id))
}

fn show(session: &Session, agent: &Agent) -> Result<(), Failure> {
    let artifacts = agent.artifacts.iter().map(|artifact| {
        let Artifact { id, kind, title, .. } = artifact;
        ("artifact", Some(format!("{id}  {:8}  {}", cell(kind.as_ref()), cell(title.as_ref()))))
    });
    session.output.value(agent, || {
        let mut lines = vec![
            ("id", Some(agent.id.to_string())),
            ("status", Some(agent.status.to_string())),
            ("created", agent.created_at.as_ref().map(ToString::to_string)),
            ("summary", agent.summary.clone()),
            ("url", agent.url.clone()),
        ];
        lines.extend(artifacts);
        fields(&lines)
    })
}

impl SubmittedJob for AgentId {
    const KIND: &'static str = "agent";
    const NAME: &'static str = "agent";

    fn id(&self) -> &str {
        self.as_str()
    }

    /// A stopped agent counts as a failure.
    fn show(&self, session: &Session, agent: &Agent) -> Result<(), Failure> {
        show(session, agent)?;
        if agent.status == AgentStatus::Stopped { Err(Failure::AgentStopped) } else { Ok(()) }
    }
}

/// Prints the contents of an agent's artifacts, or writes them to files in the folder `save`.
fn artifact_contents(session: &Session, id: &AgentId, save: Option<&Path>) -> Result<(), Failure> {
    if let Some(file) = save.filter(|folder| folder.exists() && !folder.is_dir()) {
        let message = format!("--save: {} is a file, not a folder; nothing was sent", file.display());
        return Err(Failure::Usage(message));
    }
    let (mut count, mut failed) = (0, 0);
    for artifact in session.nomic.artifacts(id) {
        let artifact = artifact?.id;
        count += 1;
        match artifact_content(session, id, &artifact, save) {
            Err(failure) if failure.affects_all() => return Err(failure),
            Err(failure) => {
                failed += 1;
                note(format_args!("artifact {artifact}: {}", failure.message().unwrap_or_default()));
            }
            Ok(()) => {}
        }
    }
    let done = if save.is_some() { "saved" } else { "printed" };
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Local(format!("{failed} of {count} artifacts could not be {done}"))),
    }
}

/// Prints the content of an artifact, or writes it to a file in the folder `save`.
fn artifact_content(session: &Session, agent: &AgentId, id: &ArtifactId, save: Option<&Path>) -> Result<(), Failure> {
    let artifact = session.nomic.artifact(agent, id)?;
    let (extension, content) = render(&artifact);
    let Some(folder) = save else {
        return session.output.value(&artifact, || format!("{}\n", content.trim_end()));
    };
    let title = artifact.title.as_deref().unwrap_or("artifact");
    let path = folder.join(file_name(title, id.as_str(), extension));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, content))
        .map_err(|error| Failure::Local(format!("{}: {error}", path.display())))?;
    session.output.value(&json!({ "id": id, "path": path }), || path.display().to_string())
}

/// A name of at most 255 bytes, the limit of most file systems. It has no path separators, because titles are untrusted, and
/// differs for different IDs, even if the file system ignores case.
fn file_name(title: &str, id: &str, extension: &str) -> String {
    const MAX_ID: usize = 100;
    let mut unique = String::new();
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => unique.push(char::from(byte)),
            _ => unique.push_str(&format!("_{byte:02x}")),
        }
    }
    if unique.len() > MAX_ID {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        unique = format!("{}_{:016x}", &unique[..MAX_ID], hasher.finish());
    }
    let mut title: String = title.chars().take(80).map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    while title.len() + unique.len() + extension.len() + 2 > 255 {
        title.pop();
    }
    format!("{title}_{unique}.{extension}")
}

/// The file extension and contents of an artifact.
fn render(artifact: &Artifact) -> (&'static str, String) {
    if let Some(table) = artifact.table() {
        let mut csv = Vec::new();
        if table.write_csv(&mut csv).is_ok() {
            return ("csv", String::from_utf8_lossy(&csv).into_owned());
        }
    }
    match artifact.markdown() {
        Some(text) => ("md", text.to_owned()),
        None => ("json", artifact.content.as_ref().map(ToString::to_string).unwrap_or_default()),
    }
}

pub(crate) fn workflows(session: &Session, limit: Limit) -> Result<(), Failure> {
    let columns = [("id", 36), ("slots", 24), ("name", 0)];
    session.output.list(limit.apply(session.nomic.workflows(), PAGE_SIZE), columns, |workflow| {
        let slots = workflow.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>().join(",");
        [workflow.id.to_string(), cell(Some(slots).filter(|slots| !slots.is_empty())), cell(workflow.name.as_ref())]
    })?;
    Ok(())
}

pub(crate) fn projects(session: &Session, limit: Limit) -> Result<(), Failure> {
    session.output.list(limit.apply(session.nomic.projects(), PAGE_SIZE), [("id", 36), ("name", 0)], |project| {
        [project.id.to_string(), cell(project.name.as_ref())]
    })?;
    Ok(())
}
