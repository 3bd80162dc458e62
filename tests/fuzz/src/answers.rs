//! Responses: the body of every operation, and raw bytes that need not be HTTP.

use std::fmt::Debug;
use std::time::Duration;

use nomic_client::agents::{Agent, Artifact, Launch};
use nomic_client::files::Upload;
use nomic_client::job::WaitOptions;
use nomic_client::operations::{self, Method};
use nomic_client::{AgentId, Effect, Error, Listing, Nomic, codes, extract, parse};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::server::{Server, response};
use crate::{builder, check, within};

/// The statuses other than 200.
const STATUSES: [u16; 24] = [
    201, 202, 204, 206, 299, 300, 302, 304, 308, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 501, 502, 503, 522,
    599,
];

/// The deadline of a call.
const DEADLINE: Duration = Duration::from_secs(2);

thread_local! {
    static NOMIC: Nomic = builder().deadline(DEADLINE).build().expect("a client of this machine");
}

/// An HTTP response. The first byte selects the operation, the second the status; the rest is the body.
pub fn answers(data: &[u8]) {
    let [operation, status, body @ ..] = data else { return };
    let operation = &operations::ALL[usize::from(*operation) % operations::ALL.len()];
    let status = if *status < 128 { 200 } else { STATUSES[usize::from(*status) % STATUSES.len()] };
    Server::local().respond_with([response(status, b"Content-Type: application/json\r\n", body)]);
    NOMIC.with(|nomic| check_call(nomic, operation.name, operation.method));
}

/// A response of raw bytes. The first byte selects the operation; the server sends the rest and closes the connection.
pub fn wire(data: &[u8]) {
    let [operation, bytes @ ..] = data else { return };
    let names = ["get_agent", "launch_agent", "list_agents", "upload_file"];
    let name = names[usize::from(*operation) % names.len()];
    let method = if name.contains("_agent") && !name.starts_with("launch") { Method::Get } else { Method::Post };
    Server::local().send_and_close(bytes.to_vec());
    // A new client: the last one may not yet know that its idle connection was closed.
    let nomic = builder().deadline(DEADLINE).build().expect("a client of this machine");
    check_call(&nomic, name, method);
}

/// Calls an operation and checks its outcome.
fn check_call(nomic: &Nomic, operation: &str, method: Method) {
    let outcome = within(DEADLINE, || call(nomic, operation, ["a", "b"]));
    let requests = Server::local().requests();
    assert_eq!(requests[0].method(), method.as_str());
    // At most two pages until a cursor repeats, and two polls of a running job; twice that for two agents in a list.
    assert!(requests.len() <= 8, "{} requests", requests.len());
    assert!(requests.iter().filter(|request| request.method() != "GET").count() <= 1, "a write was retried");
    if let Err(error) = outcome {
        check(&error);
        let may_have_executed = error.effect() != Effect::None;
        assert!(!may_have_executed || method != Method::Get, "a read has an effect: {error}");
    }
}

/// Calls an operation with these ids, and uses everything that it returns.
pub(crate) fn call(nomic: &Nomic, operation: &str, [id, other]: [&str; 2]) -> Result<(), Error> {
    let options = WaitOptions::default().timeout(Duration::from_millis(1));
    match operation {
        "upload_file" => nomic.upload(Upload::from_bytes("a.txt", "a")).map(round_trips),
        "search_files" => list(nomic.search_files("a"), |hit| drop(hit.decoded_path())),
        "submit_parse" => {
            let job = nomic.parse(id)?;
            round_trips(job.clone());
            nomic.wait_with(&job, &options).map(use_parsed)
        }
        "get_parse" => nomic.wait_with(&nomic.parse_job(id), &options).map(use_parsed),
        "submit_extract" => {
            let citations = extract::Options::default().citations(true);
            let job = nomic.extract_with([id], &json!({}), &citations)?;
            round_trips(job.clone());
            nomic.wait_with(&job, &options).map(use_extracted)
        }
        "get_extract" => nomic.wait_with(&nomic.extract_job(id), &options).map(use_extracted),
        "search_codes" => {
            nomic.search_codes(&codes::Search::new("door").jurisdiction("texas").code_type("building")).map(|found| {
                found.iter().for_each(|section| drop(section.text()));
                round_trips(found);
            })
        }
        "launch_agent" => {
            let launched = nomic.launch_agent(&Launch::prompt("Go."))?;
            use_agent(&launched);
            nomic.wait_with(&launched, &options).map(|ended| use_agent(&ended))
        }
        "list_agents" => {
            let waiting = [id, other].map(AgentId::from);
            nomic.wait_all_with(waiting, &options).for_each(|(_, ended)| drop(ended.map_err(|error| check(&error))));
            list(nomic.agents(), use_agent)
        }
        "get_agent" => nomic.agent(id).map(|found| use_agent(&found)),
        "delete_agent" => nomic.delete_agent(id),
        "follow_up_agent" => nomic.follow_up_agent(id, "More.").map(drop),
        "stop_agent" => nomic.stop_agent(id).map(round_trips),
        "get_agent_conversation" => nomic.conversation(id).map(round_trips),
        "list_artifacts" => list(nomic.artifacts(id), use_artifact),
        "get_artifact" => nomic.artifact(id, other).map(|found| use_artifact(&found)),
        "list_workflows" => list(nomic.workflows(), |_| {}),
        "list_projects" => list(nomic.projects(), |_| {}),
        "list_users" => list(nomic.users(), |_| {}),
        "get_user" => nomic.user(id).map(round_trips),
        "disable_user" => nomic.disable_user(id).map(round_trips),
        "enable_user" => nomic.enable_user(id).map(round_trips),
        "list_api_keys" => list(nomic.api_keys(), |_| {}),
        "revoke_api_key" => nomic.revoke_api_key(id).map(round_trips),
        "list_audit_logs" => list(nomic.audit_logs(), |_| {}),
        "list_user_analytics" => list(nomic.user_analytics(), |_| {}),
        other => panic!("no call for {other}"),
    }
}

/// Checks that a value can be serialized and is the same after deserialization.
fn round_trips<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let text = serde_json::to_string(&value).expect("a value that was read can be serialized");
    let read_back: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
    assert_eq!(read_back, value, "{text}");
}

fn list<T>(listing: Listing<T>, use_item: impl Fn(&T)) -> Result<(), Error>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    for page in listing.pages() {
        let page = page?;
        page.data.iter().for_each(&use_item);
        round_trips(page);
    }
    Ok(())
}

fn use_agent(agent: &Agent) {
    agent.artifacts.iter().for_each(use_artifact);
    agent.created_at.iter().chain(&agent.updated_at).for_each(|time| drop(time.system_time()));
    round_trips(agent.clone());
}

fn use_artifact(artifact: &Artifact) {
    let _ = artifact.markdown();
    if let Some(table) = artifact.table() {
        assert!(table.rows.iter().all(|row| row.len() >= table.columns.len()));
        table.write_csv(std::io::sink()).expect("a sink never fails");
    }
    round_trips(artifact.clone());
}

fn use_parsed(parsed: parse::Parsed) {
    let _ = (parsed.text(), parsed.headings().count(), parsed.tables().count(), parsed.figures().count());
    parsed.pages().into_iter().for_each(|page| drop(parsed.page_text(page)));
    round_trips(parsed);
}

fn use_extracted(extracted: extract::Extracted) {
    drop(extracted.citations_of("a.b"));
    if let Err(error) = extracted.deserialize::<Vec<String>>() {
        check(&error);
    }
    round_trips(extracted);
}
