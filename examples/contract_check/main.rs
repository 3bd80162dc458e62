//! Compares a real instance with the contract: `cargo run --example contract_check [-- --write]`.
//!
//! The API is experimental, and its vendor recommends testing after an instance is upgraded. This program calls every
//! read operation that the key's scopes allow. For each it prints the status, what was decoded, unknown fields, missing
//! fields, and values that the contract does not list. It changes nothing unless `--write` is given: then it also
//! uploads a small file, parses it, extracts values from it, launches an agent on it, and deletes the agent. It exits
//! with 1 if a response contradicts the documentation.

mod documented;
#[path = "../instance/mod.rs"]
mod instance;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use documented::DOCUMENTED;
use instance::{Result, outln, usage_error};
use nomic_client::agents::{Agent, Artifact, Conversation, Launch};
use nomic_client::files::{FileHit, Upload};
use nomic_client::job::WaitOptions;
use nomic_client::operations::{self, Evidence, Operation, Tier};
use nomic_client::{
    AgentId, Error, Nomic, Page, Request, analytics, api_keys, audit_logs, codes, extract, parse, projects, users,
    workflows,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const USAGE: &str = "\
usage: contract_check [--write]
Compares an instance with the API's contract. With --write it also uploads, parses and extracts a small file, and runs
and deletes an agent on it. Your organization is billed for that.";

/// The values that the contract lists for a field, by the end of the field's path.
const KNOWN_VALUES: &[(&str, &[&str])] = &[
    (
        "status",
        &[
            "waiting",
            "running",
            "awaiting_tool",
            "finished",
            "stopped",
            "failed",
            "WAITING",
            "BUILDING",
            "COMPLETED",
            "FAILED",
        ],
    ),
    ("artifacts[].type", ARTIFACT_TYPES),
    ("data[].type", ARTIFACT_TYPES),
    ("data.type", ARTIFACT_TYPES),
    ("fileType", &["DOCUMENT"]),
    ("role", &["admin"]),
    ("spendStatus", &["within_limit"]),
    ("actor.type", &["user"]),
    ("blocks[].type", &["Title", "Section Header", "Text", "List Item", "Key Value", "Table", "Figure"]),
    ("messages[].type", &["user_message", "assistant_message"]),
];

const ARTIFACT_TYPES: &[&str] = &["markdown", "table"];

/// The result of calling one operation.
struct Finding {
    operation: &'static Operation,
    status: String,
    decoded: String,
    unknown: BTreeSet<String>,
    missing: BTreeSet<String>,
    new_values: BTreeSet<String>,
    /// Whether the response contradicts the documentation.
    broken: bool,
}

impl Finding {
    fn new(operation: &'static Operation, status: impl Into<String>) -> Self {
        Self {
            operation,
            status: status.into(),
            decoded: "-".to_owned(),
            unknown: BTreeSet::new(),
            missing: BTreeSet::new(),
            new_values: BTreeSet::new(),
            broken: false,
        }
    }

    /// Marks the operation as broken, if its contract is documented rather than inferred.
    fn mark_broken(&mut self) {
        self.broken |= self.operation.evidence == Evidence::Documented;
    }

    /// Records a failed call. A missing scope does not count as broken.
    fn failed(mut self, error: &Error) -> Self {
        if error.is_forbidden() {
            self.status = "403, no scope".to_owned();
        } else {
            self.status = error.status().map_or_else(|| "no response".to_owned(), |status| status.to_string());
            self.decoded = error.to_string();
            self.mark_broken();
        }
        self
    }
}

fn main() -> ExitCode {
    instance::run_example("contract_check", USAGE, run)
}

fn run(arguments: Vec<OsString>) -> Result {
    let write = match arguments.first() {
        None => false,
        Some(option) if option == "--write" => true,
        Some(other) => return Err(usage_error(format!("unexpected argument {}", other.to_string_lossy()))),
    };
    let (nomic, _emulator) = instance::connect()?;
    let findings = check(&nomic, write);
    let printed = print(&findings);
    match findings.iter().filter(|finding| finding.broken).count() {
        0 => printed,
        broken => Err(format!("{broken} of {} operations contradict the documentation", findings.len()).into()),
    }
}

fn print(findings: &[Finding]) -> Result {
    for finding in findings {
        let mark = if finding.broken { "BROKEN " } else { "" };
        let (name, evidence) = (finding.operation.name, finding.operation.evidence);
        outln!("{name:22} {:14} {evidence:10} {mark}{}", finding.status, finding.decoded)?;
        for (label, fields) in
            [("unknown", &finding.unknown), ("missing", &finding.missing), ("new values", &finding.new_values)]
        {
            if !fields.is_empty() {
                outln!("{:22} {label}: {}", "", fields.iter().map(String::as_str).collect::<Vec<_>>().join(", "))?;
            }
        }
    }
    let broken = findings.iter().filter(|finding| finding.broken).count();
    Ok(outln!("\n{} operations checked; {broken} contradict the documentation", findings.len())?)
}

fn check(nomic: &Nomic, write: bool) -> Vec<Finding> {
    let list = |path: &str| Request::get(path).query("limit", 20);
    let mut findings = Vec::new();
    let mut agent = None;
    if write {
        agent = check_writes(nomic, &mut findings);
    }
    let mut probe = Probe { nomic, findings };
    probe.items::<FileHit>("search_files", list("/files/search").query("query", "a"), "files");
    let search = json!({"query": "door", "jurisdiction": "texas", "codeType": "building", "limit": 5});
    let found = Request::post("/codes/search").json(&search).tier(Tier::Search);
    probe.call("search_codes", found, |found: &Sections| format!("{} sections", found.results.len()));
    let agents = probe.items::<Agent>("list_agents", list("/agents"), "agents");
    // The agent launched above has artifacts. Otherwise, prefer a listed agent with artifacts.
    let listed = agents.iter().flat_map(|page| &page.data);
    let chosen = listed.clone().find(|agent| !agent.artifacts.is_empty()).or(listed.clone().next());
    match agent.clone().or_else(|| chosen.map(|agent| agent.id.clone())) {
        Some(id) => probe.agent(&id),
        None => {
            for name in ["get_agent", "get_agent_conversation", "list_artifacts", "get_artifact"] {
                probe.findings.push(Finding::new(operation(name), "no agent"));
            }
        }
    }
    probe.items::<workflows::Workflow>("list_workflows", list("/workflows"), "workflows");
    probe.items::<projects::Project>("list_projects", list("/projects"), "projects");
    let users = probe.items::<users::User>("list_users", list("/users"), "users");
    match users.iter().flat_map(|page| &page.data).next() {
        Some(user) => {
            let request = Request::get("/users").segment(&user.id);
            probe.call("get_user", request, |user: &users::User| user.id.to_string());
        }
        None => probe.findings.push(Finding::new(operation("get_user"), "no user")),
    }
    probe.items::<api_keys::ApiKey>("list_api_keys", list("/api-keys").query("includeRevoked", true), "keys");
    probe.items::<audit_logs::AuditEntry>("list_audit_logs", list("/audit-logs"), "entries");
    let analytics = list("/analytics/users").tier(Tier::Analytics);
    probe.items::<analytics::UserAnalytics>("list_user_analytics", analytics, "users");
    let mut findings = probe.findings;
    if let Some(id) = agent {
        findings.push(match nomic.delete_agent(&id) {
            Ok(()) => Finding::new(operation("delete_agent"), "2xx"),
            Err(error) => Finding::new(operation("delete_agent"), "").failed(&error),
        });
    }
    findings
}

fn operation(name: &str) -> &'static Operation {
    operations::ALL.iter().find(|operation| operation.name == name).unwrap_or(&operations::ALL[0])
}

#[derive(Deserialize)]
struct Sections {
    results: Vec<codes::CodeSection>,
}

/// Calls read operations and collects the findings.
struct Probe<'a> {
    nomic: &'a Nomic,
    findings: Vec<Finding>,
}

impl Probe<'_> {
    fn items<T: DeserializeOwned>(&mut self, name: &str, request: Request, noun: &str) -> Option<Page<T>> {
        self.call(name, request, |page: &Page<T>| format!("{} {noun}", page.data.len()))
    }

    fn agent(&mut self, id: &AgentId) {
        let base = || Request::get("/agents").segment(id);
        self.call("get_agent", base(), |agent: &Agent| format!("{} {}", agent.id, agent.status));
        let conversation = base().segment("conversation");
        self.call("get_agent_conversation", conversation, |conversation: &Conversation| {
            format!("{} messages", conversation.messages.len())
        });
        let artifacts = self.items::<Artifact>("list_artifacts", base().segment("artifacts"), "artifacts");
        match artifacts.iter().flat_map(|page| &page.data).next() {
            Some(artifact) => {
                let request = base().segment("artifacts").segment(&artifact.id);
                self.call("get_artifact", request, |artifact: &Artifact| {
                    artifact.kind.as_ref().map_or("no type".to_owned(), ToString::to_string)
                });
            }
            None => self.findings.push(Finding::new(operation("get_artifact"), "no artifact")),
        }
    }

    /// Calls an operation, compares its response with the contract, and decodes it.
    fn call<T: DeserializeOwned>(
        &mut self,
        name: &str,
        request: Request,
        show: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let mut finding = Finding::new(operation(name), "200");
        let response: Value = match self.nomic.call(&request) {
            Ok(response) => response,
            Err(error) => {
                self.findings.push(finding.failed(&error));
                return None;
            }
        };
        compare(&mut finding, &response);
        // A single object may be wrapped in `data`.
        let inner = response.get("data").filter(|data| data.is_object()).unwrap_or(&response);
        let decoded = T::deserialize(inner);
        match &decoded {
            Ok(value) => finding.decoded = show(value),
            Err(error) => {
                finding.decoded = format!("cannot be decoded: {error}");
                finding.mark_broken();
            }
        }
        self.findings.push(finding);
        decoded.ok()
    }
}

/// Adds unknown fields, missing fields and new values to the finding.
fn compare(finding: &mut Finding, response: &Value) {
    let Some((_, fields)) = DOCUMENTED.iter().find(|(name, _)| *name == finding.operation.name) else { return };
    // An object that is documented as wrapped in `data` may also come without it.
    let bare = fields.iter().any(|field| field.starts_with("data.")) && response.get("data").is_none();
    let unwrapped = |field: &'static str| if bare { field.strip_prefix("data.") } else { Some(field) };
    let fields: Vec<&str> = fields.iter().filter_map(|field| unwrapped(field)).collect();
    let names: BTreeSet<&str> = fields.iter().map(|field| field.trim_end_matches(['!', '?'])).collect();
    walk(response, "", &names, finding);
    for field in &fields {
        let name = field.trim_end_matches(['!', '?']);
        let (parent, last) = name.rsplit_once('.').unwrap_or(("", name));
        let parents = objects_at(response, parent);
        let lacking = parents.iter().filter(|object| object.get(last).is_none()).count();
        // Every object must have a required field; at least one must have a field of the contract's example.
        let is_missing = match field.as_bytes().last() {
            Some(b'!') => lacking > 0,
            Some(b'?') => false,
            _ => lacking > 0 && lacking == parents.len(),
        };
        if is_missing {
            finding.missing.insert(name.to_owned());
            finding.mark_broken();
        }
    }
}

/// The objects at a path like `data[].user`.
fn objects_at<'a>(response: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![response];
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let (name, list) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
        let inner = found.into_iter().filter_map(|value| value.get(name));
        found = if list { inner.filter_map(Value::as_array).flatten().collect() } else { inner.collect() };
    }
    found.into_iter().filter(|value| value.is_object()).collect()
}

fn walk(value: &Value, path: &str, names: &BTreeSet<&str>, finding: &mut Finding) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if !names.contains(path.as_str()) {
                    finding.unknown.insert(path);
                    continue;
                }
                // Objects without documented fields, e.g. extracted values, are not compared.
                let is_below = |name: &&str| name.strip_prefix(&path).is_some_and(|rest| rest.starts_with(['.', '[']));
                if names.iter().any(is_below) || inner.is_string() {
                    walk(inner, &path, names, finding);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, &format!("{path}[]"), names, finding)),
        Value::String(value) => {
            let known = KNOWN_VALUES.iter().find(|(end, _)| path == *end || path.ends_with(&format!(".{end}")));
            if known.is_some_and(|(_, values)| !values.iter().any(|known| known.eq_ignore_ascii_case(value))) {
                finding.new_values.insert(format!("{path} = {value}"));
            }
        }
        _ => {}
    }
}

/// Uploads, parses and extracts a small file, and launches an agent on it. Returns the agent.
fn check_writes(nomic: &Nomic, findings: &mut Vec<Finding>) -> Option<AgentId> {
    let options = WaitOptions::with_timeout(Duration::from_secs(10 * 60));
    let upload = Upload::from_bytes("contract-check.txt", "Permit number: CC-1\nOperator: nomic-client\n");
    let file = record(findings, "upload_file", nomic.upload(upload), |file| file.id.to_string())?;

    let job = nomic.parse(&file.file_version_id, &parse::Options::default());
    if let Some(job) = record(findings, "submit_parse", job, |job| job.task_id.to_string()) {
        let chunks = |parsed: &parse::Parsed| format!("{} chunks", parsed.chunks.len());
        record(findings, "get_parse", nomic.wait_with(&job, &options), chunks);
        compare_response(nomic, findings, Request::get("/parse").segment(&job.task_id));
    }
    let schema = json!({"type": "object", "properties": {"permitNumber": {"type": "string"}}});
    let job = nomic.extract(&[file.file_version_id], &schema, &extract::Options::with_citations());
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

/// Records a call of a client method. Its value is serialized again and compared, which shows unknown fields.
fn record<T: serde::Serialize>(
    findings: &mut Vec<Finding>,
    name: &str,
    result: nomic_client::Result<T>,
    show: impl FnOnce(&T) -> String,
) -> Option<T> {
    let mut finding = Finding::new(operation(name), "2xx");
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
