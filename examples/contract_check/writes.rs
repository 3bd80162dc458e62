//! Calls the operations that change something, through the methods of the client.

use std::time::Duration;

use nomic_client::agents::Launch;
use nomic_client::files::Upload;
use nomic_client::job::WaitOptions;
use nomic_client::{AgentId, Nomic, Request, extract, parse};
use serde_json::{Value, json};

use crate::compare::compare;
use crate::finding::Finding;

/// Uploads, parses and extracts a small file, and launches an agent on it. Returns the agent.
pub(crate) fn check(nomic: &Nomic, findings: &mut Vec<Finding>) -> Option<AgentId> {
    let options = WaitOptions::default().timeout(Duration::from_secs(10 * 60));
    let upload = Upload::from_bytes("contract-check.txt", "Permit number: CC-1\nOperator: nomic-client\n");
    let file = record(findings, "upload_file", nomic.upload(upload), |file| file.id.to_string())?;

    let job = nomic.parse(&file.file_version_id);
    if let Some(job) = record(findings, "submit_parse", job, |job| job.task_id.to_string()) {
        let chunks = |parsed: &parse::Parsed| format!("{} chunks", parsed.chunks.len());
        record(findings, "get_parse", nomic.wait_with(&job, &options), chunks);
        compare_response(nomic, findings, Request::get("/parse").segment(&job.task_id));
    }
    let schema = json!({"type": "object", "properties": {"permitNumber": {"type": "string"}}});
    let job = nomic.extract_with(&[file.file_version_id], &schema, &extract::Options::default().citations(true));
    if let Some(job) = record(findings, "submit_extract", job, |job| job.task_id.to_string()) {
        let value = |extracted: &extract::Extracted| extracted.value.to_string();
        record(findings, "get_extract", nomic.wait_with(&job, &options), value);
        compare_response(nomic, findings, Request::get("/extract").segment(&job.task_id));
    }
    let launch = Launch::prompt("Which permit is it?").files([file.id]);
    let agent = record(findings, "launch_agent", nomic.launch_agent(&launch), |agent| agent.status.to_string())?;
    // Its final status is part of the finding of `get_agent`.
    let _ = nomic.wait_with(&agent, &options);
    Some(agent.id)
}

/// Deletes the agent that was launched for the check.
pub(crate) fn delete(nomic: &Nomic, agent: &AgentId, findings: &mut Vec<Finding>) {
    findings.push(match nomic.delete_agent(agent) {
        Ok(()) => Finding::new("delete_agent", "2xx"),
        Err(error) => Finding::new("delete_agent", "").failed(&error),
    });
}

/// Records a call of a client method. Its value is serialized again and compared, which shows unknown fields.
fn record<T: serde::Serialize>(
    findings: &mut Vec<Finding>,
    name: &'static str,
    result: nomic_client::Result<T>,
    show: impl FnOnce(&T) -> String,
) -> Option<T> {
    let mut finding = Finding::new(name, "2xx");
    match result {
        Ok(value) => {
            finding.decoded = show(&value);
            let serialized = serde_json::to_value(&value).unwrap_or_default();
            // The value of a job is only a part of the response: see `compare_response`.
            if !name.starts_with("get_") {
                compare(&mut finding, &serialized);
            }
            findings.push(finding);
            Some(value)
        }
        Err(error) => {
            findings.push(finding.failed(&error));
            None
        }
    }
}

/// Requests the response of the last finding again as JSON, and compares it.
fn compare_response(nomic: &Nomic, findings: &mut [Finding], request: Request) {
    if let (Some(finding), Ok(response)) = (findings.last_mut(), nomic.call::<Value>(&request)) {
        compare(finding, &response);
    }
}
