//! One call of each operation.

use nomic_client::agents::Launch;
use nomic_client::files::Upload;
use nomic_client::{AgentId, ApiKeyId, ArtifactId, Error, FileVersionId, Listing, Nomic, TaskId, UserId, codes, users};
use serde::de::DeserializeOwned;
use serde_json::json;

/// The ids that the operations are called with.
#[derive(Clone, Debug)]
pub struct Ids {
    /// A document.
    pub version: FileVersionId,
    /// A parse task.
    pub parse: TaskId,
    /// An extract task.
    pub extract: TaskId,
    /// An agent.
    pub agent: AgentId,
    /// An artifact of that agent.
    pub artifact: ArtifactId,
    /// A user.
    pub user: UserId,
    /// An API key.
    pub key: ApiKeyId,
}

impl Ids {
    /// The same id for everything.
    #[must_use]
    pub fn all(id: &str) -> Self {
        Self {
            version: id.into(),
            parse: id.into(),
            extract: id.into(),
            agent: id.into(),
            artifact: id.into(),
            user: id.into(),
            key: id.into(),
        }
    }
}

/// Calls an operation: gets only the first page of a list, and does not wait for jobs. Returns `false` if the operation
/// succeeded without a value, and `true` otherwise.
///
/// # Errors
///
/// Fails if the call fails.
#[expect(clippy::panic, reason = "every operation must have a call here")]
pub fn call(nomic: &Nomic, operation: &str, ids: &Ids) -> Result<bool, Error> {
    fn value<T>(_: T) -> bool {
        true
    }
    fn first_page<T: DeserializeOwned>(listing: Listing<T>) -> Result<bool, Error> {
        listing.pages().next().transpose().map(|page| page.is_some())
    }
    let Ids { version, parse, extract, agent, artifact, user, key } = ids;
    match operation {
        "upload_file" => nomic.upload(Upload::from_bytes("a.txt", vec![b'a'; 300_000])).map(value),
        "search_files" => first_page(nomic.search_files("a")),
        "submit_parse" => nomic.parse(version).map(value),
        "get_parse" => nomic.poll(&nomic.parse_job(parse.clone())).map(value),
        "submit_extract" => nomic.extract([version], &json!({})).map(value),
        "get_extract" => nomic.poll(&nomic.extract_job(extract.clone())).map(value),
        "search_codes" => {
            nomic.search_codes(&codes::Search::new("door").jurisdiction("texas").code_type("building")).map(value)
        }
        "launch_agent" => nomic.launch_agent(&Launch::prompt("Go.")).map(value),
        "list_agents" => first_page(nomic.agents()),
        "get_agent" => nomic.agent(agent).map(value),
        "delete_agent" => nomic.delete_agent(agent).map(value),
        "follow_up_agent" => nomic.follow_up_agent(agent, "More.").map(value),
        "stop_agent" => nomic.stop_agent(agent).map(|agent| agent.is_some()),
        "get_agent_conversation" => nomic.conversation(agent).map(value),
        "list_artifacts" => first_page(nomic.artifacts(agent)),
        "get_artifact" => nomic.artifact(agent, artifact).map(value),
        "list_workflows" => first_page(nomic.workflows()),
        "list_projects" => first_page(nomic.projects()),
        "list_users" => first_page(nomic.users()),
        "get_user" => nomic.user(user).map(value),
        "disable_user" => {
            let options = users::DisableOptions::default().reason("test");
            nomic.disable_user_with(user, &options).map(|user| user.is_some())
        }
        "enable_user" => nomic.enable_user(user).map(|user| user.is_some()),
        "list_api_keys" => first_page(nomic.api_keys()),
        "revoke_api_key" => nomic.revoke_api_key(key).map(|key| key.is_some()),
        "list_audit_logs" => first_page(nomic.audit_logs()),
        "list_user_analytics" => first_page(nomic.user_analytics()),
        other => panic!("no call for {other}"),
    }
}
