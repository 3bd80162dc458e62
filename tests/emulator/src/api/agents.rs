//! Agents: launching, following up, stopping and deleting them, and reading their output.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::{ApiResponse, Call, analytics};
use crate::failure::{Failure, Issue};
use crate::pages::PageRequest;
use crate::seed::CATALOG;
use crate::state::lock;
use crate::store::agents::{Agent, Run, State};
use crate::store::audit_log::entity;
use crate::store::library::Version;
use crate::store::tasks::Outcome;
use crate::validate::{self, Shape, list as list_of, open_object, optional, required};
use crate::work::{self, Written};

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
        return Err(Failure::new(429, "Spend limit reached"));
    }
    let prompt = prompt_of(&body)?;
    let workflow = known(&body["workflowId"], "workflows").ok_or_else(|| Failure::not_found("Workflow"))?;
    let project = known(&body["projectId"], "projects").ok_or_else(|| Failure::not_found("Project"))?;
    check_combination(&body, prompt.is_some(), workflow)?;
    let (files, versions) = gather_files(call, &file_ids(&body))?;
    let prompt = prompt.unwrap_or_else(|| workflow["prompt"].as_str().unwrap_or_default().to_owned());

    let outcome = start_work(call, prompt.clone(), versions);
    let id = call.world.fresh_id();
    let mut agent = Agent {
        id: id.clone(),
        workflow: workflow["id"].as_str().map(str::to_owned),
        project: project["id"].as_str().map(str::to_owned),
        files,
        created: call.now,
        updated: call.now,
        messages: Vec::new(),
        artifacts: Vec::new(),
        summary: None,
        state: State::Running(Run { started: call.job_start(), awaits_tool: workflow["awaitsTool"] == true, outcome }),
    };
    agent.add_message("user_message", &prompt, call.world.fresh_id());
    let response = ApiResponse::created(json!({ "data": agent.json_with_status("waiting") }));
    lock(&call.world.agents).add(agent);
    let metadata = json!({ "workflowId": body.get("workflowId"), "projectId": body.get("projectId") });
    call.record("agent.launched", vec![entity("agent", &id, None)], metadata);
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

/// The workflow or project with this id; null without an id.
fn known<'a>(id: &'a Value, list: &str) -> Option<&'a Value> {
    let mut all = CATALOG[list].as_array().into_iter().flatten();
    if id.is_null() { Some(id) } else { all.find(|one| one["id"] == *id) }
}

/// Checks which fields of a launch may be combined.
fn check_combination(body: &Value, has_prompt: bool, workflow: &Value) -> Result<(), Failure> {
    let inputs = body["inputs"].as_object();
    let has_files = body.get("fileIds").is_some() || body["source"].get("fileIds").is_some();
    if workflow.is_null() {
        return if !has_prompt {
            Err(Failure::issue(["prompt", "text"], "Either prompt.text or workflowId is required"))
        } else if inputs.is_some() {
            Err(Failure::issue(["inputs"], "inputs require a workflowId"))
        } else {
            Ok(())
        };
    }
    let slots = workflow["inputs"].as_array().into_iter().flatten();
    let slots: Vec<&str> = slots.filter_map(|slot| slot["name"].as_str()).collect();
    if has_files {
        return Err(Failure::issue(["fileIds"], "fileIds cannot be combined with a workflowId"));
    }
    if has_prompt && !slots.is_empty() {
        return Err(Failure::issue(["prompt"], "A prompt cannot be combined with a workflow that has file inputs"));
    }
    let mut given = inputs.into_iter().flatten();
    if let Some((name, _)) = given.find(|(name, _)| !slots.contains(&name.as_str())) {
        return Err(Failure::issue(["inputs", name], format!("Unknown input '{name}'")));
    }
    match slots.iter().find(|name| inputs.is_none_or(|inputs| !inputs.contains_key(**name))) {
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
fn start_work(call: &Call, prompt: String, versions: Vec<Version>) -> Outcome<Arc<Written>> {
    call.start_work(move || {
        let read = |version: Version| Some((version.id.clone(), version.name.clone(), version.document().ok()?));
        let documents: Vec<_> = versions.into_iter().filter_map(read).collect();
        Ok(Arc::new(work::write(&prompt, &documents)))
    })
}

pub(crate) fn list(call: &Call) -> Result<ApiResponse, Failure> {
    let page = PageRequest::read(call, 20, Some(100))?;
    let (now, job_time) = (call.now, call.world.job_time);
    let mut agents = lock(&call.world.agents);
    let matching: Vec<(u64, &mut Agent)> = agents
        .iter_mut()
        .rev()
        .filter_map(|(number, agent)| {
            agent.update(now, job_time, &call.world.ids);
            let status = call.query("status").is_none_or(|it| agent.status(now, job_time).eq_ignore_ascii_case(it));
            let workflow = call.query("workflowId").is_none_or(|id| agent.workflow.as_deref() == Some(id));
            (status && workflow).then_some((number, agent))
        })
        .collect();
    let total = matching.len() as u64;
    let items = matching.iter().filter(|(number, _)| page.after.is_none_or(|after| *number < after));
    Ok(page.response(call, items.map(|(number, agent)| (*number, agent.json(now, job_time))), Some(total)))
}

/// Calls a function with the up-to-date agent of the path.
fn with_agent<T>(call: &Call, act: impl FnOnce(&mut Agent) -> Result<T, Failure>) -> Result<T, Failure> {
    let missing = || Failure::not_found("Agent");
    let due = {
        let mut agents = lock(&call.world.agents);
        match &agents.get_mut(call.value(0)).ok_or_else(missing)?.state {
            State::Running(run) if call.now >= run.started + call.world.job_time => run.outcome.clone(),
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

pub(crate) fn get(call: &Call) -> Result<ApiResponse, Failure> {
    let data = with_agent(call, |agent| Ok(agent.json(call.now, call.world.job_time)))?;
    Ok(ApiResponse::ok(json!({ "data": data })))
}

pub(crate) fn delete(call: &Call) -> Result<ApiResponse, Failure> {
    let agent = lock(&call.world.agents).remove(call.value(0)).ok_or_else(|| Failure::not_found("Agent"))?;
    call.record("agent.deleted", vec![entity("agent", call.value(0), None)], json!({}));
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
            return Err(Failure::new(409, "Agent is still running"));
        }
        agent.state = State::Running(Run {
            started: call.job_start(),
            awaits_tool: false,
            outcome: start_work(call, prompt.clone(), versions),
        });
        agent.add_message("user_message", &prompt, message);
        agent.updated = call.now;
        Ok(json!({ "data": agent.json_with_status("running") }))
    })?;
    call.record("agent.followed_up", vec![entity("agent", call.value(0), None)], json!({}));
    Ok(ApiResponse::ok(body))
}

pub(crate) fn stop(call: &Call) -> Result<ApiResponse, Failure> {
    let data = with_agent(call, |agent| {
        if !agent.is_running() {
            return Err(Failure::new(409, "Agent has already ended"));
        }
        agent.state = State::Ended("stopped");
        agent.updated = call.now;
        Ok(agent.json_with_status("stopped"))
    })?;
    call.record("agent.stopped", vec![entity("agent", call.value(0), None)], json!({}));
    Ok(ApiResponse::ok(json!({ "data": data })))
}

pub(crate) fn conversation(call: &Call) -> Result<ApiResponse, Failure> {
    with_agent(call, |agent| Ok(ApiResponse::ok(json!({ "messages": agent.messages }))))
}

pub(crate) fn artifacts(call: &Call) -> Result<ApiResponse, Failure> {
    with_agent(call, |agent| Ok(ApiResponse::ok(json!({ "data": agent.artifact_summaries(), "nextCursor": null }))))
}

pub(crate) fn artifact(call: &Call) -> Result<ApiResponse, Failure> {
    with_agent(call, |agent| {
        let artifact = agent.artifacts.iter().find(|artifact| artifact["id"] == call.value(1));
        Ok(ApiResponse::ok(json!({ "data": artifact.ok_or_else(|| Failure::not_found("Artifact"))? })))
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
