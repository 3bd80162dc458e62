//! Holds a real instance against the contract: `cargo run --example contract_check [-- --write]`.
//!
//! The API is experimental, and its vendor says to test when an instance is upgraded. This calls every operation that
//! only reads and that the key's scopes allow, and prints what came: the status, what was decoded, fields that the
//! contract does not know, fields that are missing, words that the contract does not show. It changes nothing, unless
//! `--write` is given: then it also uploads a small file, has it parsed and extracted, launches an agent on it and
//! deletes the agent. It exits with 1 when something *documented* does not hold.

mod documented;
#[path = "../instance/mod.rs"]
mod instance;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use documented::DOCUMENTED;
use instance::{Outcome, misuse, say};
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
Holds an instance against what is known of the API. With --write it also uploads, parses, extracts and runs an agent,
which your organization pays for, and deletes the agent.";

/// The words that the contract shows for a field, by the end of its path.
const WORDS: &[(&str, &[&str])] = &[
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
    ("artifacts[].type", ARTIFACTS),
    ("data[].type", ARTIFACTS),
    ("data.type", ARTIFACTS),
    ("fileType", &["DOCUMENT"]),
    ("role", &["admin"]),
    ("spendStatus", &["within_limit"]),
    ("actor.type", &["user"]),
    ("blocks[].type", &["Title", "Section Header", "Text", "List Item", "Key Value", "Table", "Figure"]),
    ("messages[].type", &["user_message", "assistant_message"]),
];

const ARTIFACTS: &[&str] = &["markdown", "table"];

/// What came of one operation.
struct Finding {
    operation: &'static Operation,
    status: String,
    decoded: String,
    unknown: BTreeSet<String>,
    missing: BTreeSet<String>,
    words: BTreeSet<String>,
    /// Whether something documented does not hold.
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
            words: BTreeSet::new(),
            broken: false,
        }
    }

    /// What does not hold counts only where the contract is sure.
    fn breaks(&mut self) {
        self.broken |= self.operation.evidence == Evidence::Documented;
    }

    /// Takes in a failure. A scope that the key lacks is no fault of the instance.
    fn failed(mut self, error: &Error) -> Self {
        if error.is_forbidden() {
            self.status = "403, no scope".to_owned();
        } else {
            self.status = error.status().map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            self.decoded = error.to_string();
            self.breaks();
        }
        self
    }
}

fn main() -> ExitCode {
    instance::program("contract_check", USAGE, run)
}

fn run(arguments: Vec<OsString>) -> Outcome {
    let write = match arguments.first() {
        None => false,
        Some(option) if option == "--write" => true,
        Some(other) => return Err(misuse(format!("{} is not known; there is only --write", other.to_string_lossy()))),
    };
    let (nomic, _emulator) = instance::connect()?;
    let findings = check(&nomic, write);
    let shown = show(&findings);
    match findings.iter().filter(|finding| finding.broken).count() {
        0 => shown,
        broken => Err(format!("{broken} of {} operations do not hold what is documented", findings.len()).into()),
    }
}

fn show(findings: &[Finding]) -> Outcome {
    for finding in findings {
        let mark = if finding.broken { "BROKEN " } else { "" };
        let (name, evidence) = (finding.operation.name, finding.operation.evidence);
        say!("{name:22} {:14} {evidence:10} {mark}{}", finding.status, finding.decoded)?;
        for (what, fields) in
            [("unknown", &finding.unknown), ("missing", &finding.missing), ("new words", &finding.words)]
        {
            if !fields.is_empty() {
                say!("{:22} {what}: {}", "", fields.iter().map(String::as_str).collect::<Vec<_>>().join(", "))?;
            }
        }
    }
    let broken = findings.iter().filter(|finding| finding.broken).count();
    Ok(say!("\n{} operations looked at; {broken} of them do not hold what is documented", findings.len())?)
}

fn check(nomic: &Nomic, write: bool) -> Vec<Finding> {
    let list = |path: &str| Request::get(path).query("limit", 20);
    let mut findings = Vec::new();
    let mut agent = None;
    if write {
        agent = written(nomic, &mut findings);
    }
    let mut probe = Probe { nomic, findings };
    probe.items::<FileHit>("search_files", list("/files/search").query("query", "a"), "files");
    let question = json!({"query": "door", "jurisdiction": "texas", "codeType": "building", "limit": 5});
    let found = Request::post("/codes/search").json(&question).tier(Tier::Search);
    probe.call("search_codes", found, |found: &Sections| format!("{} sections", found.results.len()));
    let agents = probe.items::<Agent>("list_agents", list("/agents"), "agents");
    // What was made here has artifacts for certain; otherwise the first that has some, or the first of all.
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
    let figures = list("/analytics/users").tier(Tier::Analytics);
    probe.items::<analytics::UserAnalytics>("list_user_analytics", figures, "users");
    let mut findings = probe.findings;
    if let Some(id) = agent {
        findings.push(match nomic.delete_agent(&id) {
            Ok(()) => Finding::new(operation("delete_agent"), "2xx"),
            Err(error) => Finding::new(operation("delete_agent"), "").failed(&error),
        });
    }
    findings
}

/// The operation of a name.
fn operation(name: &str) -> &'static Operation {
    operations::ALL.iter().find(|operation| operation.name == name).unwrap_or(&operations::ALL[0])
}

#[derive(Deserialize)]
struct Sections {
    results: Vec<codes::CodeSection>,
}

/// Calls that only read, and what came of them.
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
        self.call("get_agent_conversation", conversation, |said: &Conversation| {
            format!("{} messages", said.messages.len())
        });
        let artifacts = self.items::<Artifact>("list_artifacts", base().segment("artifacts"), "artifacts");
        match artifacts.iter().flat_map(|page| &page.data).next() {
            Some(artifact) => {
                let request = base().segment("artifacts").segment(&artifact.id);
                self.call("get_artifact", request, |artifact: &Artifact| {
                    artifact.kind.as_ref().map_or("of no kind".to_owned(), ToString::to_string)
                });
            }
            None => self.findings.push(Finding::new(operation("get_artifact"), "no artifact")),
        }
    }

    /// Calls, compares with the contract, and decodes.
    fn call<T: DeserializeOwned>(
        &mut self,
        name: &str,
        request: Request,
        show: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let mut finding = Finding::new(operation(name), "200");
        let answer: Value = match self.nomic.call(&request) {
            Ok(answer) => answer,
            Err(error) => {
                self.findings.push(finding.failed(&error));
                return None;
            }
        };
        compare(&mut finding, &answer);
        // One object may come inside `data`, or bare.
        let inner = answer.get("data").filter(|data| data.is_object()).unwrap_or(&answer);
        let decoded = T::deserialize(inner);
        match &decoded {
            Ok(value) => finding.decoded = show(value),
            Err(error) => {
                finding.decoded = format!("cannot be read: {error}");
                finding.breaks();
            }
        }
        self.findings.push(finding);
        decoded.ok()
    }
}

/// Notes the fields that are unknown or missing, and the words that are new.
fn compare(finding: &mut Finding, answer: &Value) {
    let Some((_, fields)) = DOCUMENTED.iter().find(|(name, _)| *name == finding.operation.name) else { return };
    // An object that is documented inside `data` is seen bare too.
    let bare = fields.iter().any(|field| field.starts_with("data.")) && answer.get("data").is_none();
    let own = |field: &'static str| if bare { field.strip_prefix("data.") } else { Some(field) };
    let fields: Vec<&str> = fields.iter().filter_map(|field| own(field)).collect();
    let names: BTreeSet<&str> = fields.iter().map(|field| field.trim_end_matches(['!', '?'])).collect();
    walk(answer, "", &names, finding);
    for field in &fields {
        let name = field.trim_end_matches(['!', '?']);
        let (parent, last) = name.rsplit_once('.').unwrap_or(("", name));
        let holders = holders(answer, parent);
        let lack = holders.iter().filter(|holder| holder.get(last).is_none()).count();
        // What is required must be everywhere, what the example shows somewhere.
        let gone = match field.as_bytes().last() {
            Some(b'!') => lack > 0,
            Some(b'?') => false,
            _ => lack > 0 && lack == holders.len(),
        };
        if gone {
            finding.missing.insert(name.to_owned());
            finding.breaks();
        }
    }
}

/// The objects at a path like `data[].user`.
fn holders<'a>(answer: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![answer];
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
                let own = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if !names.contains(own.as_str()) {
                    finding.unknown.insert(own);
                    continue;
                }
                // What the contract leaves to the caller or to nobody is not looked into.
                let known_inside =
                    |name: &&str| name.strip_prefix(&own).is_some_and(|rest| rest.starts_with(['.', '[']));
                if names.iter().any(known_inside) || inner.is_string() {
                    walk(inner, &own, names, finding);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, &format!("{path}[]"), names, finding)),
        Value::String(word) => {
            let shown = WORDS.iter().find(|(end, _)| path == *end || path.ends_with(&format!(".{end}")));
            if shown.is_some_and(|(_, words)| !words.iter().any(|shown| shown.eq_ignore_ascii_case(word))) {
                finding.words.insert(format!("{path} = {word}"));
            }
        }
        _ => {}
    }
}

/// The main job with a small file, and the agent that came of it.
fn written(nomic: &Nomic, findings: &mut Vec<Finding>) -> Option<AgentId> {
    let options = WaitOptions::with_timeout(Duration::from_secs(10 * 60));
    let upload = Upload::from_bytes("contract-check.txt", "Permit number: CC-1\nOperator: nomic-client\n");
    let file = note(findings, "upload_file", nomic.upload(upload), |file| file.id.to_string())?;

    let job = nomic.parse(&file.file_version_id, &parse::Options::default());
    if let Some(job) = note(findings, "submit_parse", job, |job| job.task_id.to_string()) {
        let chunks = |parsed: &parse::Parsed| format!("{} chunks", parsed.chunks.len());
        note(findings, "get_parse", nomic.wait_with(&job, &options), chunks);
        compare_again(nomic, findings, Request::get("/parse").segment(&job.task_id));
    }
    let schema = json!({"type": "object", "properties": {"permitNumber": {"type": "string"}}});
    let job = nomic.extract(&[file.file_version_id], &schema, &extract::Options::with_citations());
    if let Some(job) = note(findings, "submit_extract", job, |job| job.task_id.to_string()) {
        let value = |extracted: &extract::Extracted| extracted.value.to_string();
        note(findings, "get_extract", nomic.wait_with(&job, &options), value);
        compare_again(nomic, findings, Request::get("/extract").segment(&job.task_id));
    }
    let launch = Launch::prompt("Which permit is it?").files([file.id]);
    let agent = note(findings, "launch_agent", nomic.launch_agent(&launch), |agent| agent.status.to_string())?;
    // How it ends is shown by the reading of it.
    let _ = nomic.wait_with(&agent, &options);
    Some(agent.id)
}

/// Notes a call of a method of its own. What it kept of unknown fields is compared; what is missing cannot be seen.
fn note<T: serde::Serialize>(
    findings: &mut Vec<Finding>,
    name: &str,
    result: nomic_client::Result<T>,
    show: impl FnOnce(&T) -> String,
) -> Option<T> {
    let mut finding = Finding::new(operation(name), "2xx");
    match result {
        Ok(value) => {
            finding.decoded = show(&value);
            let kept = serde_json::to_value(&value).unwrap_or_default();
            // A result is a part of the answer; the whole is compared on its own.
            if !name.starts_with("get_") {
                compare(&mut finding, &kept);
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

/// Asks for the answer behind the last finding once more, as it comes, and compares it.
fn compare_again(nomic: &Nomic, findings: &mut [Finding], request: Request) {
    if let (Some(finding), Ok(answer)) = (findings.last_mut(), nomic.call::<Value>(&request)) {
        compare(finding, &answer);
    }
}
