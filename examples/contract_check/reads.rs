//! Calls the operations that only read.

use nomic_client::agents::{Agent, Artifact, Conversation};
use nomic_client::files::FileHit;
use nomic_client::operations::Tier;
use nomic_client::{AgentId, Nomic, Page, Request, analytics, api_keys, audit_logs, codes, projects, users, workflows};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::compare::compare;
use crate::finding::Finding;

/// Calls every read operation. `agent` is the one that was launched for the check, if any.
pub(crate) fn check(nomic: &Nomic, agent: Option<&AgentId>, findings: &mut Vec<Finding>) {
    let list = |path: &str| Request::get(path).query("limit", 20);
    let mut probe = Probe { nomic, findings };
    probe.items::<FileHit>("search_files", list("/files/search").query("query", "a"), "files");
    let search = json!({"query": "door", "jurisdiction": "texas", "codeType": "building", "limit": 5});
    let found = Request::post("/codes/search").json(&search).tier(Tier::Search);
    probe.call("search_codes", found, |found: &Sections| format!("{} sections", found.results.len()));
    let agents = probe.items::<Agent>("list_agents", list("/agents"), "agents");
    // The launched agent has artifacts. Otherwise, prefer a listed agent with artifacts.
    let listed = agents.iter().flat_map(|page| &page.data);
    let chosen = listed.clone().find(|agent| !agent.artifacts.is_empty()).or(listed.clone().next());
    match agent.or(chosen.map(|agent| &agent.id)) {
        Some(id) => probe.agent(id),
        None => {
            for name in ["get_agent", "get_agent_conversation", "list_artifacts", "get_artifact"] {
                probe.findings.push(Finding::new(name, "no agent"));
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
        None => probe.findings.push(Finding::new("get_user", "no user")),
    }
    probe.items::<api_keys::ApiKey>("list_api_keys", list("/api-keys").query("includeRevoked", true), "keys");
    probe.items::<audit_logs::AuditEntry>("list_audit_logs", list("/audit-logs"), "entries");
    let analytics = list("/analytics/users").tier(Tier::Analytics);
    probe.items::<analytics::UserAnalytics>("list_user_analytics", analytics, "users");
}

#[derive(Deserialize)]
struct Sections {
    results: Vec<codes::CodeSection>,
}

/// Calls read operations and collects the findings.
struct Probe<'a> {
    nomic: &'a Nomic,
    findings: &'a mut Vec<Finding>,
}

impl Probe<'_> {
    fn items<T: DeserializeOwned>(&mut self, name: &'static str, request: Request, noun: &str) -> Option<Page<T>> {
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
            None => self.findings.push(Finding::new("get_artifact", "no artifact")),
        }
    }

    /// Calls an operation, compares its response with the contract, and decodes it.
    fn call<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        request: Request,
        show: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let mut finding = Finding::new(name, "200");
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
