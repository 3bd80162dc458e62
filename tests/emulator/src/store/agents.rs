//! Agents: their conversation, state and artifacts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::{self, Moment};
use crate::ids::Ids;
use crate::store::tasks::Outcome;
use crate::work::Written;

/// The work on the last prompt.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) started: Moment,
    pub(crate) awaits_tool: bool,
    pub(crate) outcome: Outcome<Arc<Written>>,
}

#[derive(Debug, Clone)]
pub(crate) enum State {
    Running(Run),
    /// Ended, with this status.
    Ended(&'static str),
}

#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) workflow: Option<String>,
    pub(crate) project: Option<String>,
    /// The id and name of each file.
    pub(crate) files: Vec<(String, String)>,
    pub(crate) created: Moment,
    pub(crate) updated: Moment,
    /// The messages and artifacts, as the API responds with them.
    pub(crate) messages: Vec<Value>,
    pub(crate) artifacts: Vec<Value>,
    pub(crate) summary: Option<String>,
    pub(crate) state: State,
}

impl Run {
    /// The status of the run, given the time that it takes.
    fn status(&self, now: Moment, job_time: Duration) -> &'static str {
        let passed = now.saturating_sub(self.started);
        let tenth = job_time / 10;
        if passed >= job_time {
            "running"
        } else if passed < tenth * 2 {
            "waiting"
        } else if self.awaits_tool && (tenth * 4..tenth * 7).contains(&passed) {
            "awaiting_tool"
        } else {
            "running"
        }
    }
}

impl Agent {
    pub(crate) fn status(&self, now: Moment, job_time: Duration) -> &'static str {
        match &self.state {
            State::Running(run) => run.status(now, job_time),
            State::Ended(word) => word,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    /// Ends the run if its time has passed and its work is done.
    pub(crate) fn update(&mut self, now: Moment, job_time: Duration, ids: &Ids) {
        let State::Running(run) = &self.state else { return };
        let end = run.started + job_time;
        if now < end {
            return;
        }
        let Some(outcome) = run.outcome.as_ref().and_then(|outcome| outcome.get()) else { return };
        self.updated = end;
        match outcome {
            Ok(written) => {
                self.state = State::Ended("finished");
                self.add_message("assistant_message", &written.answer, ids.fresh(end));
                self.summary = Some(written.summary.clone());
                self.artifacts.extend(written.artifacts.iter().map(|(kind, title, content)| {
                    json!({ "id": ids.fresh(end), "type": kind, "title": title, "content": content })
                }));
            }
            Err(error) => {
                self.state = State::Ended("failed");
                self.add_message("error", &error, ids.fresh(end));
                self.summary = Some(error);
            }
        }
    }

    pub(crate) fn add_message(&mut self, kind: &str, text: &str, id: String) {
        self.messages.push(json!({ "id": id, "type": kind, "text": text }));
    }

    /// The artifacts without their content, as in lists.
    pub(crate) fn artifact_summaries(&self) -> Vec<Value> {
        let artifacts = self.artifacts.iter();
        artifacts.map(|one| json!({ "id": one["id"], "type": one["type"], "title": one["title"] })).collect()
    }

    pub(crate) fn json(&self, now: Moment, job_time: Duration) -> Value {
        self.json_with_status(self.status(now, job_time))
    }

    pub(crate) fn json_with_status(&self, status: &str) -> Value {
        let files = self.files.iter().map(|(id, name)| json!({ "id": id, "name": name }));
        json!({
            "id": self.id,
            "status": status,
            "workflowId": self.workflow,
            "projectId": self.project,
            "artifacts": self.artifact_summaries(),
            "files": files.collect::<Vec<_>>(),
            "summary": self.summary,
            "url": format!("https://nomic.example/agents/{}", self.id),
            "createdAt": clock::rfc3339(self.created),
            "updatedAt": clock::rfc3339(self.updated),
        })
    }
}

/// All agents, numbered from the oldest.
#[derive(Debug)]
pub(crate) struct Agents {
    by_number: BTreeMap<u64, Agent>,
    number_by_id: HashMap<String, u64>,
    next: u64,
}

impl Agents {
    pub(crate) fn seeded(agents: impl Iterator<Item = Agent>) -> Agents {
        let mut all = Agents { by_number: BTreeMap::new(), number_by_id: HashMap::new(), next: 0 };
        agents.for_each(|agent| all.add(agent));
        all
    }

    pub(crate) fn add(&mut self, agent: Agent) {
        self.number_by_id.insert(agent.id.clone(), self.next);
        self.by_number.insert(self.next, agent);
        self.next += 1;
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Agent> {
        self.by_number.get_mut(self.number_by_id.get(id)?)
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Agent> {
        self.by_number.remove(&self.number_by_id.remove(id)?)
    }

    /// Iterates over all agents and their numbers, oldest first.
    pub(crate) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (u64, &mut Agent)> {
        self.by_number.iter_mut().map(|(number, agent)| (*number, agent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_passes_through_its_states() {
        let start = Duration::from_secs(1000);
        for (awaits_tool, expected) in [
            (false, ["waiting", "running", "running", "running", "running"]),
            (true, ["waiting", "running", "awaiting_tool", "running", "running"]),
        ] {
            let run = Run { started: start, awaits_tool, outcome: None };
            let at = [0, 30, 50, 80, 200].map(Duration::from_millis);
            assert_eq!(at.map(|passed| run.status(start + passed, Duration::from_millis(100))), expected);
        }
    }
}
