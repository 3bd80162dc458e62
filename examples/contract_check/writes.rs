//! Calls the operations that change something.

use std::time::Duration;

use nomic_client::agents::{Agent, Launch};
use nomic_client::files::Upload;
use nomic_client::job::{Job, WaitOptions};
use nomic_client::operations::{self, Operation};
use nomic_client::{AgentId, extract, parse};
use serde_json::{Value, json};

use crate::check::Check;
use crate::compare::compare;
use crate::finding::Finding;
use crate::reads::decode;

impl Check {
    /// Uploads, parses and extracts a small file, and launches an agent on it. Returns the agent.
    pub(crate) fn writes(&mut self) -> Option<AgentId> {
        let upload = Upload::from_bytes("contract-check.txt", "Permit number: CC-1\nOperator: nomic-client\n");
        let mut finding = Finding::new(&operations::UPLOAD_FILE, "2xx");
        let file = match self.nomic.upload(upload) {
            Ok(file) => file,
            Err(error) => {
                self.findings.push(finding.failed(&error));
                return None;
            }
        };
        finding.decoded = file.id.to_string();
        // A form can be sent by the client's method only. It does not show whether an optional field was absent.
        compare(&mut finding, &serde_json::to_value(&file).unwrap_or_default());
        self.findings.push(finding);

        let parse = json!({"fileVersionId": file.file_version_id});
        let show = |job: &parse::ParseJob| job.task_id.to_string();
        if let Some(job) = self.call(&operations::SUBMIT_PARSE, &[], |request| request.json(&parse), decode, show) {
            let chunks = |parsed: &parse::Parsed| format!("{} chunks", parsed.chunks.len());
            self.wait(&operations::GET_PARSE, &job, job.task_id.as_str(), chunks);
        }
        let schema = json!({"type": "object", "properties": {"permitNumber": {"type": "string"}}});
        let extract = json!({"fileVersionIds": [file.file_version_id], "schema": schema, "enableCitations": true});
        let show = |job: &extract::ExtractJob| job.task_id.to_string();
        if let Some(job) = self.call(&operations::SUBMIT_EXTRACT, &[], |request| request.json(&extract), decode, show) {
            let value = |extracted: &extract::Extracted| extracted.value.to_string();
            self.wait(&operations::GET_EXTRACT, &job, job.task_id.as_str(), value);
        }
        let launch = Launch::prompt("Which permit is it?").files([file.id]);
        let show = |agent: &Agent| agent.status.to_string();
        let agent = self.call(&operations::LAUNCH_AGENT, &[], |request| request.json(&launch), decode, show)?;
        // Its final status is part of the finding of `get_agent`.
        let _ = self.nomic.wait_with(&agent.id, &wait_options());
        Some(agent.id)
    }

    /// Deletes the agent that was launched for the check.
    pub(crate) fn delete(&mut self, agent: &AgentId) {
        let operation = &operations::DELETE_AGENT;
        self.findings.push(match self.nomic.delete_agent(agent) {
            Ok(()) => Finding::new(operation, "2xx"),
            Err(error) => Finding::new(operation, "").failed(&error),
        });
    }

    /// Waits for a job, wherever its operation is, and compares the last response.
    fn wait<J: Job>(&mut self, operation: &Operation, job: &J, id: &str, show: impl FnOnce(&J::Output) -> String) {
        let mut finding = Finding::new(operation, "200");
        if let Err(error) = self.nomic.poll(job) {
            finding = finding.searched(self.find_path(operation, &error, |check| check.nomic.poll(job).is_ok()));
        }
        match self.nomic.wait_with(job, &wait_options()) {
            Ok(output) => finding.decoded = show(&output),
            Err(error) => finding = finding.failed(&error),
        }
        // The output is only a part of the response.
        if let Ok(response) = self.nomic.call::<Value>(&self.request(operation, &[id])) {
            compare(&mut finding, &response);
        }
        self.findings.push(finding);
    }
}

fn wait_options() -> WaitOptions {
    WaitOptions::default().timeout(Duration::from_secs(10 * 60))
}
