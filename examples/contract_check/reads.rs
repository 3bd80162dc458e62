//! Calls the operations that only read.

use nomic_client::agents::{Agent, Artifact, Conversation};
use nomic_client::files::FileHit;
use nomic_client::operations::{self, Method, Operation};
use nomic_client::{AgentId, Page, Request, analytics, api_keys, audit_logs, codes, projects, users, workflows};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::check::Check;
use crate::compare::compare;
use crate::finding::Finding;

#[derive(Deserialize)]
struct Sections {
    results: Vec<codes::CodeSection>,
}

impl Check {
    /// Calls every read operation. `agent` is the one that was launched for the check, if any.
    pub(crate) fn reads(&mut self, agent: Option<&AgentId>) {
        self.items::<FileHit>(&operations::SEARCH_FILES, |list| list.query("query", "a"), "files");
        let search = json!({"query": "door", "jurisdiction": "texas", "codeType": "building", "limit": 5});
        self.call(
            &operations::SEARCH_CODES,
            &[],
            |request| request.json(&search),
            decode,
            |found: &Sections| format!("{} sections", found.results.len()),
        );
        let agents = self.items::<Agent>(&operations::LIST_AGENTS, |list| list, "agents");
        // The launched agent has artifacts. Otherwise, prefer a listed agent with artifacts.
        let listed = agents.iter().flat_map(|page| &page.data);
        let chosen = listed.clone().find(|agent| !agent.artifacts.is_empty()).or(listed.clone().next());
        match agent.or(chosen.map(|agent| &agent.id)) {
            Some(id) => self.agent(id),
            None => {
                for operation in [
                    operations::GET_AGENT,
                    operations::GET_AGENT_CONVERSATION,
                    operations::LIST_ARTIFACTS,
                    operations::GET_ARTIFACT,
                ] {
                    self.findings.push(Finding::new(&operation, "no agent"));
                }
            }
        }
        self.items::<workflows::Workflow>(&operations::LIST_WORKFLOWS, |list| list, "workflows");
        self.items::<projects::Project>(&operations::LIST_PROJECTS, |list| list, "projects");
        let users = self.items::<users::User>(&operations::LIST_USERS, |list| list, "users");
        match users.iter().flat_map(|page| &page.data).next() {
            Some(user) => {
                let show = |user: &users::User| user.id.to_string();
                self.call(&operations::GET_USER, &[user.id.as_str()], |request| request, decode, show);
            }
            None => self.findings.push(Finding::new(&operations::GET_USER, "no user")),
        }
        let revoked = |list: Request| list.query("includeRevoked", true);
        self.items::<api_keys::ApiKey>(&operations::LIST_API_KEYS, revoked, "keys");
        self.items::<audit_logs::AuditEntry>(&operations::LIST_AUDIT_LOGS, |list| list, "entries");
        self.items::<analytics::UserAnalytics>(&operations::LIST_USER_ANALYTICS, |list| list, "users");
    }

    fn items<T: DeserializeOwned>(
        &mut self,
        operation: &Operation,
        add: impl Fn(Request) -> Request,
        noun: &str,
    ) -> Option<Page<T>> {
        let add = |list: Request| add(list.query("limit", 20));
        self.call(operation, &[], add, decode, |page: &Page<T>| format!("{} {noun}", page.data.len()))
    }

    fn agent(&mut self, id: &AgentId) {
        let show = |agent: &Agent| format!("{} {}", agent.id, agent.status);
        self.call(&operations::GET_AGENT, &[id.as_str()], |request| request, decode, show);
        let show = |conversation: &Conversation| format!("{} messages", conversation.messages.len());
        self.call(&operations::GET_AGENT_CONVERSATION, &[id.as_str()], |request| request, decode, show);
        // The client reads more forms of this list than a page.
        let list = |check: &Self, _: &Value| {
            check.nomic.artifacts(id).collect::<Result<Vec<Artifact>, _>>().map_err(|error| error.to_string())
        };
        let show = |artifacts: &Vec<Artifact>| format!("{} artifacts", artifacts.len());
        let artifacts = self.call(&operations::LIST_ARTIFACTS, &[id.as_str()], |request| request, list, show);
        match artifacts.iter().flatten().next() {
            Some(artifact) => {
                let show =
                    |artifact: &Artifact| artifact.kind.as_ref().map_or("no type".to_owned(), ToString::to_string);
                let ids = [id.as_str(), artifact.id.as_str()];
                self.call(&operations::GET_ARTIFACT, &ids, |request| request, decode, show);
            }
            None => self.findings.push(Finding::new(&operations::GET_ARTIFACT, "no artifact")),
        }
    }

    /// Calls an operation, compares its response with the contract, and decodes it.
    pub(crate) fn call<T>(
        &mut self,
        operation: &Operation,
        ids: &[&str],
        add: impl Fn(Request) -> Request,
        decode: impl Fn(&Self, &Value) -> Result<T, String>,
        show: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let send = |check: &Self| check.nomic.call::<Value>(&add(check.request(operation, ids)));
        let mut finding = Finding::new(operation, if operation.method == Method::Get { "200" } else { "2xx" });
        let mut response = send(self);
        if let Err(error) = &response {
            let works = |check: &Self| send(check).is_ok_and(|response| decode(check, &response).is_ok());
            finding = finding.searched(self.find_path(operation, error, works));
            if finding.path.is_some() {
                response = send(self);
            }
        }
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                self.findings.push(finding.failed(&error));
                return None;
            }
        };
        compare(&mut finding, &response);
        let decoded = decode(self, &response);
        match &decoded {
            Ok(value) => finding.decoded = show(value),
            Err(error) => {
                finding.decoded = format!("cannot be decoded: {error}");
                finding.error = Some("decode");
                finding.mark_broken();
            }
        }
        self.findings.push(finding);
        decoded.ok()
    }
}

/// Decodes a response. A single object may be wrapped in `data`.
pub(crate) fn decode<T: DeserializeOwned>(_: &Check, response: &Value) -> Result<T, String> {
    let inner = response.get("data").filter(|data| data.is_object()).unwrap_or(response);
    T::deserialize(inner).map_err(|error| error.to_string())
}
