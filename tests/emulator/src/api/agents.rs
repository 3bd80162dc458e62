//! Agents: launching, following up, stopping and deleting them, and reading their output.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::{ApiResponse, Call, analytics};
use crate::failure::{Failure, Issue};
use crate::pages::{Items, PageRequest};
use crate::seed::{self, WORKFLOWS, Workflow};
use crate::state::lock;
use crate::store::agents::{Agent, Outcome, Run, State};
use crate::store::audit_log::Entity;
use crate::store::library::Version;
use crate::store::tasks::{JobFault, Promise, catch_panic};
use crate::validate::{self, Shape, list as list_of, open_object, optional, required};
use crate::work;

static DIMENSION: &[validate::Field] = &[
    optional("width", Shape::Integer { minimum: 1, maximum: i64::MAX }),
    optional("height", Shape::Integer { minimum: 1, maximum: i64::MAX }),
];
static IMAGE: Shape = open_object(&[
    optional("data", Shape::Text),
    optional("dimension", Shape::Object { fields: DIMENSION, open: true }),
]);
static PROMPT: &[validate::Field] = &[optional("text", Shape::Text), optional("images", list_of(&IMAGE))];
static TEXTS: Shape = list_of(&Shape::Text);

/// Unknown fields are ignored, as the real service has been observed to do, although its documentation forbids them.
static LAUNCH: Shape = open_object(&[
    optional("prompt", open_object(PROMPT)),
    optional("workflowId", Shape::Uuid),
    optional("projectId", Shape::Uuid),
    optional("fileIds", list_of(&Shape::Uuid)),
    optional("inputs", Shape::Map(&TEXTS)),
    // Some clients send file ids here.
    optional("source", open_object(&[optional("fileIds", list_of(&Shape::Uuid))])),
]);
static FOLLOW_UP: Shape = open_object(&[required("prompt", open_object(PROMPT))]);

pub(crate) fn launch(call: &Call) -> Result<ApiResponse, Failure> {
    let body = validate::parse(&call.body, &LAUNCH)?;
    let over_limit = lock(&call.world.accounts).user(call.user).is_some_and(analytics::is_over_limit);
    if over_limit {
        return Err(Failure::new(429, "rate_limited", "Spend limit reached"));
    }
    let prompt = prompt_of(&body)?;
    let workflow = match body["workflowId"].as_str() {
        None => None,
        Some(id) => Some(find_workflow(id)?),
    };
    let project = body["projectId"].as_str().map(str::to_owned);
    if project.as_ref().is_some_and(|id| seed::projects().iter().all(|(known, _)| known != id)) {
        return Err(Failure::not_found("Project"));
    }
    check_combination(&body, prompt.is_some(), workflow)?;
    let (files, versions) = gather_files(call, &file_ids(&body))?;
    let prompt = prompt.or_else(|| workflow.map(|workflow| workflow.prompt.to_owned())).unwrap_or_default();

    let outcome = start_work(call, prompt.clone(), versions);
    let id = call.world.fresh_id();
    let mut agent = Agent {
        id: id.clone(),
        workflow: workflow.map(Workflow::id),
        project,
        files,
        created: call.now,
        updated: call.now,
        messages: Vec::new(),
        artifacts: Vec::new(),
        summary: None,
        state: State::Running(Run {
            started: call.job_start(),
            awaits_tool: workflow.is_some_and(|workflow| workflow.awaits_tool),
            job_fault: call.overrides.job_fault.clone(),
            outcome,
        }),
    };
    agent.add_message("user_message", &prompt, call.world.fresh_id());
    let response = ApiResponse::created(json!({ "data": agent.json_with_status("waiting") }));
    lock(&call.world.agents).add(agent);
    let metadata = json!({ "workflowId": body.get("workflowId"), "projectId": body.get("projectId") });
    call.record("agent.launched", vec![Entity { id, kind: "agent", name: None }], metadata);
    Ok(response)
}

/// The text of the prompt, if there is one. Its images must be valid base64.
fn prompt_of(body: &Value) -> Result<Option<String>, Failure> {
    let images = body["prompt"]["images"].as_array().into_iter().flatten().enumerate();
    for (index, image) in images {
        if !image["data"].as_str().is_none_or(is_base64) {
            let path = vec!["prompt".into(), "images".into(), index.into(), "data".into()];
            return Err(Failure::invalid(vec![Issue { path, message: "Invalid base64".to_owned() }]));
        }
    }
    match body["prompt"]["text"].as_str() {
        Some(text) if text.trim().is_empty() => {
            Err(Failure::issue(["prompt", "text"], "String must contain at least 1 character(s)"))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

fn is_base64(text: &str) -> bool {
    let content = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - content.len() <= 2
        && content.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

fn find_workflow(id: &str) -> Result<&'static Workflow, Failure> {
    WORKFLOWS.iter().find(|workflow| workflow.id() == id).ok_or_else(|| Failure::not_found("Workflow"))
}

/// Checks which fields of a launch may be combined.
fn check_combination(body: &Value, has_prompt: bool, workflow: Option<&Workflow>) -> Result<(), Failure> {
    let inputs = body["inputs"].as_object();
    let has_files = body.get("fileIds").is_some() || body["source"].get("fileIds").is_some();
    let Some(workflow) = workflow else {
        return if !has_prompt {
            Err(Failure::issue(["prompt", "text"], "Either prompt.text or workflowId is required"))
        } else if inputs.is_some() {
            Err(Failure::issue(["inputs"], "inputs require a workflowId"))
        } else {
            Ok(())
        };
    };
    if has_files {
        return Err(Failure::issue(["fileIds"], "fileIds cannot be combined with a workflowId"));
    }
    if has_prompt && !workflow.inputs.is_empty() {
        return Err(Failure::issue(["prompt"], "A prompt cannot be combined with a workflow that has file inputs"));
    }
    let given = |name: &str| inputs.is_some_and(|inputs| inputs.contains_key(name));
    let unknown = inputs.into_iter().flatten().find(|(name, _)| !workflow.inputs.contains(&name.as_str()));
    if let Some((name, _)) = unknown {
        return Err(Failure::issue(["inputs", name], format!("Unknown input '{name}'")));
    }
    match workflow.inputs.iter().find(|name| !given(name)) {
        Some(name) => Err(Failure::issue(["inputs", name], "Required")),
        None => Ok(()),
    }
}

fn file_ids(body: &Value) -> Vec<&str> {
    let lists = [&body["fileIds"], &body["source"]["fileIds"]].map(Value::as_array);
    let inputs = body["inputs"].as_object().into_iter().flatten().map(|(_, ids)| ids.as_array());
    let ids = lists.into_iter().chain(inputs).flatten().flatten();
    ids.filter_map(Value::as_str).collect()
}

type Files = Vec<(String, String)>;

/// The files with these ids, and those in the folders with these ids, without duplicates; and their uploaded versions.
fn gather_files(call: &Call, ids: &[&str]) -> Result<(Files, Vec<Version>), Failure> {
    let library = lock(&call.world.library);
    let mut seen = HashSet::new();
    let (mut files, mut versions) = (Vec::new(), Vec::new());
    for id in ids {
        let under = library.under(id).ok_or_else(|| Failure::not_found("File"))?;
        for file in under.into_iter().filter(|file| seen.insert(file.id.clone())) {
            files.push((file.id.clone(), file.name.clone()));
            versions.extend(library.version(&file.version).cloned());
        }
    }
    Ok((files, versions))
}

/// Starts the work of an agent in the background. Files that cannot be parsed are ignored.
fn start_work(call: &Call, prompt: String, versions: Vec<Version>) -> Outcome {
    let outcome = Promise::new();
    if call.overrides.job_fault == JobFault::None {
        let outcome = Arc::clone(&outcome);
        call.world.workers.run(move || {
            let read = |version: Version| Some((version.id.clone(), version.name.clone(), version.document().ok()?));
            let documents: Vec<_> = versions.into_iter().filter_map(read).collect();
            outcome.set(catch_panic(|| Arc::new(work::write(&prompt, &documents))));
        });
    }
    outcome
}

pub(crate) fn list(call: &Call) -> Result<ApiResponse, Failure> {
    let page = PageRequest::read(call, 20, Some(100))?;
    let (now, job_time) = (call.now, call.world.job_time);
    let mut agents = lock(&call.world.agents);
    let mut items: Items = Vec::new();
    let mut total = 0;
    for (number, agent) in agents.iter_mut().rev() {
        agent.update(now, job_time, &call.world.ids);
        let status = call.query("status").is_none_or(|word| agent.status(now, job_time).eq_ignore_ascii_case(word));
        let workflow = call.query("workflowId").is_none_or(|id| agent.workflow.as_deref() == Some(id));
        if !(status && workflow) {
            continue;
        }
        total += 1;
        if page.after.is_none_or(|after| number < after) && items.len() <= page.limit {
            items.push((number, agent.json(now, job_time)));
        }
    }
    Ok(page.response(call, items, Some(total)))
}

/// Calls a function with the up-to-date agent of the path.
fn with_agent<T>(call: &Call, act: impl FnOnce(&mut Agent) -> Result<T, Failure>) -> Result<T, Failure> {
    let missing = || Failure::not_found("Agent");
    let due = {
        let mut agents = lock(&call.world.agents);
        match &agents.get_mut(call.value(0)).ok_or_else(missing)?.state {
            State::Running(run) if run.job_fault == JobFault::None && call.now >= run.started + call.world.job_time => {
                Some(Arc::clone(&run.outcome))
            }
            _ => None,
        }
    };
    if let Some(outcome) = due {
        outcome.wait();
    }
    let mut agents = lock(&call.world.agents);
    let agent = agents.get_mut(call.value(0)).ok_or_else(missing)?;
    agent.update(call.now, call.world.job_time, &call.world.ids);
    act(agent)
}

fn entity(call: &Call) -> Entity {
    Entity { id: call.value(0).to_owned(), kind: "agent", name: None }
}

pub(crate) fn get(call: &Call) -> Result<ApiResponse, Failure> {
    let data = with_agent(call, |agent| Ok(agent.json(call.now, call.world.job_time)))?;
    Ok(ApiResponse::ok(json!({ "data": data })))
}

pub(crate) fn delete(call: &Call) -> Result<ApiResponse, Failure> {
    let agent = lock(&call.world.agents).remove(call.value(0)).ok_or_else(|| Failure::not_found("Agent"))?;
    call.record("agent.deleted", vec![entity(call)], json!({}));
    Ok(ApiResponse::ok(json!({ "id": agent.id })))
}

pub(crate) fn follow_up(call: &Call) -> Result<ApiResponse, Failure> {
    // An unknown agent is a 404 even if the body is invalid.
    let files = with_agent(call, |agent| Ok(agent.files.clone()))?;
    let body = validate::parse(&call.body, &FOLLOW_UP)?;
    let prompt = prompt_of(&body)?.ok_or_else(|| Failure::issue(["prompt", "text"], "Required"))?;
    let versions = {
        let library = lock(&call.world.library);
        let newest = |(id, _): &(String, String)| library.version(&library.file(id)?.version).cloned();
        files.iter().filter_map(newest).collect()
    };
    let message = call.world.fresh_id();
    let body = with_agent(call, |agent| {
        if agent.is_running() {
            return Err(Failure::conflict("Agent is still running"));
        }
        agent.state = State::Running(Run {
            started: call.job_start(),
            awaits_tool: false,
            job_fault: call.overrides.job_fault.clone(),
            outcome: start_work(call, prompt.clone(), versions),
        });
        agent.add_message("user_message", &prompt, message);
        agent.updated = call.now;
        Ok(json!({ "data": agent.json_with_status("running") }))
    })?;
    call.record("agent.followed_up", vec![entity(call)], json!({}));
    Ok(ApiResponse::ok(body))
}

pub(crate) fn stop(call: &Call) -> Result<ApiResponse, Failure> {
    let data = with_agent(call, |agent| {
        if !agent.is_running() {
            return Err(Failure::conflict("Agent has already ended"));
        }
        agent.state = State::Ended("stopped");
        agent.updated = call.now;
        Ok(agent.json_with_status("stopped"))
    })?;
    call.record("agent.stopped", vec![entity(call)], json!({}));
    Ok(ApiResponse::ok(json!({ "data": data })))
}

pub(crate) fn conversation(call: &Call) -> Result<ApiResponse, Failure> {
    with_agent(call, |agent| {
        let messages = agent.messages.iter();
        let messages: Vec<Value> =
            messages.map(|message| json!({ "id": message.id, "type": message.kind, "text": message.text })).collect();
        Ok(ApiResponse::ok(json!({ "messages": messages })))
    })
}

pub(crate) fn artifacts(call: &Call) -> Result<ApiResponse, Failure> {
    with_agent(call, |agent| {
        let data: Vec<Value> = agent.artifacts.iter().map(|artifact| artifact.summary()).collect();
        Ok(ApiResponse::ok(json!({ "data": data, "nextCursor": null })))
    })
}

pub(crate) fn artifact(call: &Call) -> Result<ApiResponse, Failure> {
    with_agent(call, |agent| {
        let artifact = agent.artifacts.iter().find(|artifact| artifact.id == call.value(1));
        let artifact = artifact.ok_or_else(|| Failure::not_found("Artifact"))?;
        Ok(ApiResponse::ok(json!({ "data": artifact.full() })))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_recognized() {
        for text in ["", "aGk=", "aGkh", "+/+/", "aA=="] {
            assert!(is_base64(text), "{text}");
        }
        for text in ["a", "aGk", "aG-_", "a===", "data:image/png;base64,aGk="] {
            assert!(!is_base64(text), "{text}");
        }
    }
}
